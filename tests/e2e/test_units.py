"""The units of dist/ under a real systemd."""
import contextlib
import pathlib
import re
import shutil
import socket
import sys

import pytest

from lib import ntp, systemd_machine
from lib.daytime_client import is_daytime, query, receive_all, refuses, serves
from lib.environment import BITS, fewer, needs_private, not_instrumented, SERVER, wait_until
from lib.neighbour import ip
from lib.stopped_thread import reap, stopped
from lib.web_process import serves_http


pytestmark = [needs_private("namespaces of its own"), not_instrumented("the sandbox"),
              pytest.mark.skipif(BITS == 32, reason="the units allow no calls of 32 bits here")]
UNIT, ACTIVATED = "timeserver.service", "timeserver-activated.service"


@pytest.fixture
def program(testbed):
    """The installed program."""
    reason = systemd_machine.reason_to_skip()
    if reason:
        pytest.skip(reason)
    program = testbed.root / "usr/sbin/timeserver"
    program.parent.mkdir(parents=True)
    shutil.copy(SERVER, program)
    return program


@pytest.fixture
def systemd(testbed, program):
    with systemd_machine.Systemd(testbed) as systemd:
        systemd.log, systemd.program = testbed.logs / "log", program
        yield systemd


def start(systemd, text, *units):
    for unit in units or [UNIT]:
        systemd.install_unit(unit, systemd.log)
    systemd.write_config(text)
    assert systemd.control("daemon-reload").code == 0
    started = systemd.control("start", (units or [UNIT])[-1])
    assert started.code == 0, (started, systemd.log.read_text())


def add_lines(systemd, unit, *lines):
    """Adds lines to the [Service] section of a unit."""
    directory = systemd.units / f"{unit}.d"
    directory.mkdir(exist_ok=True)
    (directory / "more.conf").write_text("\n".join(["[Service]", *lines, ""]))


def main_process(systemd, unit=UNIT):
    shown = systemd.show(unit)
    assert (shown["ActiveState"], shown["SubState"]) == ("active", "running"), shown
    return int(shown["MainPID"])


def links(systemd, process):
    """The sockets of a process, by inode."""
    found = systemd.run("sh", "-c", f"readlink /proc/{process}/fd/*").out.split()
    return {link for link in found if link.startswith("socket:")}


def status(systemd, unit=UNIT):
    """The lines of the status, by name; if a name is repeated, its last line."""
    name = unit.removesuffix(".service")
    shown = systemd.run(systemd.program, "-s", "status", "-p", f"/run/{name}/{name.split('-')[0]}.pid")
    assert shown.code == 0, shown
    return dict(line.split(": ", 1) for line in shown.out.splitlines())


def replace_program(systemd):
    systemd.program.rename(systemd.program.with_name("old"))
    shutil.copy(SERVER, systemd.program)


def test_start_reload_and_stop(systemd):
    """A reload puts the new configuration into effect and keeps the process, with its counters; a
    failed one changes nothing."""
    start(systemd, "listen daytime/tcp 13\nlisten ntp 123\nclock local\n")
    assert serves(13) and ntp.query(123)[0].stratum == 10
    process = main_process(systemd)

    systemd.write_config("listen daytime/tcp 13 37\nlisten ntp 123\nclock local stratum 7\n")
    reloaded = systemd.control("reload", UNIT)
    assert reloaded.code == 0, (reloaded, systemd.log.read_text())
    assert ntp.query(123)[0].stratum == 7 and serves(37)
    assert main_process(systemd) == process and status(systemd)["ntp"] == "2 of 2"
    assert systemd.show(UNIT)["StatusText"] == "serving daytime on tcp 13, daytime on tcp 37, ntp on udp 123"

    systemd.write_config("listen daytime/tcp 13\nnonsense\n")
    assert systemd.control("reload", UNIT).code != 0
    assert "timeserver.conf:2: nonsense: unknown directive" in systemd.log.read_text()
    assert main_process(systemd) == process and serves(37)

    assert systemd.control("stop", UNIT).code == 0
    assert systemd.show(UNIT)["Result"] == "success" and not serves(13)
    assert systemd.run("ls", "/run/timeserver").out == ""


