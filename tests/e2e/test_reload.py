"""Reload: all or nothing, and without a lost reply."""
import contextlib
import json
import os
import pathlib
import pwd
import signal
import socket
import sys
import threading

import pytest

from lib.control import connect_control, listener_of, reload, reloaded, start_with_file
from lib.daytime_client import free_port, is_daytime, query, receive_all, serves
from lib.environment import (as_stranger, fewer, longer, needs_private, needs_program, not_instrumented,
                             STRANGER, USER, wait_until)
from lib.isolate import mounted, MS_BIND


ZONES = pathlib.Path("/usr/share/zoneinfo")


@contextlib.contextmanager
def continuous_queries(testbed, port):
    """Sends one Daytime query after another in two threads; yields the replies, all of which must be
    whole."""
    replies, errors, stopping = [], [], threading.Event()

    def keep_querying():
        while not stopping.is_set():
            try:
                replies.append(query(port))
            except OSError as error:
                errors.append(error)
    threads = [threading.Thread(target=keep_querying) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield replies
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    bad = [reply for reply in replies if not is_daytime(reply)]
    assert replies and not errors and not bad, (errors[:3], len(errors), bad[:3], len(bad), len(replies),
                                    testbed.server("-s", "status", "--json").out)


def test_added_and_removed_listeners(testbed, port):
    added = free_port()
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    kept = listener_of(daemon, port)
    assert reload(testbed, f"listen daytime/tcp {port} {added}") == reloaded(daemon)
    assert serves(port) and serves(added) and listener_of(daemon, port) == kept
    assert reload(testbed, f"listen daytime/tcp {added}") == reloaded(daemon)
    assert serves(added) and not serves(port)
    assert testbed.status()["listen"] == [f"daytime/tcp 0.0.0.0:{added}", f"daytime/tcp [::]:{added}"]


def test_sighup_reloads(testbed, port):
    added = free_port()
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    testbed.config(f"listen daytime/tcp {added}\n")
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: serves(added) and not serves(port), what="the new listener")


def test_every_error_of_a_file_is_reported_and_nothing_changes(testbed, port):
    """On standard error of the command, with status 78, and in the log."""
    config = testbed.config(f"listen daytime/tcp {port}\n")
    server = testbed.foreground("-n", "-c", config)
    wait_until(lambda: serves(port))
    code, out, err = reload(testbed, f"listen daytime/tcp {free_port()}", "listen daytime/tcp x",
                            "nonsense")
    problems = [f"{config}:2: listen: 'x': expected ADDRESS or [ADDRESS:]PORT, with ADDRESS an IPv4 "
                "or [IPv6] address or *, and PORT from 1 to 65535",
                f"{config}:3: nonsense: unknown directive"]
    assert (code, out, err.splitlines()) == (78, "", problems)
    assert serves(port) and len(testbed.status()["listen"]) == 2
    log = [line for line in server.log().splitlines() if str(config) in line]
    assert log == [f"timeserver: {line}" for line in problems]
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.log().count("3: nonsense") == 2, what="the log of another reload")
    assert reload(testbed, f"listen daytime/tcp {port}") == reloaded(server)


def test_more_errors_than_fit_into_a_reply(testbed, port):
    """The reply has the first ones, and the number of the others."""
    config = testbed.config(f"listen daytime/tcp {port}\n")
    server = testbed.foreground("-n", "-c", config)
    wait_until(lambda: serves(port))
    code, out, err = reload(testbed, *["nonsense"] * 6000)
    *lines, last = err.splitlines()
    assert (code, out) == (78, "") and 300 < len(lines) < 6000
    assert lines == [f"{config}:{i}: nonsense: unknown directive" for i in range(1, len(lines) + 1)]
    assert last == f"timeserver: {6000 - len(lines)} more errors"
    assert server.log().splitlines()[-2] == last and serves(port)


