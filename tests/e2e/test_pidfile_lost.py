"""The pid file and the control socket vanish while the daemon runs: commands still find it, no second daemon
starts, and it creates them again."""
import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys

import pytest

from lib.control import listener_of
from lib.daytime_client import free_port, is_daytime, query, serves
from lib.environment import (as_nobody, as_stranger, GROUP, longer, needs_private, needs_program, NOBODY,
                             not_instrumented, USER, wait_until)
from lib.isolate import mount, unmount
from lib.process import lock_holder

NAMESPACE = ["unshare", "--pid", "--fork", "--"]


def abstract_names():
    with open("/proc/net/unix") as table:
        return {line.split(None, 7)[7].strip() for line in table if line.count(" @")}


def wait_for_abstract_name(testbed):
    name = f"@{testbed.pidfile.with_suffix('.sock')}"
    wait_until(lambda: name in abstract_names(), 20, "the abstract name")


def wait_restored(testbed, pid):
    wait_until(lambda: testbed.pidfile.exists() and testbed.pidfile.read_text() == f"{pid}\n" and
               lock_holder(testbed.pidfile) == pid, 20, "the pid file")


def lose(testbed, how):
    testbed.pidfile.unlink()
    if how == "replaced":  # so that it cannot be created again
        testbed.pidfile.mkdir()


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_commands_find_the_daemon_without_its_pid_file(testbed, port, how):
    daemon = testbed.listen(port)
    lose(testbed, how)
    assert testbed.status()["process"] == str(daemon.pid)
    assert tuple(testbed.signal("reload")) == (0, f"timeserver: process {daemon.pid} reloaded\n", "")
    assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {daemon.pid} stopped\n", "")
    assert not daemon.alive() and testbed.files() == (["t.pid"] if how == "replaced" else [])


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_second_daemon_does_not_start_on_its_name(testbed, port, how):
    first = testbed.listen(port)
    lose(testbed, how)
    second = testbed.server("-o", f"listen daytime/tcp {free_port()}")
    assert tuple(second) == (1, "", f"timeserver: already running as process {first.pid} "
                             f"(pid file {testbed.pidfile})\n")
    if how == "removed":
        wait_restored(testbed, first.pid)
    first.stop()
    assert testbed.files() == (["t.pid"] if how == "replaced" else [])


@pytest.mark.parametrize("names", [["t.pid"], ["t.sock"], ["t.pid", "t.sock"]], ids=" ".join)
def test_the_daemon_creates_them_again(testbed, port, names):
    daemon = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}")
    wait_until(lambda: serves(port))
    for _ in range(2):
        for name in names:
            (testbed.dir / name).unlink()
        wait_until(lambda: testbed.files() == ["t.pid", "t.sock"], 20, "both files")
        wait_restored(testbed, daemon.pid)
        for name in ("t.pid", "t.sock"):
            assert stat.S_IMODE((testbed.dir / name).stat().st_mode) == 0o600
        assert testbed.status()["process"] == str(daemon.pid) and testbed.signal("reload").code == 0
    assert daemon.log().count(" was removed: created again\n") == 2 * len(names)
    daemon.stop()
    assert testbed.files() == []


def test_an_upgrade_without_the_pid_file(testbed, port):
    old = testbed.listen(port)
    testbed.pidfile.unlink()
    new = testbed.listen(port, "--upgrade")
    old.wait_gone()
    assert testbed.status()["process"] == str(new.pid) and new.pid != old.pid
    wait_restored(testbed, new.pid)
    testbed.pidfile.unlink()
    assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {new.pid} stopped\n", "")


def test_the_file_of_another_daemon_is_left_alone(testbed, port):
    """Pid file and control socket were removed, and another daemon has created them before this one."""
    first = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}")
    wait_until(lambda: serves(port))
    first.signal(signal.SIGSTOP)
    for name in testbed.files():
        (testbed.dir / name).unlink()
    second = testbed.listen(free_port())
    first.signal(signal.SIGCONT)
    wait_until(lambda: "pid file" in first.log(), 20, "the first daemon to look for its files")
    # Only root opens a file that root has created; the daemon is another user by then.
    reason = (f"already running as process {second.pid} (pid file {testbed.pidfile})" if os.geteuid() != 0 else
              f"cannot create pid file {testbed.pidfile}: Permission denied")
    assert f"cannot be created again: {reason}\n" in first.log()
    first.stop()
    assert testbed.pidfile.read_text() == f"{second.pid}\n"
    assert testbed.status()["process"] == str(second.pid)