def test_a_reload_upgrades_a_replaced_program(systemd):
    """The new process has the sockets of the old one; with errors in the configuration nothing changes."""
    start(systemd, "listen daytime/tcp 13\nlisten ntp 123\nclock local\n")
    first = main_process(systemd)
    held = links(systemd, first)
    replace_program(systemd)
    systemd.write_config("listen daytime/tcp 13\nnonsense\n")
    assert systemd.control("reload", UNIT).code != 0 and main_process(systemd) == first

    systemd.write_config("listen daytime/tcp 13\nlisten ntp 123\nclock local stratum 7\n")
    assert systemd.control("reload", UNIT).code == 0
    second = main_process(systemd)
    assert second != first and ntp.query(123)[0].stratum == 7
    wait_until(lambda: systemd.run("kill", "-0", str(first)).code != 0, what="the first process to end")
    assert main_process(systemd) == second and len(links(systemd, second) & held) >= 4
    assert systemd.control("reload", UNIT).code == 0 and main_process(systemd) == second


@contextlib.contextmanager
def log_of_systemd():
    """The file that systemd itself logs to. It is in the /dev of the tests."""
    path = pathlib.Path("/dev/kmsg")
    path.touch(exist_ok=False)
    try:
        yield path
    finally:
        path.unlink()


def test_the_status_text_is_that_of_the_new_process(testbed, program):
    """As soon as a reload has upgraded; and systemd takes no message for one of a wrong process."""
    with log_of_systemd() as log, systemd_machine.Systemd(testbed) as systemd:
        systemd.log, systemd.program = testbed.logs / "log", program
        add_lines(systemd, UNIT, "WatchdogSec=10")
        start(systemd, "")
        for port in range(2000, 2000 + fewer(12)):
            first = main_process(systemd)
            replace_program(systemd)
            systemd.write_config(f"listen daytime/tcp {port}\n")
            assert systemd.control("reload", UNIT).code == 0
            assert systemd.show(UNIT)["StatusText"] == f"serving daytime on tcp {port}"
            assert main_process(systemd) != first
        records = log.read_text().splitlines()
        assert sum("Reloaded" in record for record in records) == fewer(12), records
        assert not [record for record in records if "notification" in record]


def test_a_replaced_program_and_its_watchdog(testbed, systemd):
    """After an upgrade the watchdog of systemd applies to the new process."""
    systemd.install_unit(UNIT, systemd.log)
    add_lines(systemd, UNIT, "WatchdogSec=6", "RestartSec=0")
    systemd.write_config("")
    assert systemd.control("daemon-reload").code == 0 and systemd.control("start", UNIT).code == 0
    replace_program(systemd)
    assert systemd.control("reload", UNIT).code == 0
    process = main_process(systemd)
    program = systemd.run("readlink", f"/proc/{process}/exe").out.strip()
    assert program == str(systemd.program) and is_daytime(query(5050))
    testbed.run("sleep", "8")
    assert main_process(systemd) == process and systemd.show(UNIT)["NRestarts"] == "0"
    systemd.run("kill", "-STOP", str(process))
    wait_until(lambda: systemd.show(UNIT)["NRestarts"] == "1" and serves(5050), 30, "a restart")


def test_a_worker_that_hangs_is_restarted(testbed, systemd):
    """The main thread lives, but notifies the watchdog no more."""
    add_lines(systemd, UNIT, "WatchdogSec=6", "RestartSec=0")
    start(systemd, "listen ntp 5051\nclock local\nworkers 1\n")
    process = main_process(systemd)
    [outside] = [child for child in map(int, pathlib.Path(
        f"/proc/{systemd.process()}/task/{systemd.process()}/children").read_text().split())
        if f"\t{process}\n" in re.search("NSpid:.*\n", pathlib.Path(f"/proc/{child}/status").read_text())[0]]
    thread = max(int(path.name) for path in pathlib.Path(f"/proc/{outside}/task").iterdir())
    with stopped(thread):
        wait_until(lambda: reap(thread), 30, "the watchdog of systemd")
    wait_until(lambda: systemd.show(UNIT)["NRestarts"] == "1" and serves_ntp(5051), 30, "a restart")


