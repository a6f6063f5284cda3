"""Other users of the machine: their locks, sockets, files and directories are not the daemon's."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys

import pytest

from lib.control import ntp_and_daytime
from lib.daytime_client import serves
from lib.environment import (as_stranger, compile_shim, GROUP, longer, needs_private, needs_program, not_instrumented,
                             STRANGER, USER, wait_until)
from lib.fake_daemon import fake_daemon, F_OFD_SETLK, FILE_LOCK, PID_LOCK, upgrade_of_fake_daemon
from lib.process import lock_holder

pytestmark = needs_private("other users")

SHIM = pathlib.Path(__file__).with_name("lib") / "shim_link.c"

# Locks both bytes of a file: "r" is a reader's lock, "w" a writer's, "R" a reader's that waits.
LOCK = """
import fcntl, os, struct, sys, time
path, kinds = sys.argv[1:]
try:
    file = os.open(path, os.O_RDWR | os.O_CREAT if kinds == "w" else os.O_RDONLY, 0o644)
except PermissionError:
    sys.exit("refused")
print("open", flush=True)
for byte in (0, 1) if kinds != "R" else (0,):
    lock = struct.pack("hh4xqqi4x", fcntl.F_WRLCK if kinds == "w" else fcntl.F_RDLCK, 0, byte, 1, 0)
    fcntl.fcntl(file, fcntl.F_SETLKW if kinds == "R" else fcntl.F_SETLK, lock)
print("locked", flush=True)
time.sleep(600)
"""

LISTEN = """
import socket, sys, time
taken = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
taken.bind(sys.argv[1])
taken.listen()
print("listening", flush=True)
while True:
    peer, _ = taken.accept()
    if peer.recv(4096):
        peer.send(b'{"version":1,"status":0,"text":"mine","state":"serving","process":1}')
"""


@contextlib.contextmanager
def stranger(code, *arguments, says):
    """A process of another user, which has printed this line."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **as_stranger()) as process:
        try:
            assert process.stdout.readline() == f"{says}\n"
            yield process
            assert process.poll() is None, "nothing has ended it"
        finally:
            process.kill()


@pytest.fixture
def shared(testbed):
    """A directory for all users, as /tmp."""
    os.chown(testbed.dir, 0, 0)
    testbed.dir.chmod(0o1777)
    return testbed.dir


def not_running(testbed):
    return 1, "", f"timeserver: not running (pid file {testbed.pidfile})\n"


def of_another_user(testbed):
    return 77, "", f"timeserver: control socket {testbed.pidfile.with_suffix('.sock')}: belongs to another user\n"


def is_private(testbed):
    return stat.S_IMODE(testbed.pidfile.stat().st_mode) == 0o600


def test_another_user_cannot_lock_the_pid_file(testbed, port):
    daemon = testbed.listen(port)
    for end in (lambda: None, daemon.kill):
        end()
        result = testbed.run(sys.executable, "-c", LOCK, testbed.pidfile, "r", **as_stranger())
        assert (result.code, result.err) == (1, "refused\n")
    assert tuple(testbed.signal("stop")) == not_running(testbed)
    testbed.listen(port)


def test_a_read_lock_on_the_pid_file_of_a_crashed_daemon(testbed, port):
    """Older versions let all users read the file."""
    testbed.listen(port).kill()
    testbed.pidfile.chmod(0o644)
    with stranger(LOCK, testbed.pidfile, "r", says="open") as process:
        assert process.stdout.readline() == "locked\n"
        for what in ("stop", "reload", "status"):
            assert tuple(testbed.signal(what)) == not_running(testbed)
        old = testbed.listen(port)
        assert is_private(testbed) and lock_holder(testbed.pidfile) == old.pid
        new = testbed.listen(port, "--upgrade")
        old.wait_gone()
        assert testbed.status()["process"] == str(new.pid) and testbed.files() == ["t.pid", "t.sock"]
        assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {new.pid} stopped\n", "")


