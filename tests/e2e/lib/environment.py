"""The programs under test and the conditions they run in. Import this after isolate.enter()."""
import functools
import os
import pathlib
import resource
import shlex
import shutil
import subprocess
import tempfile
import time

import pytest

from lib import isolate


NOBODY = 65534
STRANGER = 65533


def default_user():
    """The user and group that a daemon runs as if none is configured."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    users = {words[0]: (int(words[2]), int(words[3])) for words in
             (line.split(":") for line in pathlib.Path("/etc/passwd").read_text().splitlines())}
    return users.get("timeserver") or users["nobody"]


USER, GROUP = default_user()
WRAPPER = shlex.split(os.environ.get("TIMESERVER_WRAPPER", ""))
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", "build"))

# Copies, so that every user can run the programs and a rebuild does not change them.
home = pathlib.Path(tempfile.mkdtemp(prefix="e2e-", dir="/run" if isolate.PRIVATE else None))
home.chmod(0o755)
SERVER = shutil.copy(BUILD / "timeserver", home)
CLIENT = shutil.copy(BUILD / "timeclient", home)

# An instrument, valgrind or a sanitizer, makes everything slower and changes some results.
SANITIZED = any(name in pathlib.Path(SERVER).read_bytes() for name in (b"__asan_init", b"__tsan_"))
SANITIZER_THREADS = 2 * (b"__tsan_" in pathlib.Path(SERVER).read_bytes())
INSTRUMENTED = SANITIZED or bool(WRAPPER)
BITS = 32 * pathlib.Path(SERVER).read_bytes()[4]  # the class of an ELF file


def fewer(count):
    """The number of repetitions: a tenth under an instrument."""
    return max(count // 10, 1) if INSTRUMENTED else count


def longer(seconds):
    """A time limit: ten times as long under an instrument."""
    return seconds * 10 if INSTRUMENTED else seconds


def compile_c(program, source, *flags):
    """Compiles a program that the tests use."""
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", *flags, "-o", program, source], check=True)


def compile_shim(library, source):
    """Compiles a library for LD_PRELOAD, with the word size of the programs under test."""
    flags = ["-shared", "-fPIC", f"-m{BITS}", "-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"]
    compile_c(library, source, *(flags if BITS == 32 else flags[:2]))


def needs_private(what):
    return pytest.mark.skipif(not isolate.PRIVATE, reason=f"{isolate.REASON}: {what}")


def needs_program(name, what=""):
    return pytest.mark.skipif(not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin"),
                              reason=f"needs {name} {what}".strip())


def needs_descriptors(count):
    """Skips a test that opens up to count descriptors itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return pytest.mark.skipif(hard < count, reason=f"needs a hard limit of {count} descriptors, not {hard}")


def not_instrumented(what):
    """Skips a test of something that valgrind or a sanitizer changes."""
    return pytest.mark.skipif(INSTRUMENTED, reason=f"{what} would be valgrind's or the sanitizer's")


def not_wrapped(what):
    """Skips a test of something that TIMESERVER_WRAPPER changes, but a sanitizer does not."""
    return pytest.mark.skipif(bool(WRAPPER), reason=f"{what} would be the wrapper's")


def wait_until(condition, seconds=20, what="the condition"):
    """Polls until condition() is true, and returns its value."""
    deadline = time.monotonic() + longer(seconds)
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.005)


@functools.cache
def locale(name, charmap):
    """The environment for a language, whose locale is compiled first."""
    if not (shutil.which("localedef") and os.path.exists(f"/usr/share/i18n/locales/{name}")):
        pytest.skip("needs localedef and the sources of locales (Debian's package locales)")
    directory = home / f"{name}.{charmap}"
    subprocess.run(["localedef", "-i", name, "-f", charmap, directory], check=True,
                   stderr=subprocess.DEVNULL)
    return {"LOCPATH": str(home), "LANG": directory.name, "LC_ALL": directory.name}


def as_user(number):
    """Arguments of Testbed.run, server and start: run as this user, with no supplementary groups."""
    return {"user": number, "group": number, "extra_groups": []}


def as_nobody():
    return as_user(NOBODY)


def as_daemon():
    """The user of a daemon that has the default one."""
    return {"user": USER, "group": GROUP, "extra_groups": []} if os.geteuid() == 0 else {}


def as_stranger():
    """A user who has nothing to do with the daemon."""
    return as_user(STRANGER)
