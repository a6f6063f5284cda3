"""The pid file: held by a lock, never judged by its content, never a way to harm another file."""
import fcntl
import os
import signal
import socket
import stat
import struct
import subprocess

import pytest

import harness
from harness import (NOBODY, ask, as_nobody, fewer, free_port, is_daytime, needs_private, serves,
                     wait_until)
from isolate import mounted


def lock_holder(path):
    """The process that holds the lock on the first byte of path, which has its name."""
    with open(path) as file:
        question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, question))
        return pid if kind != fcntl.F_UNLCK else None


def test_content_mode_and_lock(box, port):
    daemon = box.listen(port)
    assert box.pidfile.read_text() == f"{daemon.pid}\n"
    assert lock_holder(box.pidfile) == daemon.pid
    assert box.files() == ["t.pid", "t.sock"]
    for name, mode in [("t.pid", 0o644), ("t.sock", 0o600)]:
        assert stat.S_IMODE((box.dir / name).stat().st_mode) == mode
    daemon.stop()
    assert box.files() == []


def test_200_starts_at_once_leave_exactly_one(box, port):
    """All wait for the end of one pipe, and then start together."""
    own = box.command("-o", f"listen daytime/tcp {port}")
    command = ["sh", "-c", 'read go; exec "$@"', "sh", *own]
    reader, writer = os.pipe()
    starts = [box.popen(command, stdin=reader) for _ in range(fewer(200))]
    os.close(reader)
    os.close(writer)
    codes = [popen.wait(harness.longer(30)) for popen, _, _ in starts]
    assert sorted(codes) == [0] + [1] * (len(starts) - 1)
    winner = codes.index(0)
    box.running.append(harness.Daemon(box, harness.Result(
        0, harness.read_back(starts[winner][1]), "", 0)))
    daemon = box.running[-1]
    said = {harness.read_back(err) for number, (_, _, err) in enumerate(starts) if number != winner}
    assert said == {f"timeserver: already running as process {daemon.pid} "
                    f"(pid file {box.pidfile})\n"}
    assert box.processes() == [daemon.pid] and is_daytime(ask(port))


def test_after_kill_9_the_next_start_works_at_once(box, port):
    for _ in range(fewer(10)):
        daemon = box.listen(port)
        ask(port)
        daemon.kill()
        assert box.pidfile.exists()
    assert is_daytime(ask(box.listen(port) and port))


@pytest.mark.parametrize("content", [
    "{innocent}\n", "", "0\n", "-1\n", "words", "99999999999999999999\n", "1\n", "x" * 100000],
    ids=lambda text: text[:12])
def test_stale_content_never_blocks_a_start(box, port, content):
    """Also when it names a process that lives: this very one."""
    box.pidfile.write_text(content.format(innocent=os.getpid()))
    daemon = box.listen(port)
    assert box.pidfile.read_text() == f"{daemon.pid}\n"


@pytest.mark.parametrize("what", ["stop", "reload", "status"])
def test_a_stale_file_is_no_running_daemon(box, what):
    """A signal to the process that got the old number would be a disaster: it goes to no one."""
    innocent, _, _ = box.popen(["sleep", "60"])
    box.pidfile.write_text(f"{innocent.pid}\n")
    code, out, err = box.signal(what)
    assert (code, out, err) == (1, "", f"timeserver: not running (pid file {box.pidfile})\n")
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


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
    """All that would show a change."""
    status = os.lstat(path)
    return (status.st_ino, status.st_mode, status.st_uid, status.st_nlink, status.st_size,
            status.st_mtime_ns, status.st_ctime_ns)


PLANTED = [("symlink", "is a symbolic link"), ("dangling symlink", "is a symbolic link"),
           ("directory", "is a directory"), ("FIFO", "is not a regular file"),
           ("socket", "is not a regular file"), ("hard link", "has other links")]


@pytest.mark.parametrize("kind, reason", PLANTED)
def test_something_planted_in_its_place(box, port, kind, reason):
    target = box.dir / "precious"
    target.write_text("precious\n")
    plant(kind, box.pidfile, target)
    before = box.files(), identity(box.pidfile), identity(target)
    code, out, err = box.server("-o", f"listen daytime/tcp {port}")
    assert (code, out, err) == (1, "", f"timeserver: pid file {box.pidfile}: {reason}\n")
    assert (box.files(), identity(box.pidfile), identity(target)) == before
    assert target.read_text() == "precious\n"
    assert box.signal("stop").err == f"timeserver: not running (pid file {box.pidfile})\n"


@pytest.mark.parametrize("kind", ["symlink", "dangling symlink", "directory", "FIFO", "hard link"])
def test_something_planted_for_the_control_socket(box, port, kind):
    target, control = box.dir / "precious", box.dir / "t.sock"
    target.write_text("precious\n")
    plant(kind, control, target)
    before = box.files()
    code, out, err = box.server("-o", f"listen daytime/tcp {port}")
    assert (code, out) == (1, "")
    assert err == f"timeserver: cannot create control socket {control}: Address already in use\n"
    assert box.files() == before and target.read_text() == "precious\n"


