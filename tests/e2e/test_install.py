"""make and make install: missing packages are named, and what is installed is found."""
import contextlib
import glob
import os
import pathlib
import pwd
import re

import pytest

from lib.daytime_client import serves
from lib.environment import BUILD, needs_private, needs_program, not_instrumented
from lib.isolate import overlaid
from lib.testbed import Testbed

ROOT = pathlib.Path.cwd()
TRIPLET = "*-linux-gnu*"

pytestmark = [needs_private("a /usr of its own"), not_instrumented("the build")]


def make(testbed, *words):
    """Runs make, without what the make that runs the tests was told."""
    env = {"MAKEFLAGS": None, "MAKEOVERRIDES": None, "MAKELEVEL": None}
    return testbed.run("make", *words, cwd=ROOT, timeout=120, env=env)


@pytest.fixture
def usr(testbed):
    with overlaid("/usr", testbed.root):
        yield


def remove(*patterns):
    """Removes files as if their package were not installed."""
    paths = [path for pattern in patterns for path in glob.glob(pattern)]
    assert paths, f"{patterns} are not installed"
    for path in paths:
        os.unlink(path)


PC = [f"/usr/lib/{TRIPLET}/pkgconfig", "/usr/share/pkgconfig"]
GCC = ["/usr/bin/cc", "/usr/bin/c99-gcc", "/usr/bin/gcc", "/usr/bin/*-linux-gnu*-gcc*"]
MISSING = {
    "jansson": ([f"{PC[0]}/jansson.pc"], [], "libjansson-dev"),
    "libevent": ([f"{PC[0]}/libevent*.pc"], [], "libevent-dev"),
    "both": ([f"{PC[0]}/libevent*.pc", f"{PC[0]}/jansson.pc"], [], "libevent-dev libjansson-dev"),
    "pkg-config": (["/usr/bin/pkg-config"], [], "pkg-config"),
    "compiler": (GCC, [], "gcc"),
    "clang": (["/usr/bin/clang"], ["CC=clang"], "clang"),
    "version": (["/usr/bin/clang"], ["CC=/usr/bin/clang-99 -m64"], "clang-99"),
    "headers": (["/usr/include/stdio.h"], [], "libc6-dev"),
    "archive": ([f"/usr/lib/{TRIPLET}/libjansson.a"], [], "libjansson-dev"),
    "shared": ([f"{PC[0]}/jansson.pc"], ["STATIC_LIBS=0"], "libjansson-dev"),
    "cmocka": ([f"{PC[0]}/cmocka.pc"], ["unit-tests"], "libcmocka-dev"),
}


@pytest.mark.usefixtures("usr")
@pytest.mark.parametrize("case", MISSING)
def test_make_names_missing_packages(testbed, case):
    """And nothing else: no error of the compiler, and nothing is installed or written."""
    files, words, packages = MISSING[case]
    remove(*files)
    result = make(testbed, f"BUILD={testbed.dir}/build", *words)
    lines = result.err.splitlines()
    assert result.code == 2 and result.out == "", result
    assert lines[0] == f"Missing: the Debian packages {packages}, or their equivalents"
    assert lines[1] == f"As root on Debian: apt-get install {packages}"
    assert ("make STATIC_LIBS=0" in lines[2]) == (case == "archive")
    assert all(line.startswith("make: *** ") for line in lines[2 + (case == "archive"):]), lines
    assert not list(testbed.dir.rglob("*.o"))


@pytest.mark.usefixtures("usr")
@pytest.mark.parametrize("words", [
    ["STATIC_LIBS=0"], ["STATIC_LIBS=0", "CC=gcc -m64"], ["STATIC_LIBS=0", "CC=env A=1 cc"],
    ["STATIC_LIBS=0", "PKG_CONFIG=env A=1 pkg-config"]], ids=" ".join)
def test_what_is_not_needed_is_not_missing(testbed, words):
    """Archives when shared libraries are linked; a compiler with options is found."""
    remove(f"/usr/lib/{TRIPLET}/libjansson.a", f"/usr/lib/{TRIPLET}/libevent_core.a")
    result = make(testbed, f"BUILD={testbed.dir}/build", f"{testbed.dir}/build/obj/src/client/main.o", *words)
    assert result.code == 0 and result.err == "" and list(testbed.dir.rglob("main.o")), result


class Machine:
    """The directories that make install writes to."""

    def __init__(self, testbed: Testbed, stack):
        self.testbed = testbed
        self.written = [stack.enter_context(overlaid(directory, testbed.root)) for directory in ("/usr/local", "/etc")]

    def install(self, *words):
        result = make(self.testbed, "--assume-old=all", "install", f"BUILD={BUILD.absolute()}", *words)
        assert result.code == 0, result
        return result.out.partition("Installed. Next:\n")[2]

    def uninstall(self, *words):
        assert make(self.testbed, "uninstall", *words).code == 0

    def files(self):
        return [path for directory in self.written for path in directory.rglob("*") if path.is_file()]


