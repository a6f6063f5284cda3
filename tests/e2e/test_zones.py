"""A reload reads the time zone again, and does not change the environment beside other threads."""
import os
import pathlib

import pytest

from lib.daytime_client import query
from lib.environment import compile_shim, INSTRUMENTED, needs_private
from lib.isolate import mounted, MS_BIND
from lib.testbed import directives

SHIM = pathlib.Path(__file__).with_name("lib") / "shim_environment.c"
ZONES = pathlib.Path("/usr/share/zoneinfo")

pytestmark = [
    pytest.mark.skipif(INSTRUMENTED, reason="instruments do not load behind a shim"),
    pytest.mark.skipif(not os.access("/usr/bin/cc", os.X_OK), reason="needs cc"),
    pytest.mark.skipif(not (ZONES / "Etc/GMT+8").exists(), reason="needs the zone files of tzdata")]


class Host:
    """A daemon with a clock monitor, which aborts if it changes its environment beside threads."""

    def __init__(self, testbed, port, **variables):
        compile_shim(testbed.root / "shim.so", SHIM)
        self.testbed, self.port = testbed, port
        testbed.start(*directives(f"listen daytime/tcp {port}", f"listen ntp {port}", "clock local"),
                      env={"LD_PRELOAD": str(testbed.root / "shim.so")} | variables)

    def hour(self):
        return int(query(self.port)[11:13])

    def reload(self):
        result = self.testbed.signal("reload")
        assert result.code == 0, result


@pytest.fixture
def zone(testbed):
    """The path of a file, and a function that gives it the content of another zone."""
    path = testbed.dir / "zone"

    def replace(name):
        (testbed.dir / "new").write_bytes((ZONES / name).read_bytes())
        os.rename(testbed.dir / "new", path)
    replace("Etc/GMT+8")
    return path, replace


@pytest.mark.parametrize("colon", ["", ":"])
@pytest.mark.parametrize("directory", [False, True])
def test_a_zone_that_changes_again_and_again(testbed, port, zone, colon, directory):
    """Named by TZ, in TZDIR or by its path."""
    path, replace = zone
    host = Host(testbed, port, **({"TZ": f"{colon}zone", "TZDIR": str(path.parent)} if directory else
                                  {"TZ": f"{colon}{path}"}))
    early = host.hour()
    for name in ("Etc/GMT-8", "Etc/GMT+8") * 2:
        replace(name)
        host.reload()
        assert (host.hour() - early) % 24 in ((16, 17) if name == "Etc/GMT-8" else (0, 1))


@needs_private("an /etc/localtime of its own")
def test_the_zone_of_the_host(testbed, port):
    def local(zone):
        return mounted(ZONES / zone, "/etc/localtime", flags=MS_BIND)
    with local("Etc/GMT+8"):
        host = Host(testbed, port, TZ=None)
        early = host.hour()
    for name, hours in (("Etc/GMT-8", (16, 17)), ("Etc/GMT+8", (0, 1))):
        with local(name):
            host.reload()
            assert (host.hour() - early) % 24 in hours


@pytest.mark.parametrize("text", ["XYZ-5", "UTC0", "", "Etc/GMT-5", "no/such/zone"])
def test_a_reload_keeps_another_zone(testbed, port, text):
    host = Host(testbed, port, TZ=text)
    early = host.hour()
    host.reload()
    assert (host.hour() - early) % 24 in (0, 1)