@needs_private("the default paths")
def test_default_path_of_root(box, port):
    daemon = box.listen(port, pidfile=False, umask=0o077)
    directory = os.stat("/run/timeserver")
    assert stat.S_IMODE(directory.st_mode) == 0o755 and directory.st_uid == 0
    with open("/run/timeserver/timeserver.pid") as file:
        assert file.read() == f"{daemon.pid}\n"
    result = box.server("--signal", "stop", pidfile=False)
    assert (result.code, result.out) == (0, f"timeserver: process {daemon.pid} stopped\n")
    assert os.listdir("/run/timeserver") == []


@needs_private("an ordinary user")
def test_default_path_of_a_user_with_a_runtime_directory(box, port):
    os.chown(box.dir, NOBODY, NOBODY)
    own = as_nobody() | {"env": {"XDG_RUNTIME_DIR": str(box.dir)}}
    box.listen(port, pidfile=False, **own)
    assert box.files() == ["timeserver", "timeserver/timeserver.pid", "timeserver/timeserver.sock"]
    assert stat.S_IMODE((box.dir / "timeserver").stat().st_mode) == 0o700
    assert box.server("--signal", "stop", pidfile=False, **own).code == 0


@needs_private("an ordinary user, and a /tmp of its own")
def test_default_path_of_a_user_without_one(box, port):
    with mounted("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"):
        daemon = box.listen(port, pidfile=False, **as_nobody())
        directory = os.stat(f"/tmp/timeserver-{NOBODY}")
        assert stat.S_IMODE(directory.st_mode) == 0o700 and directory.st_uid == NOBODY
        daemon.stop()


@needs_private("an ordinary user, and a /tmp of its own")
@pytest.mark.parametrize("trap", ["symlink", "of another", "open to all"])
def test_a_trap_in_tmp_is_not_used(box, port, trap):
    with mounted("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"):
        directory = f"/tmp/timeserver-{NOBODY}"
        os.chmod(box.dir, 0o777)
        if trap == "symlink":
            os.symlink(box.dir, directory)
        else:
            os.mkdir(directory)
            os.chown(directory, 0 if trap == "of another" else NOBODY, NOBODY)
            os.chmod(directory, 0o777)
        code, out, err = box.server("-o", f"listen daytime/tcp {port}", pidfile=False,
                                    **as_nobody())
        assert code in (1, 77) and out == "" and err.startswith("timeserver: ")
        assert directory in err and err.count("\n") == 1
        assert os.listdir(directory) == []


def test_a_relative_path_is_the_callers(box, port):
    box.start("-o", f"listen daytime/tcp {port}", "-p", "here.pid", pidfile=False, cwd=box.dir)
    assert box.files() == ["here.pid", "here.sock"]
    assert box.server("-p", "here.pid", "-s", "stop", pidfile=False, cwd=box.dir).code == 0


def test_a_path_too_long_for_a_socket_address(box, port):
    directory = box.dir / ("long" * 40)
    directory.mkdir()
    box.pidfile = directory / "t.pid"
    box.listen(port)
    assert box.status()["state"] == "serving"
    assert box.signal("stop").code == 0 and list(directory.iterdir()) == []


def test_a_daemon_that_lost_its_file_does_not_take_the_next_ones(box, port):
    """Somebody removes the pid file, another daemon takes the name, then the first one stops."""
    first = box.listen(port)
    box.pidfile.unlink()
    second = box.listen(free_port())
    first.stop()
    assert box.pidfile.read_text() == f"{second.pid}\n"
    assert box.status()["process"] == str(second.pid)


def test_stop_waits_until_it_is_gone(box, port):
    for _ in range(fewer(5)):
        daemon = box.listen(port)
        result = box.signal("stop")
        assert not daemon.alive() and box.files() == [], "the moment the command returns"
        assert tuple(result) == (0, f"timeserver: process {daemon.pid} stopped\n", "")
        assert not serves(port)


def test_stop_of_a_daemon_that_is_stopped_by_another_at_once(box, port):
    """Each says that it is gone: either it stopped it, or it found nothing running."""
    daemon = box.listen(port)
    stops = [box.popen(box.command("--signal", "stop")) for _ in range(fewer(20))]
    for popen, out, err in stops:
        if popen.wait(harness.longer(10)) == 0:
            assert harness.read_back(out) == f"timeserver: process {daemon.pid} stopped\n"
        else:
            assert harness.read_back(err) == f"timeserver: not running (pid file {box.pidfile})\n"
    daemon.wait_gone()


@needs_private("an ordinary user")
def test_a_user_cannot_stop_the_daemon_of_another(box, port):
    daemon = box.listen(port)
    result = box.signal("stop", **as_nobody())
    assert tuple(result) == (77, "", f"timeserver: cannot stop process {daemon.pid}: "
                                     "Operation not permitted\n")
    assert serves(port)


def test_a_daemon_that_hangs_is_told_so_and_not_waited_for_forever(box, port):
    """Stopped by SIGSTOP it cannot end; the command gives up, and says it."""
    daemon = box.listen(port)
    daemon.signal(signal.SIGSTOP)
    popen, _, err = box.popen(box.command("--signal", "stop"))
    try:
        assert popen.wait(harness.longer(15)) == 1
    except subprocess.TimeoutExpired:
        popen.kill()
        raise
    finally:
        daemon.signal(signal.SIGCONT)
    assert f"process {daemon.pid} has not stopped" in harness.read_back(err)
    wait_until(lambda: not daemon.alive())