def make_directory(directory):
    """As root makes it for the user of the daemon."""
    directory.mkdir(exist_ok=True)
    os.chown(directory, USER, GROUP)


@contextlib.contextmanager
def subdirectory(testbed):
    testbed.pidfile = testbed.dir / "sub" / "t.pid"
    make_directory(testbed.pidfile.parent)
    yield testbed.pidfile.parent


def remove(directory):
    """The daemon may create a file meanwhile."""
    def is_removed():
        shutil.rmtree(directory, ignore_errors=True)
        return not directory.exists()
    wait_until(is_removed, what="the directory to be removed")


def test_the_directory_is_removed(testbed, port):
    """Then the daemon listens at the abstract name of its control socket."""
    with subdirectory(testbed) as directory:
        daemon = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}")
        wait_until(lambda: serves(port))
        remove(directory)
        wait_for_abstract_name(testbed)
        assert testbed.status()["process"] == str(daemon.pid)
        for _ in range(2):
            second = testbed.server("-o", f"listen daytime/tcp {free_port()}")
            assert tuple(second) == (1, "", f"timeserver: already running as process {daemon.pid} "
                                     f"(pid file {testbed.pidfile})\n")
            make_directory(directory)
        assert daemon.log().count("cannot be created again") == 1
        assert daemon.log().count("using its abstract name") == 1
        new = testbed.listen(port, "--upgrade")
        assert daemon.wait() == 0
        wait_restored(testbed, new.pid)
        wait_until(lambda: testbed.files() == ["sub", "sub/t.pid", "sub/t.sock"], 20, "the control socket")
        assert testbed.status()["process"] == str(new.pid)
        assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {new.pid} stopped\n", "")


def test_an_upgrade_without_the_directory(testbed, port):
    with subdirectory(testbed) as directory:
        old = testbed.listen(port)
        listener = listener_of(old, port)
        remove(directory)
        wait_for_abstract_name(testbed)
        new = testbed.listen(port, "--upgrade")
        old.wait_gone()
        assert listener_of(new, port) == listener
        assert testbed.status()["process"] == str(new.pid) and testbed.files() == []
        assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {new.pid} stopped\n", "")


@needs_private("mounts and an ordinary user")
def test_a_logout_that_removes_the_runtime_directory(testbed, port):
    runtime = testbed.dir / "runtime"
    own = as_nobody() | {"env": {"XDG_RUNTIME_DIR": str(runtime)}, "pidfile": False}

    def log_in():
        runtime.mkdir()
        mount("tmpfs", runtime, "tmpfs", 0, f"mode=700,uid={NOBODY}")
    log_in()
    daemon = testbed.listen(port, **own)
    unmount(runtime)
    runtime.rmdir()
    testbed.pidfile = runtime / "timeserver/timeserver.pid"
    wait_for_abstract_name(testbed)
    log_in()
    try:
        status = testbed.server("-s", "status", **own)
        assert status.code == 0 and f"process: {daemon.pid}\n" in status.out
        second = testbed.server("-o", f"listen daytime/tcp {free_port()}", **own)
        assert second.err == (f"timeserver: already running as process {daemon.pid} "
                              f"(pid file {testbed.pidfile})\n")
        new = testbed.listen(port, "--upgrade", **own)
        daemon.wait_gone()
        wait_restored(testbed, new.pid)
        stopped = testbed.server("-s", "stop", **own)
        assert tuple(stopped) == (0, f"timeserver: process {new.pid} stopped\n", "")
    finally:
        unmount(runtime)


@needs_private("the default paths")
@not_instrumented("the sandbox, without which the directory is made again")
@pytest.mark.parametrize("user", [["-u", "root"], ["-u", "nobody"], []], ids=["root", "nobody", "default"])
def test_the_default_directory_of_root_is_removed(testbed, port, user):
    """Commands know the user of the daemon from the configuration and the options."""
    testbed.listen(port, *user, pidfile=False)
    shutil.rmtree("/run/timeserver")
    name = "@/run/timeserver/timeserver.sock"
    wait_until(lambda: name in abstract_names(), 20, "the abstract name")
    new = testbed.listen(port, *user, "--upgrade", pidfile=False)
    wait_until(lambda: sorted(os.listdir("/run/timeserver")) == ["timeserver.pid", "timeserver.sock"], 20,
               "both files")
    stopped = testbed.server("-s", "stop", *user, pidfile=False)
    assert tuple(stopped) == (0, f"timeserver: process {new.pid} stopped\n", "")
    assert os.listdir("/run/timeserver") == []


