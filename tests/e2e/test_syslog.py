"""Syslog: the records that a real rsyslogd receives; a stalled one delays no reply."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from lib.control import start_with_file
from lib.daytime_client import assert_prompt, free_port, is_daytime, query, receive_all, serves
from lib.environment import longer, needs_private, needs_program, not_instrumented, wait_until


pytestmark = needs_private("a /dev/log of its own")

DEVICE = pathlib.Path("/dev/log")

# The message is written unescaped: a line break in it would be one in the file.
FIELDS = "programname procid syslogfacility-text syslogseverity-text msg timereported".split()
RSYSLOG = """\
global(workDirectory="{directory}" parser.escapeControlCharactersOnReceive="off")
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
template(name="all" type="string"
         string="{fields}\\n")
action(type="omfile" file="{directory}/log" template="all")
"""

# /dev/log is a stream, where a NUL ends a record.
STREAM = RSYSLOG.replace('module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")', """\
module(load="imptcp")
input(type="imptcp" path="/dev/log" fileCreateMode="0666" addtlframedelimiter="0")""")


class Syslogd:
    """rsyslogd, and the records that it has written."""

    def __init__(self, testbed, text=RSYSLOG):
        self.type = socket.SOCK_DGRAM if text == RSYSLOG else socket.SOCK_STREAM
        self.testbed, self.directory = testbed, testbed.root / f"syslogd{len(testbed.reports)}"
        self.directory.mkdir()
        self.file = self.directory / "log"
        config = self.directory / "rsyslog.conf"
        fields = "|".join(f"%{field}%" for field in FIELDS)
        config.write_text(text.format(directory=self.directory, fields=fields))
        self.popen, self.out, _ = testbed.popen(["/usr/sbin/rsyslogd", "-n", "-f", config,
                                                 "-i", self.directory / "pid"])
        wait_until(self.listens, what="rsyslogd to listen")

    def listens(self):
        with socket.socket(socket.AF_UNIX, self.type) as probe:
            return DEVICE.exists() and probe.connect_ex(str(DEVICE)) == 0

    def records(self):
        """(program, pid, facility, severity, message, time) of each record of other programs."""
        text = self.file.read_text() if self.file.exists() else ""
        return [line.split("|") for line in text.splitlines() if not line.startswith("rsyslogd|")]

    def wait_for(self, words):
        def found():
            return next((record for record in self.records() if words in "|".join(record)), None)
        return wait_until(found, what=f"a record of {words}")

    def count(self, words):
        return sum(words in record[4] for record in self.records())

    def close(self):
        self.popen.terminate()
        self.popen.wait(10)
        with contextlib.suppress(FileNotFoundError):
            DEVICE.unlink()


@pytest.fixture
def syslogd(testbed):
    syslogd = Syslogd(testbed)
    yield syslogd
    if syslogd.popen.poll() is None:
        syslogd.close()


real = needs_program("rsyslogd", "(Debian's package rsyslog)")


@real
def test_step_8_program_pid_and_facility(testbed, port, syslogd):
    """Step 8: records of the start and end have the name and PID of the daemon."""
    daemon = testbed.listen(port)
    daemon.stop()
    syslogd.wait_for("stopp")
    records = syslogd.records()
    assert len(records) >= 2
    for program, pid, facility, severity, message, _ in records:
        assert (program, pid, facility) == ("timeserver", str(daemon.pid), "daemon")
        assert severity in ("notice", "info") and message.strip()
    assert f"daytime on tcp {port}" in records[0][4]


@real
@pytest.mark.parametrize("facility", ["local0", "user", "auth"])
def test_the_configured_facility(testbed, port, syslogd, facility):
    testbed.config(f"listen daytime/tcp {port}\nsyslog {facility}\n")
    testbed.start("-c", testbed.dir / "t.conf")
    assert syslogd.wait_for("serving")[2] == facility
    testbed.config(f"listen daytime/tcp {port}\nsyslog local5\n")
    assert testbed.signal("reload").code == 0
    assert syslogd.wait_for("reloaded")[2] == "local5"


@real
def test_a_failed_start_is_logged(testbed, port, syslogd):
    """At boot there is no terminal for standard error."""
    with socket.create_server(("", port)):
        code, _, err = testbed.server("-o", f"listen daytime/tcp {port}")
    record = syslogd.wait_for("Address already in use")
    assert code == 1 and record[0] == "timeserver" and record[3] == "err"
    assert err == f"timeserver: {record[4].strip()}\n"


@real
def test_errors_of_the_configuration_are_logged(testbed, syslogd):
    """Of a daemon that was to start, not of a test."""
    config = testbed.config("nonsense\nsyslog\n")
    assert testbed.server("-t", "-c", config).code == testbed.server("-n", "-c", config).code == 78
    code, _, err = testbed.server("-c", config)
    syslogd.wait_for("syslog: expected")
    records = [record for record in syslogd.records() if str(config) in record[4]]
    assert code == 78 and err.splitlines() == [record[4].strip() for record in records]
    assert {(record[0], record[3]) for record in records} == {("timeserver", "err")}


@real
def test_a_record_is_one_line_of_printable_text(testbed, port, syslogd):
    """Also if a reload fails with line breaks and escapes in file names and words."""
    inner = testbed.config("nonsense\n", "a\nJan  1 00:00:00 forged[1]: record\n.conf")
    directory = testbed.dir / "in.d"
    directory.mkdir()
    inner.rename(directory / inner.name)
    config = testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.start("-c", config)
    config.write_bytes(b"confdir in.d\nlisten daytime/tcp \x1b[2J\x07\x80|x\n")
    assert testbed.signal("reload").code == 78
    syslogd.wait_for("reload failed")
    records = syslogd.records()
    assert {tuple(record[:3]) for record in records} == {("timeserver", str(daemon.pid), "daemon")}
    found = [record for record in records if "nonsense" in "|".join(record)]
    assert len(found) == 1
    assert re.search(r"a\\+nJan  1 00:00:00 forged\[1\]: record\\+n.conf:1: nonsense", found[0][4])
    assert all(" " <= byte <= "~" for record in records for byte in "|".join(record))
    assert any("\\x1b[2J\\x07\\x80" in record[4] for record in records)


@real
def test_the_time_of_a_record_is_local_and_english(testbed, port, syslogd):
    testbed.listen(port)
    stamp = syslogd.wait_for("serving")[5]
    assert is_daytime(f"Sun {stamp} 2026\r\n".encode()), stamp


@real
def test_a_restarted_syslogd_gets_records(testbed, port, syslogd):
    """The socket at /dev/log is another one then."""
    testbed.config(f"listen daytime/tcp {port}\n")
    testbed.start("-c", testbed.dir / "t.conf")
    syslogd.wait_for("serving")
    syslogd.close()
    assert testbed.signal("reload").code == 0, "without a syslogd"
    second = Syslogd(testbed)
    assert testbed.signal("reload").code == 0
    assert second.wait_for("reloaded")[0] == "timeserver"
    second.close()


@real
def test_a_stream_at_dev_log(testbed, port):
    """Also after a restart of syslogd, with either type of socket."""
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    for text in (STREAM, STREAM, RSYSLOG, STREAM):
        syslogd = Syslogd(testbed, text)
        with contextlib.closing(syslogd):
            for number in range(1, 4):
                assert testbed.signal("reload").code == 0
                wait_until(lambda: syslogd.count("reloaded") == number, what="the record")  # noqa: B023
        assert {tuple(record[:3]) for record in syslogd.records()} == {("timeserver", str(daemon.pid), "daemon")}
        assert {record[3] for record in syslogd.records() if "reloaded" in record[4]} == {"notice"}
        assert all(re.fullmatch(" ?[ -~]+", record[4]) for record in syslogd.records())
        assert syslogd.count("1 log records were lost here") == 1
        assert testbed.signal("reload").code == 0, "without a syslogd"


@real
def test_clients_write_no_records(testbed, port, syslogd):
    testbed.listen(port)
    syslogd.wait_for("serving")
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"<3>forged\n")
            receive_all(client)
    testbed.signal("stop")
    syslogd.wait_for("stopped")
    assert len(syslogd.records()) <= 4


def query_while_logging(daemon, port):
    """Sends many queries while reloads make the daemon write to its log; no reply may be delayed."""
    waits = []
    for _ in range(300):
        daemon.signal(signal.SIGHUP)
        began = time.monotonic()
        assert is_daytime(query(port))
        waits.append(time.monotonic() - began)
    assert_prompt(waits)


@not_instrumented("the delay")
def test_a_missing_dev_log_delays_no_reply(testbed, port):
    assert not DEVICE.exists()
    daemon = testbed.listen(port)
    assert daemon.result.seconds < 1
    query_while_logging(daemon, port)


@contextlib.contextmanager
def stalled_syslog():
    """A socket at /dev/log that is not read, and whose queue is full."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        log.bind(str(DEVICE))
        DEVICE.chmod(0o666)
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                filler.sendto(b"full", str(DEVICE))
        # Not just the filler's own buffer is full.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
            assert other.connect_ex(str(DEVICE)) == 0
            with pytest.raises(BlockingIOError):
                other.send(b"full")
        try:
            yield log
        finally:
            DEVICE.unlink()


