"""Files that an operator names, or in a directory that he names: a file that is not regular is refused, with
its kind, and blocks neither a start nor a reload nor a signal."""
import os
import pathlib
import signal
import socket
import stat

import pytest

from lib.control import reload, reloaded, start_with_file
from lib.daytime_client import is_daytime, query, serves
from lib.environment import needs_private, wait_until

ZONES = pathlib.Path("/usr/share/zoneinfo")
KINDS = {"FIFO": "a FIFO", "directory": "a directory", "socket": "a socket", "device": "a device"}
PLACES = ["-c", "include", "confdir"]


def make(kind, path):
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    else:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # as /dev/zero


def kinds(names=tuple(KINDS)):
    return pytest.mark.parametrize("kind", [
        pytest.param(kind, marks=needs_private("a device") if kind == "device" else ()) for kind in names])


@kinds()
@pytest.mark.parametrize("place", PLACES)
def test_no_regular_file_as_configuration(testbed, place, kind):
    directory = testbed.dir / "more.d"
    directory.mkdir()
    path = directory / "x.conf"
    make(kind, path)
    config = testbed.config({"-c": "", "include": f"include {path}\n", "confdir": "confdir more.d\n"}[place])
    result = testbed.server("--test", "-c", path if place == "-c" else config)
    where = "timeserver" if place == "-c" else f"{config}:1: {place}"
    assert tuple(result) == (78, "", f"{where}: cannot read {path}: Is {KINDS[kind]}\n")


@kinds(["FIFO", "socket"])
def test_a_reload_reads_no_other_kind_of_file(testbed, port, kind):
    """It fails as a whole, and signals are heeded afterwards."""
    directory = testbed.dir / "more.d"
    directory.mkdir()
    lines = [f"listen daytime/tcp {port}", "confdir more.d"]
    daemon = start_with_file(testbed, *lines)
    make(kind, directory / "x.conf")
    assert reload(testbed, *lines) == (78, "", f"{testbed.dir}/t.conf:2: confdir: cannot read "
                                       f"{directory}/x.conf: Is {KINDS[kind]}\n")
    (directory / "x.conf").unlink()
    assert reload(testbed, *lines) == reloaded(daemon) and is_daytime(query(port))
    make(kind, directory / "x.conf")
    daemon.signal(signal.SIGHUP)
    daemon.stop()


def test_the_null_device_is_an_empty_file(testbed):
    """Also as a link in a confdir, which takes a file of a distribution away."""
    (testbed.dir / "x.conf").symlink_to("/dev/null")
    config = testbed.config(f"clock local\nconfdir {testbed.dir}\n", "main")
    assert testbed.server("--test", "-c", config).code == 0
    assert testbed.server("--test", "-c", "/dev/null").code == 0


@kinds(["FIFO", "device"])
def test_a_time_zone_that_blocks_fails_a_start(testbed, port, kind):
    zone = testbed.dir / "zone"
    make(kind, zone)
    result = testbed.server("-o", f"listen daytime/tcp {port}", env={"TZ": f":{zone}"})
    assert tuple(result) == (
        1, "", f"timeserver: cannot read the time zone from {zone}: Is {KINDS[kind]}\n")


def test_a_reload_keeps_the_time_zone_if_its_file_blocks(testbed, port):
    zone = testbed.dir / "zone"
    zone.touch()
    daemon = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}", env={"TZ": f":{zone}"})
    wait_until(lambda: serves(port))
    zone.unlink()
    make("FIFO", zone)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: " in daemon.log(), what="the reload")
    assert f"cannot read the time zone from {zone}: Is a FIFO\n" in daemon.log()
    assert is_daytime(query(port))


@needs_private("another user")
@pytest.mark.skipif(not (ZONES / "Etc/GMT-8").exists(), reason="needs the zone files of tzdata")
def test_a_reload_keeps_the_time_zone_if_its_file_cannot_be_read(testbed, port):
    """Root has read it at the start. The time would be UTC otherwise."""
    zone = testbed.dir / "zone"
    zone.write_bytes((ZONES / "Etc/GMT-8").read_bytes())
    daemon = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}", env={"TZ": f":{zone}"})
    wait_until(lambda: serves(port))
    early = int(query(port)[11:13])
    zone.chmod(0o600)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: " in daemon.log(), what="the reload")
    assert f"cannot read the time zone from {zone}: Permission denied\n" in daemon.log()
    assert (int(query(port)[11:13]) - early) % 24 in (0, 1)