@pytest.fixture
def machine(testbed):
    with contextlib.ExitStack() as stack:
        yield Machine(testbed, stack)


def commands(text):
    return [line.partition(" # ")[0].strip() for line in text.splitlines()]


def test_the_next_steps_work(testbed, machine):
    """Without a service manager. The second time they upgrade the daemon that runs."""
    steps = commands(machine.install())
    assert steps == ["mkdir -p /etc/timeserver",
                     "cp /usr/local/share/doc/timeserver/timeserver.conf /etc/timeserver",
                     "/usr/local/sbin/timeserver --test", "useradd --system timeserver",
                     "/usr/local/sbin/timeserver"]
    for step in steps:
        result = testbed.run("sh", "-c", step)
        assert result.code == 0, result
    first = re.search(r"serving as process (\d+): daytime on tcp 5050", result.out)[1]
    assert serves(5050)
    status = testbed.run("/usr/local/sbin/timeserver", "-s", "status").out
    assert f"user: {pwd.getpwnam('timeserver').pw_uid}\n" in status
    steps = commands(machine.install())
    assert steps == ["/usr/local/sbin/timeserver --upgrade"]
    result = testbed.run("sh", "-c", steps[0])
    assert "serving as process" in result.out and first not in result.out
    assert testbed.run("/usr/local/sbin/timeserver", "--signal", "stop").code == 0


def test_the_next_steps_under_systemd(testbed, machine):
    """They stop a daemon that was started by hand: it has the pid file of the unit."""
    pathlib.Path("/run/systemd/system").mkdir(parents=True)
    try:
        steps = commands(machine.install())
        assert steps[-2:] == ["systemctl daemon-reload", "systemctl enable --now timeserver"]
        testbed.start(pidfile=False)
        assert commands(machine.install())[-3:] == [
            "systemctl daemon-reload", "/usr/local/sbin/timeserver --signal stop",
            "systemctl enable --now timeserver"]
        assert testbed.run("/usr/local/sbin/timeserver", "--signal", "stop").code == 0
        assert commands(machine.install(f"PREFIX={machine.testbed.dir}"))[-1] == (
            f"{machine.testbed.dir}/sbin/timeserver")
    finally:
        pathlib.Path("/run/systemd/system").rmdir()


def test_a_package_is_built_without_next_steps(testbed, machine):
    assert machine.install(f"DESTDIR={testbed.dir}", "PREFIX=/usr") == ""
    assert machine.files() == []


def test_the_script_for_openrc_only_if_asked(testbed, machine):
    script = pathlib.Path("/etc/init.d/timeserver")
    machine.install()
    assert not script.exists()
    pathlib.Path("/run/openrc").mkdir()
    try:
        steps = commands(machine.install("OPENRC=1"))
        started = testbed.dir / "rc-service"
        started.write_text("#!/bin/sh\n")
        started.chmod(0o755)
        upgrade = commands(machine.install("OPENRC=1", f"PATH={testbed.dir}:{os.environ['PATH']}"))
    finally:
        pathlib.Path("/run/openrc").rmdir()
    assert upgrade[-2:] == ["useradd --system timeserver", "rc-service timeserver upgrade"]
    assert os.access(script, os.X_OK) and 'command="/usr/local/sbin/timeserver"' in script.read_text()
    assert steps[-2:] == ["rc-update add timeserver", "rc-service timeserver start"]
    machine.uninstall("OPENRC=1")
    assert machine.files() == []


COMPLETE = {
    "bash": ["--norc", "-c", "source /usr/share/bash-completion/bash_completion;"
             "_completion_loader {0}; complete -p {0}"],
    "fish": ["-c", "complete -C '{0} --vers'"],
    "zsh": ["-f", "-c", "autoload +X _{0} && echo found"],
}


@pytest.mark.parametrize("program", ["timeserver", "timeclient"])
@pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs_program(shell)) for shell in COMPLETE])
def test_a_shell_finds_its_completion(testbed, machine, shell, program):
    """Below /usr/local, without XDG_DATA_DIRS."""
    if shell == "bash" and not os.path.exists("/usr/share/bash-completion/bash_completion"):
        pytest.skip("needs Debian's package bash-completion")
    machine.install()
    words = [word.format(program) for word in COMPLETE[shell]]
    result = testbed.run(shell, *words, env={"HOME": str(testbed.root)})
    assert result.code == 0 and result.out and result.err == "", result
    machine.uninstall()
    assert machine.files() == []
