"""The sandbox, as the kernel and systemd show it."""
import glob
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from lib import systemd_machine
from lib.daytime_client import is_daytime, query
from lib.environment import BITS, INSTRUMENTED, needs_private, needs_program, NOBODY, not_instrumented, USER
from lib.peers import needs_peer, PEERS
from lib.testbed import directives
from lib.web_process import serves_http

ANALYZE = f"{PEERS}/usr/bin/systemd-analyze"
BIND_SERVICE = 1 << 10
FILTERED = "2" if BITS == 64 else "0"  # "Seccomp" in /proc; there is no filter for 32 bits


def threads(pid):
    """/proc/PID/task/TID/status of each thread."""
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir()):
        yield dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


@not_instrumented("rights")
@needs_private("root")
@pytest.mark.parametrize("user, number", [(None, USER), ("nobody", NOBODY), ("root", 0)])
def test_every_thread_is_sandboxed(testbed, port, user, number):
    """It keeps CAP_NET_BIND_SERVICE, for a reload."""
    words = ["-o", f"listen daytime/tcp {port}", "-o", f"listen ntp {port}", "-o", "clock local",
             "-o", "workers 3"]
    daemon = testbed.start(*words, *(["--user", user] if user else []))
    seen = list(threads(daemon.pid))
    assert len(seen) >= 4
    for thread in seen:
        assert thread["NoNewPrivs"] == "1" and thread["Seccomp"] == FILTERED
        assert int(thread["CapBnd"], 16) == int(thread["CapInh"], 16) == int(thread["CapAmb"], 16) == 0
        assert int(thread["CapPrm"], 16) == int(thread["CapEff"], 16) == BIND_SERVICE
        assert set(thread["Uid"].split()) == {str(number)}
    expected = re.search("^confinement: (.*)$", testbed.server("--version").out, re.MULTILINE)
    assert testbed.status()["confined"] == expected[1]
    assert ("system calls" in expected[1]) == (FILTERED == "2")
    assert is_daytime(query(port))


@not_instrumented("rights")
@needs_private("a port below 1024")
@pytest.mark.parametrize("user", [[], ["-u", "nobody"], ["-u", "root"]], ids=["default", "nobody", "root"])
def test_a_reload_can_open_a_low_port(testbed, port, user):
    config = testbed.config(f"listen daytime/tcp {port}\n")
    testbed.start("-c", config, *user)
    config.write_text(f"listen daytime/tcp {port} 13\n")
    assert testbed.signal("reload").code == 0 and is_daytime(query(13))


def test_status_shows_whether_system_calls_are_filtered(testbed, port):
    testbed.listen(port)
    assert ("system calls" in testbed.status()["confined"]) == (not INSTRUMENTED and FILTERED == "2")


@needs_peer(ANALYZE)
@needs_private("/run/systemd, which it creates")
@pytest.mark.parametrize("unit, highest", [("timeserver", 1.9), ("timeserver-activated", 0.8)])
def test_systemd_analyze_rates_the_units_as_safe(testbed, unit, highest):
    text = pathlib.Path(f"dist/{unit}.service").read_text(encoding="ascii").replace("@PREFIX@", "/usr")
    path = testbed.config(text, f"{unit}.service")
    result = testbed.run(ANALYZE, "security", "--offline=yes", "--no-pager", path,
                         env={"LD_LIBRARY_PATH": systemd_machine.libraries()})
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.out)
    assert exposure, result
    print(f"{unit}.service: exposure level {exposure[1]}")
    assert float(exposure[1]) <= highest


def expand(name):
    """The system calls of a name in SystemCallFilter=: a call or a group."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run([ANALYZE, "syscall-filter", "--no-pager", name], check=True, text=True,
                           capture_output=True, env={"LD_LIBRARY_PATH": systemd_machine.libraries()})
    words = [line.strip() for line in shown.stdout.splitlines()[1:]]
    return set().union(*(expand(word) for word in words if word and not word.startswith("#")))


def allowed_by(unit):
    """The system calls that a unit allows."""
    calls = set()
    for line in pathlib.Path(f"dist/{unit}.service").read_text(encoding="ascii").splitlines():
        name, _, words = line.partition("=")
        found = set().union(*map(expand, words.removeprefix("~").split())) if name == "SystemCallFilter" else set()
        calls = calls - found if words.startswith("~") else calls | found
    return calls


@needs_peer(ANALYZE)
@pytest.mark.parametrize("unit", ["timeserver", "timeserver-activated"])
def test_the_units_allow_every_system_call_of_the_sandbox(unit):
    """The calls of the daemon and the web process, and those by which they restrict themselves."""
    sources = ["src/server/process/privileges_syscalls.c", "src/server/process/privileges.c",
               "src/web/web_sandbox.c", "src/base/sandbox.c"]
    needed = set().union(*(re.findall(r"\bSYS_(\w+)", pathlib.Path(source).read_text()) for source in sources))
    assert len(needed) > 80 and needed - allowed_by(unit) == set()


@not_instrumented("rights")
@needs_program("strace")
def test_the_web_process_is_restricted_to_no_path(testbed, port):
    """The daemon's filter, which it has inherited, allows the calls for it."""
    trace = testbed.root / "trace"
    testbed.start(*directives(f"listen http 127.0.0.1:{port}"),
                  before=["strace", "-D", "-f", "-e", "trace=landlock_restrict_self", "-o", trace])
    if "paths" not in testbed.status()["confined"]:
        pytest.skip("needs Landlock")
    assert serves_http(port)
    results = re.findall(r"^(\d+) +landlock_restrict_self\(.*= (.*)$", trace.read_text(), re.MULTILINE)
    assert [result for _, result in results] == ["0", "0"] and len(dict(results)) == 2, results


