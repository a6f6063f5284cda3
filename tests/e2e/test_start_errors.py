"""A failed start: one exact line, the right exit status, at once, and nothing left behind."""
import contextlib
import os
import socket
import time

import pytest

from lib.daytime_client import free_port, serves
from lib.environment import (as_nobody, as_stranger, fewer, INSTRUMENTED, longer, needs_private, NOBODY, not_wrapped,
                             wait_until)
from lib.isolate import mount, mounted, MS_RDONLY, MS_REMOUNT
from lib.process import read_back


def fails(testbed, code, line, *arguments, **more):
    """Runs timeserver, which has to fail with this status and line, and change no file."""
    before = testbed.files()
    result = testbed.server(*arguments, **more)
    assert result.err == line + "\n"
    assert (result.code, result.out) == (code, "")
    assert result.seconds < longer(5)
    wait_until(lambda: not testbed.processes() or testbed.running, what="all processes to end")
    assert testbed.files() == before


@contextlib.contextmanager
def taken(host, port, family=socket.AF_INET):
    with socket.socket(family) as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind((host, port))
        busy.listen()
        yield


@pytest.mark.parametrize("mode", [[], ["--foreground"]], ids=["daemon", "foreground"])
@pytest.mark.parametrize("form", ["{}", "*:{}", "127.0.0.1:{}", "[::1]:{}"])
def test_port_busy(testbed, port, form, mode):
    place = form.format(port).replace("*:", "")
    six = "::1" in form
    with taken("::1" if six else "127.0.0.1", port, socket.AF_INET6 if six else socket.AF_INET):
        fails(testbed, 1, f"timeserver: cannot listen on tcp {place}: Address already in use",
              "-o", f"listen daytime/tcp {form.format(port)}", *mode)


def test_a_busy_second_port_frees_the_first(testbed, port):
    second = free_port()
    with taken("127.0.0.1", second):
        fails(testbed, 1, f"timeserver: cannot listen on tcp {second}: Address already in use",
              "-o", f"listen daytime/tcp {port} {second}")
    with taken("", port):
        pass


def test_port_of_another_timeserver(testbed, port):
    testbed.listen(port)
    fails(testbed, 1, f"timeserver: cannot listen on tcp {port}: Address already in use",
          "-o", f"listen daytime/tcp {port}", "--pidfile", testbed.dir / "other.pid")
    assert serves(port)


@needs_private("an ordinary user, and a network where low ports need a right")
def test_no_permission_for_a_low_port(testbed):
    os.chown(testbed.dir, NOBODY, NOBODY)
    fails(testbed, 77, "timeserver: cannot listen on tcp 13: Permission denied",
          "-o", "listen daytime/tcp 13", **as_nobody())


@needs_private("an ordinary user")
def test_an_ordinary_user_cannot_become_another(testbed, port):
    os.chown(testbed.dir, NOBODY, NOBODY)
    fails(testbed, 77, "timeserver: cannot become user root: Operation not permitted",
          "-o", f"listen daytime/tcp {port}", "--user", "root", **as_nobody())


def test_unknown_user(testbed):
    fails(testbed, 78, "timeserver: --user: unknown user 'no-such-user'", "--user", "no-such-user")
    config = testbed.config("listen daytime/tcp 5050\nuser no-such-user\n")
    fails(testbed, 78, f"{config}:2: user: unknown user 'no-such-user'", "--config", config)


def test_missing_configuration(testbed):
    missing = testbed.dir / "no.conf"
    fails(testbed, 78, f"timeserver: cannot read {missing}: No such file or directory", "-c", missing)


@needs_private("an ordinary user")
def test_unreadable_configuration(testbed):
    config = testbed.config("listen daytime/tcp 5050\n")
    config.chmod(0o600)
    fails(testbed, 78, f"timeserver: cannot read {config}: Permission denied", "-c", config,
          **as_nobody())


@pytest.mark.parametrize("option", ["--config", "--pidfile"])
def test_a_path_too_long_once_it_is_absolute(testbed, option):
    """The relative path can be opened, but not after chdir("/")."""
    testbed.config("listen daytime/tcp 5050\n")
    path = "./" * 2040 + "t.conf"
    fails(testbed, 1, f"timeserver: {path}: File name too long", option, path, cwd=testbed.dir,
          pidfile=option != "--pidfile")


def test_a_directory_as_configuration(testbed):
    code, out, err = testbed.server("-c", testbed.dir)
    assert (code, out) == (78, "") and err.count("\n") == 1
    assert str(testbed.dir) in err and err.endswith(": Is a directory\n")


def test_a_configuration_of_more_than_a_megabyte(testbed):
    config = testbed.config("listen daytime/tcp 5050\n" + "#" * (1 << 20))
    fails(testbed, 78, f"timeserver: cannot read {config}: File too large", "-c", config)


def test_wrong_configuration(testbed):
    config = testbed.config("listen daytime/tcp 5050\nlisten daytime/tcp 70000\n")
    fails(testbed, 78, f"{config}:2: listen: '70000': expected ADDRESS or [ADDRESS:]PORT, with ADDRESS an "
          "IPv4 or [IPv6] address or *, and PORT from 1 to 65535", "-c", config)


@pytest.mark.parametrize("mode", [[], ["--foreground"]], ids=["daemon", "foreground"])
def test_pid_file_taken(testbed, port, mode):
    first = testbed.listen(port)
    fails(testbed, 1, f"timeserver: already running as process {first.pid} (pid file {testbed.pidfile})",
          "-o", f"listen daytime/tcp {free_port()}", *mode)
    assert serves(port)


