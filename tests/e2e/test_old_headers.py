"""The sources compile with older headers: those of Debian 11 (Linux 5.10, glibc 2.31, jansson 2.13)."""
import glob

import pytest

from lib.environment import needs_program

# Headers that Debian 11 does not have.
NEWER_HEADERS = ["linux/landlock.h", "sys/pidfd.h"]

# System calls that its <sys/syscall.h> does not name.
NEWER_CALLS = ["close_range", "epoll_pwait2", "landlock_add_rule", "landlock_create_ruleset",
               "landlock_restrict_self", "openat2", "pidfd_getfd"]

# Functions that its libraries do not have, and the headers that declare them here.
NEWER_FUNCTIONS = ["arc4random", "close_range", "closefrom", "epoll_pwait2", "json_object_getn", "pidfd_open",
                   "pidfd_send_signal", "strerrordesc_np", "strerrorname_np", "strlcat", "strlcpy"]
DECLARING = ["jansson.h", "stdlib.h", "string.h", "sys/epoll.h", "sys/syscall.h", "unistd.h"]


@needs_program("cc")
@pytest.mark.parametrize("compiler", ["cc", "clang"])
def test_the_sources_compile_with_older_headers(testbed, compiler):
    if testbed.run("sh", "-c", f"command -v {compiler}").code != 0:
        pytest.skip(f"needs {compiler}")
    for name in NEWER_HEADERS:
        path = testbed.dir / "hidden" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#error "{name} is newer"\n')
    first = testbed.config("".join(
        [f"#include <{name}>\n" for name in DECLARING] + [f"#undef SYS_{name}\n" for name in NEWER_CALLS]
        + [f"#pragma GCC poison {name}\n" for name in NEWER_FUNCTIONS]), "older.h")
    result = testbed.run(
        compiler, "-std=gnu17", "-fsyntax-only", "-Werror", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64",
        "-D_TIME_BITS=64", "-Isrc", '-DPROGRAM_NAME="x"', '-DPROGRAM_VERSION="0"', "-isystem",
        testbed.dir / "hidden", "-include", first, *glob.glob("src/**/*.c", recursive=True), cwd=None, timeout=120)
    assert result.code == 0, result.err