# Confines itself as the daemon does, and executes a program: PROGRAM, or with more arguments PROGRAM with these
# arguments, or "memory" PROGRAM and its arguments, from a copy in memory.
EXECUTE = """
#include "server/process/privileges.h"
#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static const char *copy(const char *program)
{
	static char bytes[65536], path[64];
	int from = open(program, O_RDONLY), to = memfd_create("copy", 0);
	ssize_t got;
	while ((got = read(from, bytes, sizeof(bytes))) > 0 && write(to, bytes, got) == got)
		;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
	return path;
}
int main(int argc, char **argv)
{
	struct privileges privileges;
	struct failure failure;
	struct user user = { 0 };
	if (argc > 2 && strcmp(argv[2], "again") == 0)
		return 99;
	if (!privileges_drop(&privileges, &user, "/tmp", true, &failure) || !privileges.paths)
		return 77;
	if (puts("confined") < 0 || fflush(stdout) != 0 || getchar() == 'x')
		return 98;
	if (argc == 2)
		execl(argv[1], argv[0], "again", "again", (char *)0);
	else if (strcmp(argv[1], "memory") == 0)
		execv(copy(argv[2]), argv + 2);
	else
		execv(argv[1], argv + 1);
	return errno;
}
"""


def make_executor(testbed, *flags):
    """A program with the daemon's sandbox, including the right to execute itself."""
    source, made = testbed.config(EXECUTE, "main.c"), testbed.dir / "program"
    parts = ["src/server/process/privileges.c", "src/server/process/privileges_syscalls.c",
             "src/server/process/user.c", *glob.glob("src/base/*.c"), *glob.glob("src/clock/*.c")]
    subprocess.run(["cc", "-D_GNU_SOURCE", "-Isrc", "-pthread", *flags, "-o", made, source, *parts], check=True)
    return made


@needs_program("cc")
@pytest.mark.parametrize("program, outcome", [("/proc/self/exe", 99), ("/bin/true", 13)])
def test_the_daemon_can_execute_itself_only(testbed, program, outcome):
    code = testbed.run(make_executor(testbed), program).code
    if code == 77:
        pytest.skip("needs Landlock")
    assert code == outcome


def loader_of_programs():
    return re.search(rb"/lib\S*/ld-[\w.-]+", pathlib.Path(sys.executable).read_bytes())[0].decode()


# A shell without other programs: what it is allowed, and what it can still do.
SCRIPT = """
while read -r name value; do
	case $name in NoNewPrivs:|Seccomp:|CapEff:|CapBnd:) echo "$name$value";; esac
done </proc/self/status
(: >{outside}) 2>/dev/null && echo wrote
/bin/true 2>/dev/null && echo executed
echo ran
"""


@needs_private("root")
@needs_program("cc")
@pytest.mark.parametrize("by", [loader_of_programs(), "memory"], ids=["loader", "memory"])
def test_another_program_has_no_more_rights(testbed, by):
    """The loader, which the daemon needs to start the web process, maps any program that can be read. To refuse
    that is not possible: Landlock knows the files that are executed, not those that are mapped."""
    outside = testbed.dir / "outside"
    result = testbed.run(make_executor(testbed), by, "/bin/sh", "-c", SCRIPT.format(outside=outside))
    if result.code == 77:
        pytest.skip("needs Landlock")
    lines = result.out.splitlines()
    assert lines[0] == "confined" and lines[-1] == "ran", result
    rights = dict(line.split(":") for line in lines[1:-1])
    assert rights == {"NoNewPrivs": "1", "Seccomp": FILTERED, "CapBnd": "0" * 16, "CapEff": "0" * 16}
    assert not outside.exists()


@needs_program("cc")
def test_it_can_execute_itself_after_an_upgrade_of_the_c_library(testbed):
    """The upgrade replaces the file of the loader."""
    loader = loader_of_programs()
    directory = testbed.dir / "lib"
    directory.mkdir()
    for name in ("loader", "new"):
        shutil.copy(loader, directory / name)
    program = make_executor(testbed, f"-Wl,--dynamic-linker={directory}/loader")
    with subprocess.Popen([program, "/proc/self/exe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        (directory / "new").rename(directory / "loader")
        running.communicate(b"go")
    code = running.returncode
    if code == 77:
        pytest.skip("needs Landlock")
    assert code == 99
