"""Other people's servers: how they are found, configured for the bench, and started.

A peer comes from $BENCH_PEERS (a directory with Debian packages unpacked in it, as
bench/fetch-peers makes it), or else from the system.
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
    daemon: list[str] | None = None  # how it starts as a daemon that says when it serves
    stop: list[str] | None = None  # and how that one is stopped
    version: str = ""


XINETD = """
defaults
{
	instances = UNLIMITED
	per_source = UNLIMITED
	cps = 10000000 1
}
service daytime
{
	type = INTERNAL
	socket_type = stream
	protocol = tcp
	user = root
	wait = no
}
"""
INETD = "daytime stream tcp nowait.1000000000 root internal\n"


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def find(root, path, package):
    """A peer's program and the environment it needs, or None."""
    unpacked = os.path.join(root, path)
    if os.access(unpacked, os.X_OK):
        libraries = [path for place in ("usr/lib", "lib")
                     for path in glob.glob(f"{root}/{place}/*-linux-gnu*")]
        return unpacked, {"LD_LIBRARY_PATH": ":".join(libraries)}
    if os.access("/" + path, os.X_OK) and os.path.exists(f"/usr/share/doc/{package}"):
        return "/" + path, {}
    return None


def version(root, package):
    """The Debian version of a package, as unpacked or as installed."""
    for deb in glob.glob(f"{root}/{package}_*.deb"):
        return os.path.basename(deb).split("_")[1].replace("%3a", ":")
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


def xinetd(root, work):
    found = find(root, "usr/sbin/xinetd", "xinetd")
    if not found:
        return None
    configuration = write(work, "xinetd.conf", XINETD)
    command = [found[0], "-dontfork", "-f", configuration, "-filelog", f"{work}/xinetd.log",
               "-pidfile", f"{work}/xinetd.pid"]
    return Server("xinetd", command, found[1], version=version(root, "xinetd"))


def openbsd_inetd(root, work):
    found = find(root, "usr/sbin/inetd", "openbsd-inetd")
    if not found:
        return None
    configuration = write(work, "inetd.conf", INETD)
    command = [found[0], "-i", "-q", "4096", "-R", "1000000000", configuration]
    return Server("openbsd-inetd", command, found[1], version=version(root, "openbsd-inetd"))