def serves_ntp(port):
    with contextlib.suppress(OSError):
        return ntp.query(port)[0].stratum == 10


def test_an_upgrade_outside_of_the_service_is_refused(systemd):
    """systemd would not know the new process."""
    start(systemd, "")
    process = main_process(systemd)
    refused = systemd.run(systemd.program, "--upgrade")
    assert refused.code == 1 and refused.err == (
        "timeserver: the daemon of pid file /run/timeserver/timeserver.pid is run by systemd:"
        " use systemctl reload\n")
    assert main_process(systemd) == process and serves(5050)
    wait_until(lambda: systemd.run(systemd.program, "-s", "status").code == 0)


def test_socket_activation(systemd):
    """The first client starts the service. Reload and restart keep the sockets."""
    unit = ACTIVATED
    start(systemd, "clock local\n", unit, "timeserver.socket")
    assert systemd.show(unit)["ActiveState"] == "inactive"
    assert is_daytime(query(5050))
    first = main_process(systemd, unit)
    assert systemd.control("reload", unit).code == 0
    assert main_process(systemd, unit) == first and is_daytime(query(5050))
    replace_program(systemd)
    assert systemd.control("reload", unit).code == 0
    assert main_process(systemd, unit) != first and is_daytime(query(5050))
    with socket.create_connection(("127.0.0.1", 5050)) as client:
        assert is_daytime(receive_all(client))
    assert systemd.control("restart", unit).code == 0 and is_daytime(query(5050))


def test_socket_activation_of_ntp(systemd):
    """With the example in the unit: the first request starts the service and gets a reply."""
    unit, name = "timeserver-activated.service", "timeserver.socket"
    for each in (unit, name):
        systemd.install_unit(each, systemd.log)
    text = (systemd.units / name).read_text()
    systemd.write_unit(name, text.replace("#ListenDatagram=", "ListenDatagram="))
    systemd.write_config("clock local\n")
    assert systemd.control("daemon-reload").code == 0 and systemd.control("start", name).code == 0
    assert systemd.show(unit)["ActiveState"] == "inactive"
    for host in ("127.0.0.1", "::1", "127.0.0.2"):
        assert ntp.query(123, host)[0].stratum == 10
    main_process(systemd, unit)
    assert is_daytime(query(5050))
    assert systemd.control("reload", unit).code == 0 and ntp.query(123)[0].stratum == 10


def test_socket_activation_with_a_configuration_of_its_own(systemd):
    """As the comment in the unit says, where that of the other unit listens."""
    text = pathlib.Path(f"dist/{ACTIVATED}").read_text(encoding="ascii")
    [line] = re.findall("^# *(BindReadOnlyPaths=.*)$", text, re.MULTILINE)
    add_lines(systemd, ACTIVATED, line)
    start(systemd, "listen daytime/tcp 13\nclock follow 192.0.2.1\n", ACTIVATED, "timeserver.socket")
    assert systemd.run("sh", "-c", "echo workers 3 >/etc/timeserver/activated.conf").code == 0
    assert is_daytime(query(5050))
    assert status(systemd, ACTIVATED)["workers"] == "3"
    replace_program(systemd)
    assert systemd.control("reload", ACTIVATED).code == 0 and is_daytime(query(5050)) and not serves(13)
    assert status(systemd, ACTIVATED)["workers"] == "3"


def test_an_error_in_the_configuration_ends_the_activation(systemd):
    """After five starts, although a client waits, which would start the service again and again."""
    unit, name = ACTIVATED, "timeserver.socket"
    for each in (unit, name):
        systemd.install_unit(each, systemd.log)
    systemd.write_config("nonsense\n")
    assert systemd.control("daemon-reload").code == 0 and systemd.control("start", name).code == 0
    with socket.create_connection(("127.0.0.1", 5050)):
        wait_until(lambda: systemd.show(name)["ActiveState"] == "failed", 60, "the end of the socket")
    assert systemd.show(name)["Result"] == "service-start-limit-hit"
    assert systemd.log.read_text().count("nonsense: unknown directive") == 5


# Writes errno of a call that reads the state of the clock.
READ_CLOCK = """\
import ctypes, os
libc, state = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(512)
libc.clock_adjtime(0, state)
open(os.environ["RUNTIME_DIRECTORY"] + "/errno", "w").write(str(ctypes.get_errno()))
"""