def test_a_read_lock_during_the_upgrade_of_an_older_version(testbed, port):
    """The daemon releases its PID lock for the new process; another user waits for that."""
    old = testbed.start(*ntp_and_daytime(port))
    testbed.pidfile.chmod(0o644)
    with stranger(LOCK, testbed.pidfile, "R", says="open") as process:
        new = testbed.start("--upgrade", *ntp_and_daytime(port))
        old.wait_gone()
        assert process.stdout.readline() == "locked\n"
        assert is_private(testbed) and lock_holder(testbed.pidfile) == new.pid
        assert testbed.status()["process"] == str(new.pid) and serves(port)
        assert testbed.signal("stop").code == 0 and testbed.files() == []


def test_a_failed_upgrade_of_an_older_version(testbed, port):
    """The new process has replaced the pid file, and removes it; the daemon creates its own again."""
    old = testbed.start(*ntp_and_daytime(port))
    testbed.pidfile.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        failed = testbed.server("--upgrade", *ntp_and_daytime(port, f"listen time/tcp {taken}"))
    assert failed.code == 1 and f"tcp {taken}: Address already in use" in failed.err
    wait_until(lambda: lock_holder(testbed.pidfile) == old.pid, 20, "the lock")
    assert testbed.status()["process"] == str(old.pid) and serves(port)
    assert testbed.signal("stop").code == 0 and testbed.files() == []


def test_the_pid_file_and_socket_of_another_user(testbed, port, shared):
    """Nobody signals his process, asks it or takes sockets from it."""
    with stranger(LOCK, testbed.pidfile, "w", says="open") as locker, \
         stranger(LISTEN, testbed.pidfile.with_suffix(".sock"), says="listening"):
        assert locker.stdout.readline() == "locked\n"
        for what in ("stop", "reload", "status"):
            assert tuple(testbed.signal(what)) == of_another_user(testbed)
        for words in ([], ["--upgrade"]):
            assert tuple(testbed.server(*ntp_and_daytime(port), *words)) == (
                1, "", f"timeserver: pid file {testbed.pidfile}: belongs to another user\n")


def test_a_pid_file_that_others_can_write_to(testbed):
    """Then the process that locks it can be theirs."""
    testbed.pidfile.touch()
    testbed.pidfile.chmod(0o666)
    with stranger(LOCK, testbed.pidfile, "w", says="open") as locker:
        assert locker.stdout.readline() == "locked\n"
        assert tuple(testbed.signal("stop")) == not_running(testbed)


def test_a_control_socket_of_another_user(testbed, port, shared):
    control = testbed.pidfile.with_suffix(".sock")
    with stranger(LISTEN, control, says="listening"):
        for what in ("stop", "reload", "status"):
            assert tuple(testbed.signal(what)) == of_another_user(testbed)
        assert tuple(testbed.listen_result(port)) == (
            1, "", f"timeserver: cannot create control socket {control}: Address already in use\n")
        assert control.is_socket() and not testbed.pidfile.exists()


def test_a_control_socket_of_another_user_in_place_of_the_daemons(testbed, port, shared):
    daemon = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}")
    wait_until(lambda: serves(port))
    control = testbed.pidfile.with_suffix(".sock")
    control.unlink()
    daemon.signal(signal.SIGSTOP)
    control.unlink(missing_ok=True)
    with stranger(LISTEN, control, says="listening"), contextlib.ExitStack() as stack:
        stack.callback(daemon.signal, signal.SIGCONT)
        for words in (["-s", "reload"], ["-s", "status"], ["--upgrade", "-n", *ntp_and_daytime(port)]):
            assert tuple(testbed.server(*words)) == of_another_user(testbed)
        daemon.signal(signal.SIGCONT)
        wait_until(lambda: "using its abstract name" in daemon.log(), 20, "the abstract name")
        assert testbed.status()["process"] == str(daemon.pid)