def test_pid_directory_missing(testbed, port):
    pidfile = testbed.dir / "missing" / "t.pid"
    fails(testbed, 1, f"timeserver: cannot create pid file {pidfile}: No such file or directory",
          "-o", f"listen daytime/tcp {port}", "--pidfile", pidfile)


@needs_private("an ordinary user")
def test_pid_directory_of_another_user(testbed, port):
    fails(testbed, 77, f"timeserver: cannot create pid file {testbed.pidfile}: Permission denied",
          "-o", f"listen daytime/tcp {port}", **as_stranger())


@needs_private("mounts")
def test_read_only_file_system(testbed, port):
    with mounted("tmpfs", testbed.dir, "tmpfs"):
        mount("tmpfs", testbed.dir, "tmpfs", MS_REMOUNT | MS_RDONLY)
        fails(testbed, 1, f"timeserver: cannot create pid file {testbed.pidfile}: Read-only file system",
              "-o", f"listen daytime/tcp {port}")


@needs_private("mounts")
def test_disk_without_room_for_another_file(testbed, port):
    with mounted("tmpfs", testbed.dir, "tmpfs", 0, "nr_inodes=1"):
        fails(testbed, 1, f"timeserver: cannot create pid file {testbed.pidfile}: No space left on device",
              "-o", f"listen daytime/tcp {port}")


@needs_private("mounts")
def test_disk_without_room_for_a_byte(testbed, port):
    with mounted("tmpfs", testbed.dir, "tmpfs", 0, "size=4k"):
        (testbed.dir / "fill").write_bytes(bytes(4096))
        fails(testbed, 1, f"timeserver: cannot write pid file {testbed.pidfile}: No space left on device",
              "-o", f"listen daytime/tcp {port}")


@needs_private("mounts")
def test_disk_with_room_for_the_pid_file_alone(testbed, port):
    with mounted("tmpfs", testbed.dir, "tmpfs", 0, "nr_inodes=2"):
        control = testbed.pidfile.with_suffix(".sock")
        fails(testbed, 1, f"timeserver: cannot create control socket {control}: "
              "No space left on device", "-o", f"listen daytime/tcp {port}")


@pytest.mark.parametrize("processes", [1, 2])
@needs_private("a user of its own")
@not_wrapped("the number of processes")
def test_a_fork_that_fails(testbed, port, processes):
    """At the limit of processes of the user: the first, then the second fork fails."""
    user = 54320 + processes
    os.chown(testbed.dir, user, user)
    fails(testbed, 1, "timeserver: cannot become a daemon: fork: Resource temporarily unavailable",
          "-o", f"listen daytime/tcp {port}", user=user, group=user, extra_groups=[],
          before=["prlimit", f"--nproc={processes}"])


@not_wrapped("the number of descriptors")
@pytest.mark.parametrize("limit", range(3, 21))
def test_few_descriptors_are_never_a_silent_success(testbed, port, limit):
    """Either it serves and says so, or it says in one line why not."""
    result = testbed.server("-o", f"listen daytime/tcp {port}", before=["prlimit", f"--nofile={limit}"])
    if result.code == 0:
        assert result.out.startswith("timeserver: serving as process ") and serves(port)
    elif limit > 4:  # below that the C library itself cannot be loaded
        assert result.err.startswith("timeserver: ") and result.err.count("\n") == 1, result
        assert result.err.endswith(": Too many open files\n") and testbed.files() == []


@pytest.mark.parametrize("mode", ["killed", "stopped"])
def test_a_start_whose_parent_is_killed_is_complete_or_undone(testbed, port, mode):
    """Many starts whose waiting parent is killed: a daemon, if there is one, works."""
    for delay in range(fewer(10)):
        popen, _, _ = testbed.popen(testbed.command("-o", f"listen daytime/tcp {port}"))
        time.sleep(delay / 5000)
        popen.kill() if mode == "killed" else popen.terminate()
        popen.wait()

        def settled():
            return not testbed.processes() or testbed.signal("stop").code == 0
        wait_until(settled, what="a daemon that can be stopped, or none")


@pytest.mark.parametrize("words", [["--nonsense"], ["-x"], ["extra"], ["--signal", "explode"],
                                   ["--config"], ["--signal"]])
def test_usage_errors(testbed, words):
    result = testbed.server(*words, pidfile=False)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("timeserver: ") and "--help" in result.err
    assert words[-1].lstrip("-") in result.err


def test_output_that_cannot_be_written_is_an_error(testbed):
    with open("/dev/full", "w") as full:
        for words in ["--help", "--version", "--dump-config"]:
            popen, _, err = testbed.popen(testbed.command(words), stdout=full)
            assert popen.wait(longer(5)) == 1
            assert read_back(err) == ("timeserver: cannot write standard output: "
                                      "No space left on device\n")


@needs_private("the default port")
def test_the_default_port_busy(testbed):
    """The line that the manual shows."""
    with taken("", 5050):
        fails(testbed, 1, "timeserver: cannot listen on tcp 5050: Address already in use",
              "-o", "clock system")


def test_too_small_an_address_space_is_never_a_silent_success(testbed, port):
    """Either it serves, or it says why not."""
    if INSTRUMENTED:
        pytest.skip("valgrind and sanitizers need more memory than that")
    for megabytes in (4, 5, 6, 8):
        limit = megabytes << 20
        result = testbed.server("-o", f"listen daytime/tcp {port}", before=["prlimit", f"--as={limit}"])
        if result.code == 0:
            assert serves(port)
            testbed.running[-1].stop()
        else:
            assert result.err, result
