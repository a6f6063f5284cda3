"""An upgrade that hangs: each side times out, and one of them serves."""
import contextlib
import fcntl
import json
import multiprocessing
import os
import signal
import socket

import pytest

from lib import ntp
from lib.control import ntp_and_daytime, request_upgrade
from lib.daytime_client import serves
from lib.environment import longer, needs_program, not_instrumented, wait_until
from lib.fake_daemon import fake_daemon, PID_LOCK, set_lock, upgrade_of_fake_daemon
from lib.process import lock_holder, read_back

TIMED_OUT = {"version": 1, "status": 1, "text": "timed out"}


@pytest.mark.parametrize("words, place", [
    (["--upgrade", "-n"], "the daemon of pid file {0}.pid"),
    (["--signal", "status"], "control socket {0}.sock"),
    (["--signal", "reload"], "control socket {0}.sock")], ids=["upgrade", "status", "reload"])
def test_a_request_to_a_hanging_daemon_times_out(testbed, words, place):
    """The message says that there was no reply."""
    with fake_daemon(testbed):
        place = place.format(testbed.pidfile.with_suffix(""))
        assert tuple(testbed.server(*words)) == (1, "", f"timeserver: {place}: no reply\n")


@pytest.mark.parametrize("words, place", [
    (["--upgrade", "-n"], "the daemon of pid file {0}.pid"),
    (["--signal", "status"], "control socket {0}.sock"),
    (["--signal", "reload"], "control socket {0}.sock")], ids=["upgrade", "status", "reload"])
def test_a_daemon_that_ends_does_not_refuse_root(testbed, words, place):
    """It closes the connection without a reply, as it does to users who are not allowed."""
    with fake_daemon(testbed) as (_, listening):
        starting, _, err = testbed.popen(testbed.command(*words))
        peer, _ = listening.accept()
        with peer:
            assert b"command" in peer.recv(100)
        code, place = starting.wait(longer(10)), place.format(testbed.pidfile.with_suffix(""))
    status, reason = (1, "stopping, or being replaced") if os.geteuid() == 0 else (77, "Permission denied")
    assert (code, read_back(err)) == (status, f"timeserver: {place}: {reason}\n")


@needs_program("strace")
@not_instrumented("system calls")
def test_the_daemon_of_an_older_version_sees_the_lock_of_the_new_process(testbed, port):
    """On its own pid file, also after that was replaced by one that others cannot read."""
    def new_holder():
        with contextlib.suppress(FileNotFoundError):
            return not os.path.samestat(os.fstat(fd), testbed.pidfile.stat()) and lock_holder(testbed.pidfile)
    slow = ["strace", "-f", "-o", "/dev/null", "-e", "inject=capset:delay_enter=100000000"]
    with fake_daemon(testbed) as (fd, listening):
        os.fchmod(fd, 0o644)
        tracer, _, _ = testbed.popen([*slow, *testbed.command("-n", "--upgrade", *ntp_and_daytime(port))])
        peer, _ = listening.accept()
        with peer:
            assert b"upgrade" in peer.recv(100)
            set_lock(fd, PID_LOCK, fcntl.F_UNLCK)
            socket.send_fds(peer, [b'{"item":"pidfile"}'], [fd])
            socket.send_fds(peer, [b'{"item":"control"}'], [listening.fileno()])
            peer.send(b'{"item":"end","watchdog":0}')
            new = wait_until(new_holder, 30, "the new pid file")
            assert lock_holder(f"/proc/self/fd/{fd}") == new
            os.kill(new, signal.SIGKILL)
            tracer.kill()  # which keeps the other one until the delay is over


def test_a_new_process_that_is_too_late_exits(testbed, port):
    """The daemon has timed out and serves on. The new process leaves the files alone."""
    with upgrade_of_fake_daemon(testbed, port) as (peer, fd, listening, outcome):
        peer.shutdown(socket.SHUT_RD)
        socket.send_fds(peer, [b'{"item":"pidfile"}'], [fd])
        socket.send_fds(peer, [b'{"item":"control"}'], [listening.fileno()])
        peer.send(b'{"item":"end"}')
        peer.send(json.dumps(TIMED_OUT).encode())
        code, err = outcome()
        assert code == 1 and err.endswith(
            f"timeserver: the daemon of pid file {testbed.pidfile}: timed out\n")
        assert not serves(port) and testbed.files() == ["t.pid", "t.sock"]


