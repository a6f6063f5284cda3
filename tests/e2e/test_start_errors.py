"""A start that fails: one exact line, the right exit status, soon, and nothing left behind."""
import contextlib
import os
import socket
import time

import pytest

import harness
from harness import NOBODY, as_nobody, needs_private, not_wrapped, serves
from isolate import MS_RDONLY, MS_REMOUNT, mount, mounted


def fails(box, code, line, *arguments, **more):
    """Runs timeserver, which has to fail with this status and line, and leave things alone."""
    before = box.files()
    result = box.server(*arguments, **more)
    assert result.err == line + "\n"
    assert (result.code, result.out) == (code, "")
    assert result.seconds < harness.longer(2)
    harness.wait_until(lambda: not box.processes() or box.running, what="no process")
    assert box.files() == before


@contextlib.contextmanager
def taken(host, port, family=socket.AF_INET):
    with socket.socket(family) as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind((host, port))
        busy.listen()
        yield


@pytest.mark.parametrize("mode", [[], ["--foreground"]], ids=["daemon", "foreground"])
@pytest.mark.parametrize("form", ["{}", "*:{}", "127.0.0.1:{}", "[::1]:{}"])
def test_port_busy(box, port, form, mode):
    place = form.format(port).replace("*:", "")
    six = "::1" in form
    with taken("::1" if six else "127.0.0.1", port, socket.AF_INET6 if six else socket.AF_INET):
        fails(box, 1, f"timeserver: cannot listen on tcp {place}: Address already in use",
              "-o", f"listen daytime/tcp {form.format(port)}", *mode)


def test_the_second_port_busy_frees_the_first(box, port):
    second = harness.free_port()
    with taken("127.0.0.1", second):
        fails(box, 1, f"timeserver: cannot listen on tcp {second}: Address already in use",
              "-o", f"listen daytime/tcp {port} {second}")
    with taken("", port):
        pass


def test_port_of_another_timeserver(box, port):
    box.listen(port)
    fails(box, 1, f"timeserver: cannot listen on tcp {port}: Address already in use",
          "-o", f"listen daytime/tcp {port}", "--pidfile", box.dir / "other.pid")
    assert serves(port)


def test_address_of_another_machine(box, port):
    fails(box, 1, f"timeserver: cannot listen on tcp 192.0.2.1:{port}: "
          "Cannot assign requested address", "-o", f"listen daytime/tcp 192.0.2.1:{port}")


@needs_private("an ordinary user, and a network where low ports need a right")
def test_no_permission_for_a_low_port(box):
    os.chown(box.dir, NOBODY, NOBODY)
    fails(box, 77, "timeserver: cannot listen on tcp 13: Permission denied",
          "-o", "listen daytime/tcp 13", **as_nobody())


@needs_private("an ordinary user")
def test_an_ordinary_user_cannot_become_another(box, port):
    os.chown(box.dir, NOBODY, NOBODY)
    fails(box, 77, "timeserver: cannot become user root: Operation not permitted",
          "-o", f"listen daytime/tcp {port}", "--user", "root", **as_nobody())


def test_unknown_user(box):
    fails(box, 78, "timeserver: --user: unknown user 'no-such-user'", "--user", "no-such-user")
    config = box.config("listen daytime/tcp 5050\nuser no-such-user\n")
    fails(box, 78, f"{config}:2: user: unknown user 'no-such-user'", "--config", config)


def test_missing_configuration(box):
    missing = box.dir / "no.conf"
    fails(box, 78, f"timeserver: cannot read {missing}: No such file or directory", "-c", missing)


@needs_private("an ordinary user")
def test_unreadable_configuration(box):
    config = box.config("listen daytime/tcp 5050\n")
    config.chmod(0o600)
    fails(box, 78, f"timeserver: cannot read {config}: Permission denied", "-c", config,
          **as_nobody())


@pytest.mark.parametrize("option", ["--config", "--pidfile"])
def test_a_path_that_is_too_long_from_the_root(box, option):
    """It can be opened as it is, but not once the daemon has left the directory."""
    box.config("listen daytime/tcp 5050\n")
    path = "./" * 2040 + "t.conf"
    fails(box, 1, f"timeserver: {path}: File name too long", option, path, cwd=box.dir,
          pidfile=option != "--pidfile")


def test_a_directory_as_configuration(box):
    code, out, err = box.server("-c", box.dir)
    assert (code, out) == (78, "") and err.count("\n") == 1
    assert str(box.dir) in err and err.endswith(": Is a directory\n")


def test_wrong_configuration(box):
    config = box.config("listen daytime/tcp 5050\nlisten daytime/tcp 70000\n")
    fails(box, 78, f"{config}:2: listen: '70000': expected ADDRESS or [ADDRESS:]PORT, with ADDRESS an "
          "IPv4 or [IPv6] address or *, and PORT from 1 to 65535", "-c", config)


@pytest.mark.parametrize("mode", [[], ["--foreground"]], ids=["daemon", "foreground"])
def test_pid_file_taken(box, port, mode):
    first = box.listen(port)
    fails(box, 1, f"timeserver: already running as process {first.pid} (pid file {box.pidfile})",
          "-o", f"listen daytime/tcp {harness.free_port()}", *mode)
    assert serves(port)