@needs_private("another user")
def test_an_abstract_name_of_another_user_is_ignored(testbed, port):
    """Anyone can take it: it stops no start, and gets no signal."""
    name = str(testbed.pidfile.with_suffix(".sock"))
    code = ("import socket, sys, time\n"
            "with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as taken:\n"
            "    taken.bind('\\0' + sys.argv[1])\n"
            "    taken.listen()\n"
            "    time.sleep(600)\n")
    other, _, _ = testbed.popen([sys.executable, "-c", code, name], **as_stranger())
    wait_until(lambda: f"@{name}" in abstract_names(), 20, "the abstract name")
    for what in ("stop", "reload", "status"):
        assert tuple(testbed.signal(what)) == (
            1, "", f"timeserver: not running (pid file {testbed.pidfile})\n")
    daemon = testbed.listen(port)
    assert testbed.status()["process"] == str(daemon.pid) and other.poll() is None
    other.kill()
    other.wait()


@needs_program("systemd-tmpfiles")
def test_systemd_tmpfiles_keeps_away(testbed, port):
    """Where old files are removed, as in /tmp after 10 days."""
    for name in ("ours", "other"):
        directory = testbed.dir / name
        directory.mkdir()
        (directory / "old").touch()
    testbed.pidfile = testbed.dir / "ours" / "t.pid"
    daemon = testbed.listen(port)
    for path in testbed.dir.rglob("*"):
        os.utime(path, (0, 0))
    rule = testbed.root / "rule.conf"
    rule.write_text(f"d {testbed.dir} - - - mM:1h\n")
    subprocess.run(["systemd-tmpfiles", "--clean", rule], check=True, timeout=longer(20))
    assert testbed.files() == ["ours", "ours/old", "ours/t.pid", "ours/t.sock"]
    daemon.stop()


@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_the_lock_of_the_directory(testbed, port, mode):
    """A directory of all users is not locked: its other files are to be removed when they are old."""
    testbed.dir.chmod(mode)
    other = testbed.dir / "o.pid"
    daemons = [testbed.listen(port), testbed.listen(free_port(), "-p", other)]
    directory = os.open(testbed.dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for daemon in daemons:
            with contextlib.nullcontext() if mode & 0o1000 else pytest.raises(BlockingIOError):
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            daemon.stop()
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(directory)


@needs_private("PID namespaces")
@pytest.mark.parametrize("how", ["there", "removed"])
def test_from_another_pid_namespace(testbed, port, how):
    """It shares the pid file and the control socket, but not the process IDs."""
    daemon = testbed.listen(port)
    if how == "removed":
        lose(testbed, "replaced")

    def server(*words):
        return tuple(testbed.run(*NAMESPACE, *testbed.command(*words)))
    code, out, err = server("-s", "status")
    assert (code, err) == (0, "") and f"process: {daemon.pid}\nstate: serving\n" in out
    assert server("-s", "reload") == (0, "timeserver: process in another PID namespace reloaded\n", "")
    assert server("-s", "stop") == (1, "", "timeserver: cannot stop a process in another PID namespace "
                                    f"(pid file {testbed.pidfile})\n")
    for words in ([], ["--upgrade"]):
        code, out, err = server("-o", f"listen daytime/tcp {free_port()}", *words)
        assert (code, out) == (1, "") and err.endswith(
            f"timeserver: already running in another PID namespace (pid file {testbed.pidfile})\n")
    assert is_daytime(query(port)) and daemon.alive()


@needs_private("PID namespaces")
def test_a_daemon_in_another_pid_namespace(testbed, port):
    """Its processes are visible from outside, where they have other IDs."""
    daemon = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}", before=NAMESPACE)
    wait_until(lambda: serves(port))
    assert testbed.pidfile.read_text() == "1\n" and testbed.signal("reload").code == 0
    assert testbed.signal("stop").code == 0
    daemon.wait()
