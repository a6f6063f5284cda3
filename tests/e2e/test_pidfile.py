"""The pid file: a lock decides, not the content, and no other file is ever harmed."""
import os
import pathlib
import signal
import socket
import stat
import subprocess

import pytest

from lib.daytime_client import is_daytime, query, serves
from lib.environment import (as_nobody, as_stranger, fewer, GROUP, longer, needs_private, NOBODY,
                             not_instrumented, STRANGER, USER, wait_until)
from lib.isolate import mounted
from lib.process import Daemon, lock_holder, read_back, Result


def test_content_mode_and_lock(testbed, port):
    daemon = testbed.listen(port)
    assert testbed.pidfile.read_text() == f"{daemon.pid}\n"
    assert lock_holder(testbed.pidfile) == daemon.pid
    assert testbed.files() == ["t.pid", "t.sock"]
    for name in ("t.pid", "t.sock"):
        assert stat.S_IMODE((testbed.dir / name).stat().st_mode) == 0o600
    daemon.stop()
    assert testbed.files() == []


def test_200_starts_at_once_leave_exactly_one(testbed, port):
    """All wait for one pipe to close, and then start together."""
    own = testbed.command("-o", f"listen daytime/tcp {port}")
    command = ["sh", "-c", 'read go; exec "$@"', "sh", *own]
    reader, writer = os.pipe()
    starts = [testbed.popen(command, stdin=reader) for _ in range(fewer(200))]
    os.close(reader)
    os.close(writer)
    codes = [popen.wait(longer(30)) for popen, _, _ in starts]
    assert sorted(codes) == [0] + [1] * (len(starts) - 1)
    winner = codes.index(0)
    testbed.running.append(Daemon(testbed, Result(
        0, read_back(starts[winner][1]), "", 0)))
    daemon = testbed.running[-1]
    errors = {read_back(err) for number, (_, _, err) in enumerate(starts) if number != winner}
    assert errors == {f"timeserver: already running as process {daemon.pid} "
                      f"(pid file {testbed.pidfile})\n"}
    assert testbed.processes() == [daemon.pid] and is_daytime(query(port))


def test_a_start_works_at_once_after_sigkill(testbed, port):
    for _ in range(fewer(10)):
        daemon = testbed.listen(port)
        query(port)
        daemon.kill()
        assert testbed.pidfile.exists()
    assert is_daytime(query(testbed.listen(port) and port))


@pytest.mark.parametrize("content", [
    "{other}\n", "", "0\n", "-1\n", "99999999999999999999\n", "1\n", "  12", "4711\r\n", "\0" * 5],
    ids=repr)
def test_stale_content_never_blocks_a_start(testbed, port, content):
    """Also if it is the number of a running process, this one."""
    testbed.pidfile.write_text(content.format(other=os.getpid()))
    daemon = testbed.listen(port)
    assert testbed.pidfile.read_text() == f"{daemon.pid}\n"


@pytest.mark.parametrize("content", ["words", "x" * 100000, "4711 notes\n", "4711\n" * 10, "1.5\n"],
                         ids=lambda text: text[:12])
def test_a_file_with_other_content_is_not_overwritten(testbed, port, content):
    """It was named by mistake, as -p ~/notes.txt."""
    testbed.pidfile.write_text(content)
    result = testbed.server("-o", f"listen daytime/tcp {port}")
    assert tuple(result) == (1, "", f"timeserver: pid file {testbed.pidfile}: has other content than a "
                             "process ID\n")
    assert testbed.pidfile.read_text() == content and testbed.files() == ["t.pid"]


@pytest.mark.parametrize("what", ["stop", "reload", "status"])
def test_a_stale_file_is_not_taken_for_a_running_daemon(testbed, what):
    """No signal goes to the process that has the number now."""
    other, _, _ = testbed.popen(["sleep", "60"])
    testbed.pidfile.write_text(f"{other.pid}\n")
    code, out, err = testbed.signal(what)
    assert (code, out, err) == (1, "", f"timeserver: not running (pid file {testbed.pidfile})\n")
    assert other.poll() is None
    other.kill()
    other.wait()


def plant(kind, path, target):
    if kind == "dangling symlink":
        path.symlink_to(target.with_name("nothing"))
    elif kind == "symlink":
        path.symlink_to(target)
    elif kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as planted:
            planted.bind(str(path))
    else:
        os.link(target, path)


def identity(path):
    """The attributes that would show a change."""
    status = os.lstat(path)
    return (status.st_ino, status.st_mode, status.st_uid, status.st_nlink, status.st_size,
            status.st_mtime_ns, status.st_ctime_ns)


PLANTED = [("symlink", "is a symbolic link"), ("dangling symlink", "is a symbolic link"),
           ("directory", "is a directory"), ("FIFO", "is a FIFO"),
           ("socket", "is a socket"), ("hard link", "has more than one hard link")]