def test_pid_directory_missing(box, port):
    pidfile = box.dir / "missing" / "t.pid"
    fails(box, 1, f"timeserver: cannot create pid file {pidfile}: No such file or directory",
          "-o", f"listen daytime/tcp {port}", "--pidfile", pidfile)


@needs_private("an ordinary user")
def test_pid_directory_of_another_user(box, port):
    fails(box, 77, f"timeserver: cannot create pid file {box.pidfile}: Permission denied",
          "-o", f"listen daytime/tcp {port}", **as_nobody())


@needs_private("mounts")
def test_read_only_file_system(box, port):
    with mounted("tmpfs", box.dir, "tmpfs"):
        mount("tmpfs", box.dir, "tmpfs", MS_REMOUNT | MS_RDONLY)
        fails(box, 1, f"timeserver: cannot create pid file {box.pidfile}: Read-only file system",
              "-o", f"listen daytime/tcp {port}")


@needs_private("mounts")
def test_disk_without_room_for_another_file(box, port):
    with mounted("tmpfs", box.dir, "tmpfs", 0, "nr_inodes=1"):
        fails(box, 1, f"timeserver: cannot create pid file {box.pidfile}: No space left on device",
              "-o", f"listen daytime/tcp {port}")


@needs_private("mounts")
def test_disk_without_room_for_a_byte(box, port):
    with mounted("tmpfs", box.dir, "tmpfs", 0, "size=4k"):
        (box.dir / "fill").write_bytes(bytes(4096))
        fails(box, 1, f"timeserver: cannot write pid file {box.pidfile}: No space left on device",
              "-o", f"listen daytime/tcp {port}")


@needs_private("mounts")
def test_disk_with_room_for_the_pid_file_alone(box, port):
    with mounted("tmpfs", box.dir, "tmpfs", 0, "nr_inodes=2"):
        control = box.pidfile.with_suffix(".sock")
        fails(box, 1, f"timeserver: cannot create control socket {control}: "
              "No space left on device", "-o", f"listen daytime/tcp {port}")


@pytest.mark.parametrize("processes", [1, 2])
@needs_private("a user of its own")
@not_wrapped("the number of processes")
def test_no_process_left_to_fork_to(box, port, processes):
    """A user who may have so many processes and no more: the first, then the second fork fails."""
    user = 54320 + processes
    os.chown(box.dir, user, user)
    fails(box, 1, "timeserver: cannot become a daemon: fork: Resource temporarily unavailable",
          "-o", f"listen daytime/tcp {port}", user=user, group=user, extra_groups=[],
          before=["prlimit", f"--nproc={processes}"])


@not_wrapped("the number of descriptors")
@pytest.mark.parametrize("limit", range(3, 21))
def test_never_silent_success_however_few_descriptors(box, port, limit):
    """Either it serves and says so, or it says in one line why not."""
    result = box.server("-o", f"listen daytime/tcp {port}", before=["prlimit", f"--nofile={limit}"])
    if result.code == 0:
        assert result.out.startswith("timeserver: serving as process ") and serves(port)
    elif limit > 4:  # below that the C library itself cannot be loaded
        assert result.err.startswith("timeserver: ") and result.err.count("\n") == 1, result
        assert result.err.endswith(": Too many open files\n") and box.files() == []


@pytest.mark.parametrize("mode", ["killed", "stopped"])
def test_a_caller_that_ends_while_it_waits_is_no_harm(box, port, mode):
    """Many starts whose waiting parent is ended: the daemon, if it came, is whole."""
    for delay in range(harness.fewer(10)):
        popen, _, _ = box.popen(box.command("-o", f"listen daytime/tcp {port}"))
        time.sleep(delay / 5000)
        popen.kill() if mode == "killed" else popen.terminate()
        popen.wait()

        def settled():
            return not box.processes() or box.signal("stop").code == 0
        harness.wait_until(settled, what="the daemon to be there whole or not at all")


@pytest.mark.parametrize("words", [["--nonsense"], ["-x"], ["extra"], ["--signal", "explode"],
                                   ["--config"], ["--signal"]])
def test_usage_errors(box, words):
    result = box.server(*words, pidfile=False)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("timeserver: ") and "--help" in result.err
    assert words[-1].lstrip("-") in result.err


def test_output_that_cannot_be_written_is_an_error(box):
    with open("/dev/full", "w") as full:
        for words in ["--help", "--version", "--dump-config"]:
            popen, _, err = box.popen(box.command(words), stdout=full)
            assert popen.wait(harness.longer(5)) == 1
            assert harness.read_back(err) == ("timeserver: cannot write standard output: "
                                              "No space left on device\n")


@needs_private("the default port")
def test_the_message_of_the_design(box):
    """The very line that DESIGN.md shows."""
    with taken("", 5050):
        fails(box, 1, "timeserver: cannot listen on tcp 5050: Address already in use",
              "-o", "clock system")


def test_address_space_too_small_is_no_silence(box, port):
    """Whatever memory is short of, there is a word about it or a daemon."""
    if harness.INSTRUMENTED:
        pytest.skip("valgrind and sanitizers need more memory than that")
    for megabytes in (4, 5, 6, 8):
        limit = megabytes << 20
        result = box.server("-o", f"listen daytime/tcp {port}", before=["prlimit", f"--as={limit}"])
        if result.code == 0:
            assert serves(port)
            box.running[-1].stop()
        else:
            assert result.err, result