@pytest.mark.parametrize("refusal", [
    b'{"version":1,"status":2,"text":"malformed request"}', b'{"version":2,"status":1,"why":"busy"}'],
    ids=["a daemon that knows no upgrade", "another version"])
def test_a_refused_upgrade(testbed, port, refusal):
    with upgrade_of_fake_daemon(testbed, port) as (peer, _, _, outcome):
        peer.send(refusal)
        code, err = outcome()
        reason = json.loads(refusal).get("text", "")
        assert code == 1 and err.endswith(
            f"timeserver: the daemon of pid file {testbed.pidfile}: {reason}\n")
        assert testbed.files() == ["t.pid", "t.sock"]


def test_unknown_messages_of_a_newer_version_are_skipped(testbed, port):
    """Their descriptors are closed."""
    with upgrade_of_fake_daemon(testbed, port) as (peer, fd, listening, outcome):
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            for item in ({"item": "sandbox"}, {"item": "listener", "protocol": "chargen", "shard": 0,
                                               "inherited": False},
                         {"item": "listener", "protocol": "daytime/tcp", "shard": 1 << 20,
                          "inherited": False}, {"item": "listener"}, {}, ["item"],
                         {"item": "more" * 1000}, {"item": "later", "fleet": [1, 2]}):
                socket.send_fds(peer, [json.dumps(item).encode()], [other.fileno()])
        socket.send_fds(peer, [b'{"item":"pidfile","later":1}'], [fd])
        socket.send_fds(peer, [b'{"item":"control"}'], [listening.fileno()])
        peer.send(b'{"item":"end","watchdog":0,"later":1}')
        assert json.loads(peer.recv(100)) == {"version": 1, "command": "serving"}
        assert serves(port) and not serves(taken)
        peer.close()
        new = testbed.status()
        assert len(new["listen"]) == 4 and testbed.signal("stop").code == 0
        assert outcome()[0] == 0


def hang(testbed, exits):
    """A new process that takes the PID lock and never serves."""
    connection, _, descriptors = request_upgrade(testbed)
    assert tuple(testbed.signal("status")) == (
        1, "", f"timeserver: starting, or being replaced (pid file {testbed.pidfile})\n")
    set_lock(descriptors[0], PID_LOCK, fcntl.F_WRLCK)
    connection.settimeout(longer(20))
    assert json.loads(connection.recv(200)) == TIMED_OUT and connection.recv(200) == b""
    with pytest.raises(BrokenPipeError):
        connection.send(b'{"version":1,"command":"serving"}')
    while not exits:
        signal.pause()


@pytest.mark.parametrize("exits, words", [(True, []), (False, []), (False, ["-u", "root"])],
                         ids=["it exits", "it stays", "it stays, root"])
def test_a_new_process_that_hangs_changes_nothing(testbed, port, exits, words):
    """After the time-out the daemon serves on, and does the reload of a SIGHUP meanwhile. It kills a
    new process that does not exit: --signal would go to it. Where it is not permitted to, since that
    is a process of root, it takes a new pid file."""
    if words and os.geteuid() != 0:
        pytest.skip("needs root")
    old = testbed.foreground("-n", *ntp_and_daytime(port), *words)
    wait_until(lambda: serves(port))
    new_process = multiprocessing.get_context("fork").Process(target=hang, args=[testbed, exits])
    new_process.start()
    wait_until(lambda: testbed.signal("status").code == 1, what="the request of the new process")
    os.kill(old.pid, signal.SIGHUP)
    if exits or words or os.geteuid() != 0:
        new_process.join(longer(30))
        assert new_process.exitcode == (0 if exits else -signal.SIGKILL)
    wait_until(lambda: "upgrade failed: the new process did not take over; still serving\n" in old.log()
               and "reloaded: " in old.log(), 30, "the log records")
    assert ntp.query(port)[0].stratum == 10 and serves(port)
    wait_until(lambda: testbed.pidfile.exists() and testbed.pidfile.read_text() == f"{old.pid}\n", 20,
               "the PID lock")
    assert testbed.status()["process"] == str(old.pid) and testbed.signal("reload").code == 0
    new_process.kill()
    new_process.join()
    testbed.start("--upgrade", *ntp_and_daytime(port))
    assert old.wait() == 0