def test_warnings_of_a_reload_are_printed(testbed, port):
    """What takes effect at the next start only, on standard error and in the log; the reload is done."""
    config = testbed.config(f"listen daytime/tcp {port}\npidfile {testbed.pidfile}\n")
    daemon = testbed.foreground("-n", "-c", config, pidfile=False)
    wait_until(lambda: serves(port))
    user = "root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    warnings = ["timeserver: pidfile /run/later.pid: takes effect at the next start\n",
                f"timeserver: user {user}: takes effect at the next start\n"]
    assert reload(testbed, f"listen daytime/tcp {port}", "pidfile /run/later.pid", f"user {user}") == (
        0, f"timeserver: process {daemon.pid} reloaded\n", "".join(warnings))
    assert "".join(warnings) in daemon.log()


@needs_private("the default paths")
def test_the_default_pid_file_is_that_of_the_start(testbed, port):
    """By then the daemon is another user, with another default."""
    daemon = testbed.listen(port, "-u", "nobody", pidfile=False)
    for _ in range(2):
        result = testbed.server("-s", "reload", pidfile=False)
        assert tuple(result) == (0, f"timeserver: process {daemon.pid} reloaded\n", "")


def test_a_removed_file_is_an_error_and_changes_nothing(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    config = testbed.dir / "t.conf"
    config.unlink()
    assert tuple(testbed.server("-s", "reload")) == (
        78, "", f"timeserver: cannot read {config}: No such file or directory\n")
    assert serves(port) and daemon.alive()


def test_a_listener_that_cannot_be_opened_changes_nothing(testbed, port):
    """Nor are the other new listeners opened."""
    free, config = free_port(), testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.foreground("-n", "-c", config)
    wait_until(lambda: serves(port))
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        assert reload(testbed, f"listen daytime/tcp {free} {taken}") == (
            1, "", f"timeserver: cannot listen on tcp {taken}: Address already in use\n")
        assert serves(port) and not serves(free)
    assert f"\ntimeserver: cannot listen on tcp {taken}: " in daemon.log()
    assert reload(testbed, f"listen daytime/tcp {free} {taken}") == reloaded(daemon)
    assert serves(free) and serves(taken) and not serves(port)


@needs_private("an ordinary user, and low ports that need a right")
@not_instrumented("rights")
@needs_program("setpriv")
def test_without_the_capability_a_reload_opens_no_low_port(testbed, port):
    """As in a container that is started without it. An upgrade by a process that has it can."""
    config = testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.start("-c", config, before=["setpriv", "--bounding-set=-net_bind_service"])
    assert reload(testbed, f"listen daytime/tcp {port} 37") == (
        77, "", "timeserver: cannot listen on tcp 37: Permission denied: needs --upgrade or a restart\n")
    assert serves(port) and not serves(37)
    assert testbed.server("-s", "reload", "--upgrade", "-c", config).code == 0
    daemon.wait_gone()
    assert serves(port) and serves(37)


@needs_private("another user")
@pytest.mark.parametrize("how", ["include", "confdir"])
def test_a_file_that_the_user_of_the_daemon_cannot_read(testbed, port, how):
    """Root has read it at the start. The error says who cannot."""
    hidden = testbed.root / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "a.conf").write_text("workers 1\n")
    named = hidden / "a.conf" if how == "include" else hidden
    config = testbed.config(f"listen daytime/tcp {port}\n{how} {named}\n")
    daemon = testbed.foreground("-n", "-c", config)
    error = f"{config}:2: {how}: cannot read {named}: Permission denied (running as user {pwd.getpwuid(USER).pw_name})\n"
    wait_until(lambda: f"a reload will fail, unless this is changed:\ntimeserver: {error}" in daemon.log())
    assert tuple(testbed.signal("reload")) == (78, "", error)
    hidden.chmod(0o755)
    assert tuple(testbed.signal("reload")) == reloaded(daemon)


