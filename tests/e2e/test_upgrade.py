"""Upgrade: a new process takes over the sockets of the running daemon, and no request is lost."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib import ntp
from lib.control import connect_control, ntp_and_daytime, request_upgrade
from lib.daytime_client import free_port, is_daytime, query, receive_all, serves
from lib.environment import (as_nobody, as_stranger, compile_c, fewer, INSTRUMENTED, longer, needs_private,
                             needs_program, SERVER, wait_until)
from lib.process import read_back

LOAD = pathlib.Path(__file__).with_name("lib") / "load.c"
# A factor: 10 means 20,000 requests and 2,000 connections a second, which needs an idle machine.
PACE = int(os.environ.get("TIMESERVER_PACE", "1"))


def sockets_of(process):
    """The network sockets of a process, by inode."""
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in process.proc(f"net/{table}").read_text().splitlines()[1:]:
            found.add(f"socket:[{line.split()[9]}]")
    return {link for link in process.descriptors().values() if link in found}


def test_the_new_process_has_the_same_sockets(testbed, port):
    """And the pid file and the control socket."""
    old = testbed.start(*ntp_and_daytime(port))
    held, files = sockets_of(old), testbed.files()
    new = testbed.start("--upgrade", *ntp_and_daytime(port))
    old.wait_gone()
    assert new.pid != old.pid and sockets_of(new) == held and len(held) >= 4
    assert testbed.files() == files and testbed.pidfile.read_text() == f"{new.pid}\n"
    assert testbed.status()["process"] == str(new.pid)
    assert json.loads(testbed.server("--signal", "status", "--json").out)["upgraded"]
    assert serves(port) and ntp.query(port)[0].stratum == 10
    assert testbed.signal("reload").out == f"timeserver: process {new.pid} reloaded\n"
    assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {new.pid} stopped\n", "")
    assert testbed.files() == []


def test_upgrade_without_a_running_daemon_is_a_start(testbed, port):
    daemon = testbed.start("--upgrade", *ntp_and_daytime(port))
    assert serves(port) and testbed.status()["process"] == str(daemon.pid)


def test_a_second_start_without_upgrade_is_refused(testbed, port):
    old = testbed.start(*ntp_and_daytime(port))
    assert tuple(testbed.server(*ntp_and_daytime(port))) == (
        1, "", f"timeserver: already running as process {old.pid} (pid file {testbed.pidfile})\n")


def test_an_upgrade_applies_the_new_configuration(testbed, port):
    """Listeners are added and removed, and the number of workers changes."""
    added = free_port()
    testbed.start(*ntp_and_daytime(port, "workers 2"))
    testbed.start("--upgrade", *ntp_and_daytime(port, f"listen time/tcp {added}", "workers 3"))
    assert serves(port) and len(query(added)) == 4 and testbed.status()["workers"] == "3"
    testbed.start("--upgrade", "-o", f"listen time/tcp {added}")
    wait_until(lambda: not serves(port), what="the old process to end")
    assert len(query(added)) == 4 and len(testbed.status()["listen"]) == 2


def test_connections_of_the_old_process_get_their_reply(testbed, port):
    old = testbed.start(*ntp_and_daytime(port))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        testbed.start("--upgrade", *ntp_and_daytime(port))
        assert is_daytime(receive_all(connection))
    old.wait_gone()


@pytest.mark.parametrize("change, status, reason", [
    (["-o", "nonsense"], 78, "nonsense: unknown directive"),
    (["-o", "user no-such-user"], 78, "unknown user"),
    (["-o", "listen daytime/tcp {taken}"], 1, "cannot listen on tcp {taken}: Address already in use"),
])
def test_a_new_process_that_cannot_start_changes_nothing(testbed, port, change, status, reason):
    """It fails before it requests the sockets, or hands them back; the old process logs that."""
    old = testbed.foreground("-n", *ntp_and_daytime(port))
    wait_until(lambda: serves(port))
    before = testbed.files()
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        words = [word.format(taken=taken) for word in change]
        failed = testbed.server("--upgrade", *ntp_and_daytime(port), *words)
    assert failed.code == status and reason.format(taken=taken) in failed.err and failed.out == ""
    assert serves(port) and old.alive()
    wait_until(lambda: testbed.signal("status").code == 0, what="the control socket")
    assert testbed.status()["process"] == str(old.pid) and testbed.files() == before
    assert testbed.pidfile.read_text() == f"{old.pid}\n"
    assert ("upgrade failed: " in old.log()) == (status == 1)
    testbed.start("--upgrade", *ntp_and_daytime(port))
    assert old.wait() == 0


def test_a_new_process_that_dies_changes_nothing(testbed, port):
    old = testbed.start(*ntp_and_daytime(port, "workers 1"))
    for _ in range(5):
        connection, messages, descriptors = request_upgrade(testbed)
        assert messages[:2] == [{"item": "pidfile"}, {"item": "control"}]
        assert len(descriptors) == len(messages) - 1 and messages[-1] == {"item": "end", "watchdog": 0}
        assert all((each["item"], each["shard"], each["inherited"]) == ("listener", 0, False)
                   for each in messages[2:-1])
        assert sorted(each["protocol"] for each in messages[2:-1]) == ["daytime/tcp"] * 2 + ["ntp"] * 2
        assert serves(port) and ntp.query(port)[0].stratum == 10, "during the upgrade"
        old.signal(signal.SIGHUP)  # the reload waits until the upgrade has failed
        connection.close()
        for descriptor in descriptors:
            os.close(descriptor)
        wait_until(lambda: testbed.signal("status").code == 0, what="the control socket")
        assert testbed.status()["process"] == str(old.pid)
    assert tuple(testbed.server(*ntp_and_daytime(port)))[0] == 1, "the pid file is locked again"
    assert testbed.signal("reload").code == 0 and serves(port)
    old.stop()
    assert testbed.files() == [], "they are its own again"


def test_a_new_process_that_keeps_the_pid_lock_for_a_moment(testbed, port):
    """The kernel may close the connection of a process that exits before it releases its lock."""
    old = testbed.start(*ntp_and_daytime(port))
    connection, _, descriptors = request_upgrade(testbed)
    fcntl.lockf(descriptors[0], fcntl.LOCK_EX, 1, 0)
    connection.close()
    time.sleep(0.1)
    fcntl.lockf(descriptors[0], fcntl.LOCK_UN, 1, 0)
    for descriptor in descriptors:
        os.close(descriptor)
    assert testbed.status()["process"] == str(old.pid)


def test_a_stop_during_an_upgrade(testbed, port):
    old = testbed.start(*ntp_and_daytime(port))
    connection, _, descriptors = request_upgrade(testbed)
    old.stop()
    connection.close()
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_reload_or_second_upgrade_during_an_upgrade_is_refused(testbed, port):
    """On connections from before the upgrade. Later connections wait until it is over."""
    old = testbed.start(*ntp_and_daytime(port))
    peers = [connect_control(testbed) for _ in range(3)]
    assert testbed.status()["process"] == str(old.pid), "the connections are accepted"
    connection, _, descriptors = request_upgrade(testbed)
    refused = {"version": 1, "status": 1, "text": "stopping, or being replaced"}
    for peer, command in zip(peers, ("reload", "upgrade", "status")):
        peer.send(json.dumps({"version": 1, "command": command}).encode())
        reply = json.loads(peer.recv(1 << 18))
        assert reply == refused or command == "status" and reply["state"] == "serving"
        peer.close()
    connection.close()
    for descriptor in descriptors:
        os.close(descriptor)
    assert testbed.status()["process"] == str(old.pid)


def test_two_upgrades_at_once(testbed, port):
    """One of them takes over, or both one after the other; one process is left."""
    old = testbed.start(*ntp_and_daytime(port))
    both = [testbed.popen(testbed.command("--upgrade", *ntp_and_daytime(port))) for _ in range(2)]
    codes = [popen.wait(longer(10)) for popen, _, _ in both]
    assert 0 in codes
    for code, (_, _, err) in zip(codes, both):
        assert code == 0 or read_back(err).endswith(": stopping, or being replaced\n")
    old.wait_gone()
    wait_until(lambda: len(testbed.processes()) == 1, what="one process")
    assert serves(port) and testbed.signal("stop").code == 0


@needs_private("an ordinary user")
def test_an_ordinary_user_keeps_a_low_port(testbed):
    """The socket that root has opened is handed over."""
    shutil.chown(testbed.dir, "nobody")
    testbed.start(*ntp_and_daytime(13), "-u", "nobody")
    mine = testbed.server("--upgrade", *ntp_and_daytime(13), **as_nobody())
    assert mine.code == 0, mine
    assert serves(13) and testbed.status()["user"] == "65534"


@needs_private("an ordinary user")
def test_only_root_and_the_user_of_the_daemon_can_upgrade_it(testbed, port):
    testbed.start(*ntp_and_daytime(port))
    testbed.pidfile.with_suffix(".sock").chmod(0o666)
    testbed.dir.chmod(0o755)
    refused = testbed.server("--upgrade", *ntp_and_daytime(port), **as_stranger())
    assert tuple(refused) == (77, "", f"timeserver: cannot create pid file {testbed.pidfile}: Permission denied\n")
    assert serves(port)


def test_an_upgrade_to_a_replaced_program(testbed, port):
    """The file of the running program was removed, and a new one has its path."""
    program = shutil.copy(SERVER, testbed.dir / "timeserver")
    command = [program, "--pidfile", testbed.pidfile, *ntp_and_daytime(port)]
    assert testbed.run(*command).code == 0
    held = testbed.status()["process"]
    os.unlink(program)
    shutil.copy(SERVER, program)
    assert testbed.run(*command, "--upgrade").code == 0
    now = testbed.status()["process"]
    assert now != held and os.readlink(f"/proc/{now}/exe") == str(program)
    assert testbed.signal("stop").code == 0


def test_a_reload_that_upgrades_if_need_be(testbed, port):
    """Only if the command is of another program file than the daemon. An error changes nothing."""
    config, program = testbed.config(f"listen daytime/tcp {port}\n"), testbed.dir / "new"
    words = ["-p", testbed.pidfile, "-c", config, "--signal", "reload", "--upgrade"]
    not_running = testbed.run(SERVER, *words)
    assert not_running.code == 1 and "not running" in not_running.err
    daemon = testbed.start("-c", config)
    assert serves(port)
    shutil.copy(SERVER, program)
    added = free_port()
    config.write_text(f"listen daytime/tcp {port} {added}\n")
    assert tuple(testbed.run(SERVER, *words)) == (0, f"timeserver: process {daemon.pid} reloaded\n", "")
    assert serves(added) and testbed.status()["replies"] == "2"
    config.write_text("nonsense\n")
    for command in (SERVER, program):
        assert tuple(testbed.run(command, *words)) == (78, "", f"{config}:1: nonsense: unknown directive\n")
    assert testbed.status()["process"] == str(daemon.pid)
    config.write_text(f"listen daytime/tcp {port}\n")
    assert testbed.run(program, *words).out.startswith("timeserver: serving as process ")
    assert testbed.status()["process"] != str(daemon.pid) and serves(port)
    wait_until(lambda: not serves(added), what="the listener of the old process to be closed")
    assert testbed.signal("stop").code == 0


@pytest.mark.parametrize("start, reload", [
    (["-o", "listen daytime/tcp {port}"], []),
    (["-c", "{config}"], ["-c", "{other}"]),
    (["-c", "{config}"], ["-c", "{config}", "-o", "workers 1"]),
    (["-c", "{config}", "-o", "workers 1", "-o", "busy-poll 1"], ["-c", "{config}", "-o", "workers 1"]),
    (["-c", "{config}", "-u", "root"], ["-c", "{config}"])])
def test_a_reload_that_may_upgrade_needs_the_options_of_the_start(testbed, port, start, reload):
    """Or the new process would lose them."""
    text = f"listen daytime/tcp {port}\n"
    paths = {"port": port, "config": testbed.config(text), "other": testbed.config(text, "other.conf")}
    start, reload = ([word.format(**paths) for word in words] for words in (start, reload))
    if "-u" in start and os.geteuid() != 0:
        pytest.skip("needs root")
    daemon, program = testbed.start(*start), shutil.copy(SERVER, testbed.dir / "new")
    words = ["-p", testbed.pidfile, "--signal", "reload", "--upgrade"]
    for command in (SERVER, program):
        assert tuple(testbed.run(command, *words, *reload)) == (2, "", (
            f"timeserver: process {daemon.pid} was started with other options: --signal reload --upgrade needs the"
            " same --config, --option and --user\n"))
    assert testbed.run(SERVER, *words, *start).out == f"timeserver: process {daemon.pid} reloaded\n"
    assert testbed.status()["process"] == str(daemon.pid) and serves(port)


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    program = tmp_path_factory.mktemp("load") / "load"
    compile_c(program, LOAD)
    return program


def full_queues():
    """The datagrams over IPv4 that found the queue of a socket full, in this network namespace."""
    lines = pathlib.Path("/proc/net/snmp").read_text().splitlines()
    names, values = [line.split() for line in lines if line.startswith("Udp:")]
    return int(values[names.index("RcvbufErrors")])


@needs_program("cc")
@pytest.mark.parametrize("change, times", [("reload", 100), ("upgrade", 20)])
def test_no_reply_is_lost(testbed, port, load, change, times):
    """At 2,000 requests and 200 connections a second, many changes and for at least a second. What the
    kernel drops because a queue is full is not lost by the daemon."""
    pace = 200 if INSTRUMENTED else 2000 * PACE
    testbed.start(*ntp_and_daytime(port, "ratelimit off"))
    before = full_queues()
    load_client = subprocess.Popen([load, "127.0.0.1", str(port), str(port), str(pace), str(pace // 10),
                                    "60000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    changes, until = 0, time.monotonic() + 1
    while changes < fewer(times) or time.monotonic() < until:
        if change == "reload":
            assert testbed.signal("reload").code == 0
        else:
            testbed.start("--upgrade", *ntp_and_daytime(port, "ratelimit off"))
        changes += 1
    count = json.loads(load_client.communicate(timeout=longer(30))[0])
    dropped = full_queues() - before
    print(f"{changes} times {change} at {pace} requests a second: {count['replies']} replies to"
          f" {count['requests']} requests, the slowest after {count['longest']} us;"
          f" {count['tcp_replies']} replies on {count['connections']} connections, the slowest after"
          f" {count['longest_connection']} us")
    assert count["requests"] == count["replies"] + dropped and count["replies"] > pace // 2
    assert count["tcp_replies"] == count["connections"] > 0