@pytest.mark.parametrize("kind, reason", PLANTED)
def test_a_planted_pid_file_is_refused_and_left_alone(testbed, port, kind, reason):
    target = testbed.dir / "precious"
    target.write_text("precious\n")
    plant(kind, testbed.pidfile, target)
    before = testbed.files(), identity(testbed.pidfile), identity(target)
    code, out, err = testbed.server("-o", f"listen daytime/tcp {port}")
    assert (code, out, err) == (1, "", f"timeserver: pid file {testbed.pidfile}: {reason}\n")
    assert (testbed.files(), identity(testbed.pidfile), identity(target)) == before
    assert target.read_text() == "precious\n"
    assert testbed.signal("stop").err == f"timeserver: not running (pid file {testbed.pidfile})\n"


@pytest.mark.parametrize("kind", ["symlink", "dangling symlink", "directory", "FIFO", "hard link"])
def test_a_planted_control_socket_is_refused_and_left_alone(testbed, port, kind):
    target, control = testbed.dir / "precious", testbed.dir / "t.sock"
    target.write_text("precious\n")
    plant(kind, control, target)
    before = testbed.files()
    code, out, err = testbed.server("-o", f"listen daytime/tcp {port}")
    assert (code, out) == (1, "")
    assert err == f"timeserver: cannot create control socket {control}: Address already in use\n"
    assert testbed.files() == before and target.read_text() == "precious\n"


@needs_private("the default paths")
@pytest.mark.parametrize("words, owner", [([], USER), (["-u", "root"], 0)], ids=["default", "root"])
def test_default_path_of_root(testbed, port, words, owner):
    daemon = testbed.listen(port, *words, pidfile=False, umask=0o077)
    directory = os.stat("/run/timeserver")
    assert stat.S_IMODE(directory.st_mode) == 0o755 and directory.st_uid == owner
    with open("/run/timeserver/timeserver.pid") as file:
        assert file.read() == f"{daemon.pid}\n"
    result = testbed.server("--signal", "stop", pidfile=False)
    assert (result.code, result.out) == (0, f"timeserver: process {daemon.pid} stopped\n")
    assert os.listdir("/run/timeserver") == []


@needs_private("an ordinary user")
def test_default_path_of_a_user_with_a_runtime_directory(testbed, port):
    os.chown(testbed.dir, NOBODY, NOBODY)
    own = as_nobody() | {"env": {"XDG_RUNTIME_DIR": str(testbed.dir)}}
    testbed.listen(port, pidfile=False, **own)
    assert testbed.files() == ["timeserver", "timeserver/timeserver.pid", "timeserver/timeserver.sock"]
    assert stat.S_IMODE((testbed.dir / "timeserver").stat().st_mode) == 0o700
    assert testbed.server("--signal", "stop", pidfile=False, **own).code == 0


@needs_private("an ordinary user, and a /tmp of its own")
def test_default_path_of_a_user_without_a_runtime_directory(testbed, port):
    with mounted("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"):
        daemon = testbed.listen(port, pidfile=False, **as_nobody())
        directory = os.stat(f"/tmp/timeserver-{NOBODY}")
        assert stat.S_IMODE(directory.st_mode) == 0o700 and directory.st_uid == NOBODY
        daemon.stop()


@needs_private("an ordinary user, and a /tmp of its own")
@pytest.mark.parametrize("kind", ["symlink", "of another user", "world-writable"])
def test_an_unsafe_directory_in_tmp_is_refused(testbed, port, kind):
    with mounted("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"):
        directory = f"/tmp/timeserver-{NOBODY}"
        os.chmod(testbed.dir, 0o777)
        if kind == "symlink":
            os.symlink(testbed.dir, directory)
        else:
            os.mkdir(directory)
            os.chown(directory, 0 if kind == "of another user" else NOBODY, NOBODY)
            os.chmod(directory, 0o777)
        code, out, err = testbed.server("-o", f"listen daytime/tcp {port}", pidfile=False,
                                        **as_nobody())
        reason, expected = {"symlink": ("is not a directory", 1),
                            "of another user": ("belongs to another user", 77),
                            "world-writable": ("is writable by other users", 77)}[kind]
        assert (code, out, err) == (expected, "", f"timeserver: {directory}: {reason}\n")
        assert os.listdir(directory) == []


def test_a_relative_path_starts_from_the_directory_of_the_caller(testbed, port):
    testbed.start("-o", f"listen daytime/tcp {port}", "-p", "here.pid", pidfile=False, cwd=testbed.dir)
    assert testbed.files() == ["here.pid", "here.sock"]
    assert testbed.server("-p", "here.pid", "-s", "stop", pidfile=False, cwd=testbed.dir).code == 0


