"""What a real journald records of a start that fails: with a priority, and the program's name once."""
import json
import os
import re
import shutil
import socket

import pytest

from lib import systemd_machine
from lib.daytime_client import serves
from lib.environment import BITS, CLIENT, needs_private, not_instrumented, SERVER, wait_until
from lib.peers import PEERS

JOURNALD = f"{PEERS}/lib/systemd/systemd-journald"

pytestmark = [needs_private("namespaces of its own"), not_instrumented("the sandbox"),
              pytest.mark.skipif(BITS == 32, reason="the units allow no calls of 32 bits here")]

UNIT = "timeserver.service"
ERROR, NOTICE = "3", "5"


class Journal:
    """journald, as a service of the systemd of the test; its /dev/log as well."""

    def __init__(self, systemd):
        self.systemd = systemd
        environment = f'Environment="LD_LIBRARY_PATH={systemd_machine.libraries()}"'
        systemd.write_unit("journald.service", "[Unit]\nDefaultDependencies=no\n[Service]\n"
                           f"Type=notify\n{environment}\nExecStart={JOURNALD}\nStandardError=null\n")
        assert systemd.run("sh", "-c", "echo 0123456789abcdef0123456789abcdef >/etc/machine-id").code == 0
        assert systemd.control("daemon-reload").code == 0
        assert systemd.control("start", "journald.service").code == 0
        os.symlink("/run/systemd/journal/dev-log", "/dev/log")

    def close(self):
        os.unlink("/dev/log")

    def records(self, program="timeserver"):
        """(priority, message) of each record of a program."""
        libraries = {"LD_LIBRARY_PATH": systemd_machine.libraries()}
        shown = self.systemd.run(f"{PEERS}/bin/journalctl", "-o", "json", "--directory=/run/log/journal",
                                 f"SYSLOG_IDENTIFIER={program}", env=libraries)
        assert shown.code == 0, shown
        records = [json.loads(line) for line in shown.out.splitlines()]
        return [(record["PRIORITY"], record["MESSAGE"]) for record in records]

    def wait_for(self, words, program="timeserver"):
        """The records with these words, once there is one."""
        return wait_until(lambda: [record for record in self.records(program) if words in record[1]], 20, words)


@pytest.fixture
def systemd(testbed):
    reason = systemd_machine.reason_to_skip()
    if reason or not os.path.exists(JOURNALD):
        pytest.skip(reason or f"needs {JOURNALD} (bench/fetch-peers)")
    program = testbed.root / "usr/sbin/timeserver"
    program.parent.mkdir(parents=True)
    shutil.copy(SERVER, program)
    with systemd_machine.Systemd(testbed) as systemd:
        systemd.program = program
        yield systemd


@pytest.fixture
def journal(systemd):
    journal = Journal(systemd)
    yield journal
    journal.close()


def write_unit(systemd, settings):
    systemd.write_unit(UNIT, f"[Service]\n{settings}\n")
    assert systemd.control("daemon-reload").code == 0


@pytest.mark.parametrize("kind, option", [("exec", "--foreground"), ("forking", ""), ("notify", "")])
def test_errors_of_the_configuration(systemd, journal, kind, option):
    """One record each, whichever way the unit starts it."""
    systemd.write_config("nonsense\nsyslog\n")
    write_unit(systemd, f"Type={kind}\nExecStart={systemd.program} {option}")
    systemd.control("start", UNIT)
    journal.wait_for("syslog: expected")
    assert journal.records() == [
        (ERROR, "/etc/timeserver/timeserver.conf:1: nonsense: unknown directive"),
        (ERROR, "/etc/timeserver/timeserver.conf:2: syslog: expected a facility: daemon, user, local0 to local7, ...")]


@pytest.mark.parametrize("kind, option", [("exec", "--foreground"), ("forking", ""), ("notify", "")])
def test_a_port_in_use(systemd, journal, kind, option):
    message = "cannot listen on tcp 5050: Address already in use"
    with socket.create_server(("", 5050)):  # also after "start", which waits for execve(2) alone with Type=exec
        write_unit(systemd, f"Type={kind}\nExecStart={systemd.program} {option}")
        systemd.control("start", UNIT)
        assert journal.wait_for(message) == [(ERROR, message)]
    assert journal.records() == [(ERROR, message)]


@pytest.mark.parametrize("words, message", [
    ("--nonsense", "unrecognized option '--nonsense'"), ("extra", "unexpected argument 'extra'"),
    ("--signal stop", "not running (pid file /run/timeserver/timeserver.pid)"),
    ("--config /no/file", "cannot read /no/file: No such file or directory")])
def test_an_error_of_the_command(systemd, journal, words, message):
    write_unit(systemd, f"ExecStart={systemd.program} {words}")
    systemd.control("start", UNIT)
    found = journal.wait_for(message)
    assert len(found) == 1 and found[0][0] == ERROR
    assert "timeserver: " not in found[0][1]


def test_a_reload_by_the_unit(systemd, journal):
    """Its messages on standard output as well."""
    text = open(f"dist/{UNIT}", encoding="ascii").read()
    systemd.write_unit(UNIT, text.replace("@PREFIX@", str(systemd.program.parents[1])))
    systemd.write_config("")
    assert systemd.control("daemon-reload").code == 0 and systemd.control("start", UNIT).code == 0
    assert systemd.control("reload", UNIT).code == 0 and serves(5050)
    systemd.write_config("nonsense\n")
    assert systemd.control("reload", UNIT).code != 0
    journal.wait_for("nonsense: unknown directive")
    records = journal.records()
    assert (ERROR, "/etc/timeserver/timeserver.conf:1: nonsense: unknown directive") in records
    assert any(priority == NOTICE and re.fullmatch(r"process \d+ reloaded", message) for priority, message in records)
    assert not [message for _, message in records if "timeserver: " in message], records


@pytest.mark.parametrize("words, message", [
    ("--nonsense", "unrecognized option '--nonsense'"), ("--json --check", "--json and --check cannot be used together"),
    ("127.0.0.1:9", "127.0.0.1:9: Connection refused"), ("--set step 127.0.0.1:9", "clock not set: ")])
def test_the_client(systemd, journal, words, message):
    """As a service, for example with --set at boot."""
    client = shutil.copy(CLIENT, systemd.program.parent)
    write_unit(systemd, f"ExecStart={client} {words}")
    systemd.control("start", UNIT)
    found = journal.wait_for(message, "timeclient")
    assert len(found) == 1 and found[0][0] == ERROR
    assert "timeclient: " not in found[0][1]
