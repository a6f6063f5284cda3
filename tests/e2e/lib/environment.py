"""What is tested, where, and under which conditions. To be imported after isolate.enter()."""
import functools
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import time

import pytest

from lib import isolate


NOBODY = 65534
WRAPPER = shlex.split(os.environ.get("TIMESERVER_WRAPPER", ""))
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", "build"))

# The programs are copied to where every user can run them and no rebuild changes them.
home = pathlib.Path(tempfile.mkdtemp(prefix="e2e-", dir="/run" if isolate.PRIVATE else None))
home.chmod(0o755)
SERVER = shutil.copy(BUILD / "timeserver", home)
CLIENT = shutil.copy(BUILD / "timeclient", home)

# Under valgrind or with sanitizers everything is slower, and some things are the instrument's.
SANITIZED = any(name in pathlib.Path(SERVER).read_bytes() for name in (b"__asan_init", b"__tsan_"))
OWN_THREADS = 2 * (b"__tsan_" in pathlib.Path(SERVER).read_bytes())  # of the thread sanitizer
INSTRUMENTED = SANITIZED or bool(WRAPPER)
BITS = 32 * pathlib.Path(SERVER).read_bytes()[4]  # the class of an ELF file


def fewer(count):
    """How many of count to do: less under an instrument that makes everything slow."""
    return max(count // 10, 1) if INSTRUMENTED else count


def longer(seconds):
    return seconds * 10 if INSTRUMENTED else seconds


def compile_c(program, source, *flags):
    """A program of the tests' own."""
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", *flags, "-o", program, source], check=True)


def compile_shim(library, source):
    """What goes before the C library in a program that is tested, and has as many bits."""
    flags = ["-shared", "-fPIC", f"-m{BITS}", "-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"]
    compile_c(library, source, *(flags if BITS == 32 else flags[:2]))


def needs_private(what):
    return pytest.mark.skipif(not isolate.PRIVATE, reason=f"{isolate.REASON}: {what}")


def needs_program(name, what=""):
    return pytest.mark.skipif(not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin"),
                              reason=f"needs {name} {what}".strip())


def not_instrumented(what):
    """For tests of something that valgrind or a sanitizer changes."""
    return pytest.mark.skipif(INSTRUMENTED, reason=f"{what} would be valgrind's or the sanitizer's")


def not_wrapped(what):
    """For tests of something that TIMESERVER_WRAPPER changes, but a sanitizer does not."""
    return pytest.mark.skipif(bool(WRAPPER), reason=f"{what} would be the wrapper's")


def wait_until(condition, seconds=5, what="the condition"):
    """Polls until condition() is true, and returns what it returned."""
    deadline = time.monotonic() + longer(seconds)
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.005)


@functools.cache
def locale(name, charmap):
    """The environment of a program that speaks this language, which is built for it."""
    if not (shutil.which("localedef") and os.path.exists(f"/usr/share/i18n/locales/{name}")):
        pytest.skip("needs localedef and the sources of locales (Debian's package locales)")
    directory = home / f"{name}.{charmap}"
    subprocess.run(["localedef", "-i", name, "-f", charmap, directory], check=True,
                   stderr=subprocess.DEVNULL)
    return {"LOCPATH": str(home), "LANG": directory.name, "LC_ALL": directory.name}


def as_nobody():
    """Arguments for Testbed.run and its kin: as an ordinary user with no groups but its own."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}