def test_a_path_too_long_for_a_socket_address(testbed, port):
    directory = testbed.dir / ("long" * 40)
    directory.mkdir()
    os.chown(directory, USER, GROUP)
    testbed.pidfile = directory / "t.pid"
    testbed.listen(port)
    assert testbed.status()["state"] == "serving"
    assert testbed.signal("stop").code == 0 and list(directory.iterdir()) == []


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_a_control_socket_of_a_running_program_is_left_alone(testbed, port, kind):
    """Of another program, with a pid file of this name."""
    control = testbed.dir / "t.sock"
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(control))
        if kind != socket.SOCK_DGRAM:
            other.listen()
        before = identity(control)
        code, out, err = testbed.server("-o", f"listen daytime/tcp {port}")
        assert (code, out) == (1, "") and err.count("\n") == 1
        assert identity(control) == before and testbed.files() == ["t.sock"]
    testbed.listen(port)


@needs_private("the default paths")
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_root_after_a_daemon_of_another_user(testbed, port, end):
    """The default directory belongs to that user, and after a crash the pid file may, too."""
    first = testbed.listen(port, "-u", "nobody", pidfile=False)
    directory, pidfile = pathlib.Path("/run/timeserver"), pathlib.Path("/run/timeserver/timeserver.pid")
    assert directory.stat().st_uid == NOBODY
    pidfile.unlink()
    wait_until(pidfile.exists, what="the pid file of nobody")
    first.kill() if end == "kill" else first.stop()
    second = testbed.listen(port, "-u", "root", pidfile=False)
    assert directory.stat().st_uid == 0 and pidfile.read_text() == f"{second.pid}\n"
    second.stop()
    assert os.listdir(directory) == []


@needs_private("a directory of another user")
@not_instrumented("rights")
def test_a_pid_file_in_a_directory_of_another_user_is_emptied(testbed, port):
    """Without root's rights the daemon cannot remove it; the next start is not affected."""
    os.chown(testbed.dir, STRANGER, STRANGER)
    testbed.listen(port).stop()
    assert testbed.pidfile.read_text() == ""
    assert testbed.signal("status").err == f"timeserver: not running (pid file {testbed.pidfile})\n"
    testbed.listen(port)


@needs_private("an ordinary user")
def test_a_directory_that_cannot_be_read(testbed, port):
    """Files can be created, found and removed in it by name."""
    testbed.pidfile = testbed.dir / "sub" / "t.pid"
    testbed.pidfile.parent.mkdir(mode=0o300)
    os.chown(testbed.pidfile.parent, NOBODY, NOBODY)
    daemon = testbed.listen(port, **as_nobody())
    assert testbed.files() == ["sub", "sub/t.pid", "sub/t.sock"]
    daemon.stop()
    assert testbed.files() == ["sub"]


def test_stop_waits_until_the_daemon_has_ended(testbed, port):
    for _ in range(fewer(5)):
        daemon = testbed.listen(port)
        result = testbed.signal("stop")
        assert not daemon.alive() and testbed.files() == [], "when the command returns"
        assert tuple(result) == (0, f"timeserver: process {daemon.pid} stopped\n", "")
        assert not serves(port)


def test_many_stops_at_once(testbed, port):
    """Each says either that it stopped the daemon, or that none runs."""
    daemon = testbed.listen(port)
    stops = [testbed.popen(testbed.command("--signal", "stop")) for _ in range(fewer(20))]
    for popen, out, err in stops:
        if popen.wait(longer(10)) == 0:
            assert read_back(out) == f"timeserver: process {daemon.pid} stopped\n"
        else:
            assert read_back(err) == f"timeserver: not running (pid file {testbed.pidfile})\n"
    daemon.wait_gone()


@needs_private("an ordinary user")
def test_a_user_cannot_stop_the_daemon_of_another(testbed, port):
    testbed.listen(port)
    result = testbed.signal("stop", **as_stranger())
    assert tuple(result) == (77, "", f"timeserver: control socket {testbed.pidfile.with_suffix('.sock')}: "
                             "Permission denied\n")
    assert serves(port)


def test_a_stop_of_a_hanging_daemon_times_out(testbed, port):
    """The daemon got SIGSTOP. The command says that it has not stopped."""
    daemon = testbed.listen(port)
    daemon.signal(signal.SIGSTOP)
    popen, _, err = testbed.popen(testbed.command("--signal", "stop"))
    try:
        assert popen.wait(longer(15)) == 1
    except subprocess.TimeoutExpired:
        popen.kill()
        raise
    finally:
        daemon.signal(signal.SIGCONT)
    assert f"process {daemon.pid} has not stopped" in read_back(err)
    wait_until(lambda: not daemon.alive())