def read_all(log):
    """All records in the queue."""
    records = []
    with contextlib.suppress(BlockingIOError):
        while True:
            records.append(log.recv(65536))
    return records


@not_instrumented("the delay")
def test_a_stalled_dev_log_delays_no_reply(testbed, port):
    """Nor the start or the stop. Afterwards the log says how many records were lost."""
    with stalled_syslog() as log:
        daemon = testbed.listen(port)
        assert daemon.result.seconds < 1
        query_while_logging(daemon, port)
        log.setblocking(False)
        records = read_all(log)
        assert testbed.signal("reload").code == 0
        records += read_all(log)
        gap = [number for number, record in enumerate(records) if b" log records were lost here" in record]
        assert gap and re.search(rb"timeserver\[%d\]: [1-9]\d* log" % daemon.pid, records[gap[0]]), (len(records), records[:9], records[-9:])
        assert b": reloaded" in records[gap[0] + 1] and b": reloaded" in records[-1]
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 1


def test_the_record_on_the_wire(testbed, port):
    """<priority>time program[pid]: text, with no line break or NUL at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(DEVICE))
        DEVICE.chmod(0o666)
        try:
            log.settimeout(longer(5))
            daemon = testbed.listen(port)
            record = log.recv(65536)
        finally:
            DEVICE.unlink()
    daemon_notice = 3 << 3 | 5
    assert re.fullmatch(rb"<%d>\w{3} [ \d]\d \d\d:\d\d:\d\d timeserver\[%d\]: [ -~]+"
                        % (daemon_notice, daemon.pid), record), record


def test_a_regular_file_at_dev_log_is_not_written(testbed, port):
    """The daemon serves without a log."""
    DEVICE.write_text("mine\n")
    try:
        daemon = testbed.listen(port)
        assert serves(port)
        daemon.stop()
        assert DEVICE.read_text() == "mine\n"
    finally:
        os.unlink(DEVICE)


def test_the_debug_option_logs_more(testbed):
    """On standard error."""
    lines = {}
    for option in ("--foreground", "--debug"):
        port = free_port()
        server = testbed.foreground(option, "-o", f"listen daytime/tcp {port}")
        wait_until(lambda: serves(port))
        server.stop()
        lines[option] = len(server.log().splitlines())
    assert lines["--debug"] > lines["--foreground"] > 0
