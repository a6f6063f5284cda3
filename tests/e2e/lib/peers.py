"""Third-party programs that bench/fetch-peers unpacks: clients and servers of these protocols."""
import contextlib
import glob
import os
import pwd
import shutil
import signal

import pytest

from lib import isolate
from lib.environment import longer
from lib.process import read_back
from lib.testbed import directives

PEERS = os.path.abspath(os.environ.get("PEERS", "build/peers"))
CHRONYD = f"{PEERS}/chrony/usr/sbin/chronyd"
NTPD = f"{PEERS}/ntpsec/usr/sbin/ntpd"
OPENNTPD = f"{PEERS}/openntpd/usr/sbin/ntpd"
XINETD = f"{PEERS}/usr/sbin/xinetd"
INETDS = {"openbsd": f"{PEERS}/usr/sbin/inetd",
          "inetutils": f"{PEERS}/inetutils-inetd/usr/sbin/inetutils-inetd"}

WITHOUT_SYS_TIME = ["setpriv", "--bounding-set=-sys_time"]
LIBRARIES = {"LD_LIBRARY_PATH": ":".join(glob.glob(f"{PEERS}/usr/lib/*-linux-gnu*"))}


def needs_peer(path):
    return pytest.mark.skipif(not os.path.exists(path), reason=f"needs {path}: bench/fetch-peers")


def chronyd(testbed, *lines):
    """The command that runs chronyd with these lines of configuration. It does not set the clock."""
    config = testbed.config("\n".join(["cmdport 0", "bindcmdaddress /", f"pidfile {testbed.root}/chronyd.pid",
                                       *lines, ""]), "chrony.conf")
    return [*WITHOUT_SYS_TIME, CHRONYD, "-x", "-d", "-u", "root", "-f", config]


def serve(testbed, *lines):
    """Starts a daemon without a rate limit and with "clock local"."""
    return testbed.start(*directives(*lines, "clock local", "ratelimit off"))


@contextlib.contextmanager
def background(testbed, command, **more):
    """Runs a program during the with block; yields a function that returns its output so far."""
    popen, out, err = testbed.popen(command, **more)
    try:
        yield lambda: read_back(out) + read_back(err)
    finally:
        popen.send_signal(signal.SIGTERM)
        popen.wait(longer(10))


@contextlib.contextmanager
def user_with_home(testbed, name, home, directories):
    """Adds a user with a home directory below /var/lib, which some daemons need to start."""
    user = pwd.getpwnam("nobody")
    passwd = testbed.root / "passwd"
    shutil.copy("/etc/passwd", passwd)
    with open(passwd, "a", encoding="ascii") as file:
        file.write(f"{name}:x:{user.pw_uid}:{user.pw_gid}::{home}:/bin/false\n")
    with isolate.mounted(passwd, "/etc/passwd", flags=isolate.MS_BIND), \
         isolate.mounted("tmpfs", "/var/lib", "tmpfs", 0, "mode=755"):
        for directory in ("", *directories):
            os.makedirs(f"{home}/{directory}", exist_ok=True)
        yield