def test_an_upgrade_takes_nothing_from_a_process_without_the_pid_lock(testbed, port):
    """Although it is a process of root."""
    with fake_daemon(testbed) as (_, listening):
        listening.close()
        control = testbed.pidfile.with_suffix(".sock")
        control.unlink()
        with subprocess.Popen([sys.executable, "-c", LISTEN, control], stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout.readline() == "listening\n"
            result = testbed.server("--upgrade", "-n", *ntp_and_daytime(port))
            other.kill()
        assert tuple(result) == (1, "", f"timeserver: control socket {control}: stopping, or being replaced\n")


def test_what_is_handed_over_keeps_its_owner(testbed, port):
    """Sockets, the control socket's file and the pid file."""
    with upgrade_of_fake_daemon(testbed, port, "-u", "nobody") as (peer, fd, listening, outcome), \
         socket.create_server(("127.0.0.1", 0)) as other:
        control = testbed.pidfile.with_suffix(".sock")
        for place in (other.fileno(), fd):
            os.chown(place, STRANGER, STRANGER)
        os.chown(testbed.dir, STRANGER, STRANGER)
        socket.send_fds(peer, [b'{"item":"pidfile"}'], [fd])
        socket.send_fds(peer, [b'{"item":"control"}'], [listening.fileno()])
        socket.send_fds(peer, [b'{"item":"listener","protocol":"daytime/tcp","shard":0,"inherited":true}'],
                        [other.fileno()])
        peer.send(b'{"item":"end","watchdog":0}')
        assert json.loads(peer.recv(100)) == {"version": 1, "command": "serving"}
        assert serves(port) and serves(other.getsockname()[1])
        assert [os.stat(place).st_uid for place in (other.fileno(), fd, control)] == [STRANGER, STRANGER, 0]
        peer.close()
        assert testbed.signal("stop").code == 0 and outcome()[0] == 0


@pytest.mark.parametrize("unsafe, reason", [("link", "has more than one hard link"),
                                            ("owner", "belongs to another user")])
def test_an_upgrade_refuses_an_unsafe_pid_file(testbed, port, unsafe, reason):
    with upgrade_of_fake_daemon(testbed, port) as (peer, fd, listening, outcome):
        if unsafe == "link":
            os.link(testbed.pidfile, testbed.dir / "linked")
        else:
            os.chown(fd, STRANGER, STRANGER)
        socket.send_fds(peer, [b'{"item":"pidfile"}'], [fd])
        socket.send_fds(peer, [b'{"item":"control"}'], [listening.fileno()])
        peer.send(b'{"item":"end","watchdog":0}')
        code, err = outcome()
        assert code == 1 and err.endswith(f"timeserver: pid file {testbed.pidfile}: {reason}\n")


@needs_program("cc")
@not_instrumented("a preloaded library")
@pytest.mark.parametrize("kind", ["file", "socket"])
def test_a_hard_link_in_place_of_the_control_socket(testbed, port, kind):
    """Planted between bind and the change of its owner."""
    library, precious = testbed.root / "shim.so", testbed.dir / "precious"
    compile_shim(library, SHIM)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(precious)) if kind == "socket" else precious.touch()
    testbed.listen(port, "-u", "nobody", env={"LD_PRELOAD": str(library), "SHIM_LINK": str(precious)})
    assert precious.stat().st_uid == 0 and os.path.samefile(precious, testbed.dir / "t.sock")


@pytest.fixture
def default_directory():
    """That of root, which does not exist at first."""
    directory = pathlib.Path("/run/timeserver")

    def remove():
        if directory.is_symlink():
            directory.unlink()
        elif directory.exists():
            directory.rmdir()
    remove()
    yield directory
    remove()


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777], ids=oct)
def test_the_default_directory_of_root_that_others_can_write_to(testbed, port, default_directory, mode):
    default_directory.mkdir()
    default_directory.chmod(mode)
    assert tuple(testbed.listen_result(port, pidfile=False)) == (
        77, "", f"timeserver: {default_directory}: is writable by other users\n")
    assert os.listdir(default_directory) == []


def test_a_link_in_place_of_the_default_directory_of_root(testbed, port, default_directory):
    default_directory.symlink_to(testbed.dir)
    assert tuple(testbed.listen_result(port, pidfile=False)) == (
        1, "", f"timeserver: {default_directory}: is not a directory\n")
    assert testbed.files() == []


def test_the_default_directory_of_another_user_becomes_the_daemons(testbed, port, default_directory):
    """It belonged to the user of an earlier daemon."""
    default_directory.mkdir()
    os.chown(default_directory, STRANGER, STRANGER)
    daemon = testbed.listen(port, pidfile=False)
    assert (default_directory.stat().st_uid, default_directory.stat().st_gid) == (USER, GROUP)
    daemon.stop()