@pytest.mark.parametrize("units", [[UNIT], [ACTIVATED, "timeserver.socket"]], ids=["service", "socket"])
def test_the_units_allow_what_the_daemon_needs(systemd, testbed, units):
    """To restrict itself, as outside of the unit, and to read the state of the clock."""
    script = testbed.config(READ_CLOCK, "read_clock.py")
    script.rename(systemd.program.with_name("read_clock.py"))
    add_lines(systemd, units[0], f"ExecStartPre={sys.executable} {systemd.program.with_name('read_clock.py')}")
    start(systemd, "listen ntp 123\nlisten daytime/tcp 5050\n" if len(units) == 1 else "", *units)
    assert is_daytime(query(5050))
    expected = re.search("^confinement: (.*)$", systemd.run(systemd.program, "--version").out, re.MULTILINE)
    assert status(systemd, units[0])["confined"] == expected[1]
    assert systemd.run("cat", f"/run/{units[0].removesuffix('.service')}/errno").out == "0"


def test_a_reload_upgrades_for_a_right_that_the_daemon_has_given_up(systemd):
    """As on a kernel without Landlock, it may not execute programs: only a new process can serve HTTP."""
    add_lines(systemd, UNIT, "SystemCallFilter=~landlock_create_ruleset")
    start(systemd, "listen daytime/tcp 13\n")
    first = main_process(systemd)
    assert status(systemd)["confined"] == "capabilities, new privileges, system calls"
    systemd.write_config("listen daytime/tcp 37\nlisten http *:8037\n")
    result = systemd.run(systemd.program, "-s", "reload")
    assert (result.code, result.out, result.err) == (
        77, "", "timeserver: listen http: the sandbox has no right to start the web process:"
        " needs --upgrade or a restart\n")
    assert serves(13) and not serves(37) and refuses(8037)
    assert systemd.control("reload", UNIT).code == 0 and main_process(systemd) != first
    assert serves(37) and refuses(13) and serves_http(8037)


def fail_to_start(systemd, text, *lines):
    """Starts a service that fails the first time."""
    systemd.install_unit(UNIT, systemd.log)
    add_lines(systemd, UNIT, *lines)
    systemd.write_config(text)
    assert systemd.control("daemon-reload").code == 0 and systemd.control("start", UNIT).code != 0


def test_a_start_is_repeated_until_a_port_is_free(systemd):
    """More often than the start limit of other units."""
    with socket.create_server(("", 13)):
        fail_to_start(systemd, "listen daytime/tcp 13\n", "RestartSec=100ms")
        wait_until(lambda: int(systemd.show(UNIT)["NRestarts"]) > 6, 20, "seven restarts")
        assert systemd.show(UNIT)["ExecMainStatus"] in ("0", "1")
    wait_until(lambda: serves(13), what="the next start")
    assert systemd.show(UNIT)["RestartUSec"] == "100ms"


@pytest.mark.parametrize("code, text, lines", [
    (78, "nonsense\n", []), (77, "listen daytime/tcp 13\n", ["AmbientCapabilities="]),
    (2, "", ["ExecStart=", "ExecStart={program} --nonsense"])], ids=["configuration", "right", "usage"])
def test_a_start_with_a_permanent_error_is_not_repeated(systemd, code, text, lines):
    fail_to_start(systemd, text, "RestartSec=0", *(line.format(program=systemd.program) for line in lines))
    shown = systemd.show(UNIT)
    assert (shown["ActiveState"], shown["ExecMainStatus"], shown["NRestarts"]) == ("failed", str(code), "0")


def test_an_address_that_comes_later(systemd):
    """The unit starts at once, and is reached as soon as the address is there."""
    start(systemd, "listen ntp 198.51.100.9\nclock local\n")
    assert "198.51.100.9:123" in status(systemd)["warning"]
    ip("address add 198.51.100.9 dev lo")
    try:
        assert ntp.query(123, "198.51.100.9")[0].stratum == 10 and "warning" not in status(systemd)
    finally:
        ip("address delete 198.51.100.9/32 dev lo")
