"""The peers: finding them, configuring them for the bench, and starting them.

A peer is taken from $BENCH_PEERS, a directory of unpacked Debian packages that bench/fetch-peers
makes, or else from the system.
"""

import dataclasses
import glob
import os
import subprocess


@dataclasses.dataclass
class Server:
    name: str
    command: list[str]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    daemon: list[str] | None = None  # command that starts it as a daemon
    stop: list[str] | None = None  # command that stops this daemon
    version: str = ""


XINETD = """
defaults
{
	instances = UNLIMITED
	per_source = UNLIMITED
	cps = 10000000 1
}
service %(service)s
{
	type = INTERNAL
	socket_type = %(kind)s
	protocol = %(protocol)s
	user = root
	wait = %(wait)s
}
"""
INETD = "%(service)s %(kind)s %(protocol)s %(limit)s root internal\n"
CHRONYD = "local stratum 10\nallow all\ncmdport 0\nbindcmdaddress /\npidfile %s/chrony.pid\n"
NTPSEC = """unrestrict default kod limited
refclock local unit 0 stratum 10 minpoll 3 maxpoll 3
disable kernel
"""


def inetd_words(service, protocol):
    tcp = protocol == "tcp"
    return {"service": service, "protocol": protocol, "kind": "stream" if tcp else "dgram",
            "wait": "no" if tcp else "yes", "limit": "nowait.1000000000" if tcp else "wait"}


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def find(root, path, package):
    """A peer's program and the environment it needs, or None."""
    unpacked = os.path.join(root, path)
    if os.access(unpacked, os.X_OK):
        libraries = [path for directory in ("usr/lib", "lib")
                     for path in glob.glob(f"{root}/{directory}/*-linux-gnu*")]
        return unpacked, {"LD_LIBRARY_PATH": ":".join(libraries)}
    if os.access("/" + path, os.X_OK) and os.path.exists(f"/usr/share/doc/{package}"):
        return "/" + path, {}
    return None


def version(root, package):
    """The Debian version of an unpacked or installed package."""
    for deb in glob.glob(f"{root}/{package}_*.deb"):
        return os.path.basename(deb).split("_")[1].replace("%3a", ":")
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


def xinetd(root, work, service="daytime", protocol="tcp"):
    found = find(root, "usr/sbin/xinetd", "xinetd")
    if not found:
        return None
    configuration = write(work, "xinetd.conf", XINETD % inetd_words(service, protocol))
    command = [found[0], "-dontfork", "-f", configuration, "-filelog", f"{work}/xinetd.log",
               "-pidfile", f"{work}/xinetd.pid"]
    return Server("xinetd", command, found[1], version=version(root, "xinetd"))


def openbsd_inetd(root, work, service="daytime", protocol="tcp"):
    found = find(root, "usr/sbin/inetd", "openbsd-inetd")
    if not found:
        return None
    configuration = write(work, "inetd.conf", INETD % inetd_words(service, protocol))
    command = [found[0], "-i", "-q", "4096", "-R", "1000000000", configuration]
    return Server("openbsd-inetd", command, found[1], version=version(root, "openbsd-inetd"))


def chronyd(root, work):
    found = find(root, "chrony/usr/sbin/chronyd", "chrony") or find(root, "usr/sbin/chronyd", "chrony")
    if not found:
        return None
    configuration = write(work, "chrony.conf", CHRONYD % work)
    command = [found[0], "-x", "-d", "-u", "root", "-f", configuration]
    return Server("chronyd", command, found[1], version=version(root, "chrony"))


def ntpsec(root, work):
    found = find(root, "ntpsec/usr/sbin/ntpd", "ntpsec") or find(root, "usr/sbin/ntpd", "ntpsec")
    if not found:
        return None
    command = [found[0], "-n", "-x", "-c", write(work, "ntp.conf", NTPSEC)]
    return Server("ntpd (ntpsec)", command, found[1], version=version(root, "ntpsec"))