@pytest.mark.parametrize("narrow", ["127.0.0.1:{}", "127.0.0.1:{0} [::1]:{0}"])
def test_from_all_addresses_to_one_and_back(testbed, port, narrow):
    daemon = start_with_file(testbed, f"listen daytime/tcp *:{port}")
    for _ in range(3):
        assert reload(testbed, f"listen daytime/tcp {narrow.format(port)}") == reloaded(daemon)
        assert serves(port) and not serves(port, "127.0.0.2")
        assert serves(port, "::1") == ("::1" in narrow)
        assert reload(testbed, f"listen daytime/tcp *:{port}") == reloaded(daemon)
        assert serves(port) and serves(port, "127.0.0.2") and serves(port, "::1")


@needs_private("an ordinary user")
def test_from_all_addresses_to_one_and_back_as_an_ordinary_user(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp *:{port}", "user nobody")
    for _ in range(2):
        for place in (f"127.0.0.1:{port}", f"*:{port}"):
            assert reload(testbed, f"listen daytime/tcp {place}", "user nobody") == reloaded(daemon)
            assert serves(port)


def test_20_reloads_lose_no_reply(testbed, port):
    """One listener stays, another is added and removed."""
    other = free_port()
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with continuous_queries(testbed, port) as replies:
        for number in range(fewer(20)):
            more = other if number % 2 == 0 else ""
            assert reload(testbed, f"listen daytime/tcp {port} {more}") == reloaded(daemon)
        wait_until(lambda: len(replies) > 20, what="20 replies")


def test_a_port_of_another_program_is_not_shared(testbed, port):
    """Although that program has set SO_REUSEPORT."""
    daemon = start_with_file(testbed, f"listen daytime/tcp 127.0.0.1:{port}")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.2", port))
        other.listen()
        taken = reload(testbed, f"listen daytime/tcp 127.0.0.1:{port} 127.0.0.2:{port}")
        assert taken[0] == 1 and taken[2].endswith(
            f"cannot listen on tcp 127.0.0.2:{port}: Address already in use\n")
    assert reload(testbed, f"listen daytime/tcp {port}") == reloaded(daemon)


def test_connections_stay_open_across_a_reload(testbed, port):
    """Although their listener is closed."""
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        assert is_daytime(receive_all(connection))
        assert reload(testbed, f"listen daytime/tcp {free_port()}") == reloaded(daemon)
        for _ in range(3):
            connection.sendall(b"still here")  # after a reset the next one would fail
            assert connection.recv(1) == b""
        connection.shutdown(socket.SHUT_WR)


@pytest.mark.skipif(not (ZONES / "Asia/Tokyo").exists(), reason="needs the zone files of tzdata")
@pytest.mark.parametrize("how", ["reload", "hang-up"])
def test_a_changed_zone_file_in_tz_is_read(testbed, port, how):
    zone = testbed.dir / "zone"
    zone.write_bytes((ZONES / "Etc/GMT+8").read_bytes())
    daemon = testbed.listen(port, env={"TZ": f":{zone}"})
    early = hour(port)
    (testbed.dir / "new").write_bytes((ZONES / "Etc/GMT-8").read_bytes())
    os.rename(testbed.dir / "new", zone)
    assert testbed.signal("reload").code == 0 if how == "reload" else not daemon.signal(signal.SIGHUP)
    wait_until(lambda: (hour(port) - early) % 24 in (16, 17), what="the time of the new zone")


@needs_private("an /etc/localtime of its own")
def test_a_changed_etc_localtime_is_read(testbed, port):
    def local(zone):
        return mounted(ZONES / zone, "/etc/localtime", flags=MS_BIND)
    with local("Etc/GMT+8"):
        testbed.listen(port, env={"TZ": None})
        early = hour(port)
    with local("Etc/GMT-8"):
        assert testbed.signal("reload").code == 0
        assert (hour(port) - early) % 24 in (16, 17)


def hour(port):
    return int(query(port)[11:13])


def test_an_included_file_is_read_again(testbed, port):
    added = free_port()
    inner = testbed.config("", "inner.conf")
    daemon = start_with_file(testbed, "include inner.conf", f"listen daytime/tcp {port}")
    inner.write_text(f"listen daytime/tcp {added}\n")
    assert tuple(testbed.signal("reload")) == reloaded(daemon)
    assert serves(added) and serves(port)


def test_a_relative_path_still_starts_from_the_directory_of_the_caller(testbed, port):
    added = free_port()
    testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.start("-c", "t.conf", cwd=testbed.dir)
    assert reload(testbed, f"listen daytime/tcp {added}") == reloaded(daemon)
    assert serves(added)


def test_options_stay_in_effect(testbed, port):
    """The lines of the command line are added again."""
    other, added = free_port(), free_port()
    testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.start("-c", testbed.dir / "t.conf", "-o", f"listen daytime/tcp {other}")
    assert reload(testbed, f"listen daytime/tcp {added}") == reloaded(daemon)
    assert serves(added) and serves(other) and not serves(port)


def test_200_sighups_and_10_reloads_at_once_lose_no_reply(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with continuous_queries(testbed, port):
        reloads = [testbed.popen(testbed.command("-s", "reload")) for _ in range(fewer(10))]
        for _ in range(200):
            daemon.signal(signal.SIGHUP)
        for popen, _, _ in reloads:
            popen.wait(longer(10))
    descriptors = len(daemon.descriptors())
    assert tuple(testbed.signal("reload")) == reloaded(daemon)
    wait_until(lambda: len(daemon.descriptors()) <= descriptors, what="all other descriptors to be closed")


@pytest.mark.parametrize("request_", [
    b"nonsense", b"x" * 10000, b"\0", b"{}", b"[]", b'{"version":1}', b'{"version":1,"command":1}',
    b'{"version":2,"command":"reload"}', b'{"version":1,"command":"reload now"}',
    b'{"version":1,"version":1,"command":"reload"}', b"[" * 3000],
    ids=["nonsense", "long", "zero", "empty", "array", "no command", "a number", "another version",
         "almost", "twice", "deep"])
def test_the_control_socket_refuses_malformed_requests(testbed, port, request_):
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with connect_control(testbed) as connection:
        connection.send(request_)
        assert json.loads(connection.recv(1000)) == {
            "version": 1, "status": 2, "text": "malformed request"}
    with connect_control(testbed), connect_control(testbed):  # two connections without a request
        assert tuple(testbed.signal("reload")) == reloaded(daemon)
    assert is_daytime(query(port))


ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
    connection.connect(sys.argv[1])
    try:
        connection.send(b'{"version":1,"command":"status"}')
        print(connection.recv(1 << 18))
    except (BrokenPipeError, ConnectionResetError):
        print(b"")
"""


@needs_private("an ordinary user")
def test_the_control_socket_serves_root_and_its_own_user_only(testbed, port):
    """Also if the mode of the file is changed to 666."""
    start_with_file(testbed, f"listen daytime/tcp {port}")
    path = testbed.pidfile.with_suffix(".sock")
    refused = f"timeserver: control socket {path}: Permission denied\n"
    assert tuple(testbed.signal("status", **as_stranger())) == (77, "", refused)
    path.chmod(0o666)
    refused = f"timeserver: control socket {path}: belongs to another user\n"
    with connect_control(testbed) as connection:
        connection.send(b'{"version":1,"command":"status"}')
        assert b'"state":"serving"' in connection.recv(1 << 18)
    asked = testbed.run(sys.executable, "-c", ASK, path, **as_stranger())
    assert asked.out == "b''\n", "the daemon closes the connection"
    assert tuple(testbed.signal("status", **as_stranger())) == (77, "", refused)
    assert tuple(testbed.signal("reload", **as_stranger())) == (77, "", refused)
    os.chown(path, STRANGER, STRANGER)
    assert testbed.status()["state"] == "serving", "root is always served"


def test_status_shows_listeners_and_replies(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp 127.0.0.1:{port}")
    for _ in range(3):
        query(port)
    status = testbed.status()
    assert status["process"] == str(daemon.pid) and status["state"] == "serving"
    assert status["replies"] == "3" and status["listen"] == [f"daytime/tcp 127.0.0.1:{port}"]
    assert int(status["uptime"].split()[0]) < 60
