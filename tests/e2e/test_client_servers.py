"""timeclient with the time servers that Debian packages."""
import os
import pathlib
import re

import pytest

from lib.daytime_client import json_lines
from lib.environment import compile_shim, needs_private, not_instrumented, wait_until
from lib.peers import (background, chronyd, CHRONYD, INETDS, LIBRARIES, needs_peer, NTPD, OPENNTPD,
                       user_with_home, WITHOUT_SYS_TIME, XINETD)

pytestmark = [pytest.mark.usefixtures("only_the_client"), needs_private("the ports of the protocols")]

SHIM = pathlib.Path(__file__).with_name("lib") / "shim_set.c"
INETD_HOST = "10.13.0.3"  # an inetd may send no replies on 127.0.0.0/8
NTP_OFFSET = r"ntp://\S+  .*  your clock is \d+(\.\d+)? (us|ms) (ahead|behind), \+/- .*  stratum \d+, leap none\n"


@pytest.fixture
def clock_shim(testbed):
    """The environment of a server, with a shim that logs changes of the clock instead of making them."""
    library = testbed.root / "shim.so"
    compile_shim(library, SHIM)
    (testbed.root / "set").touch()
    return {"LD_PRELOAD": str(library), "SHIM_SET": str(testbed.root / "set")}


def wait_for_reply(testbed, target, seconds=10):
    """Waits for a server that has just been started."""
    return testbed.client("--wait", seconds, "-i", "0.1", "-q", target)


@needs_peer(CHRONYD)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_chronyd(testbed, port, host):
    command = chronyd(testbed, f"port {port}", "local stratum 3", "allow all")
    with background(testbed, command, env=LIBRARIES) as output:
        result = wait_for_reply(testbed, f"ntp://{host}:{port}")
        assert result.code == 0 and re.fullmatch(NTP_OFFSET, result.out), (result, output())


@needs_peer(NTPD)
@not_instrumented("the pace")
def test_ntpsec(testbed):
    """Until ntpd is synchronised its replies are rejected by name."""
    config = testbed.config("server 127.127.1.0 minpoll 3 maxpoll 3 prefer\nfudge 127.127.1.0 stratum 5\n"
                            "tos minsane 1 orphan 5 orphanwait 1\ndisable kernel\nrestrict default\n", "ntp.conf")
    with background(testbed, [*WITHOUT_SYS_TIME, NTPD, "-n", "-x", "-c", config], env=LIBRARIES) as output:
        wait_until(lambda: "kiss" in testbed.client("-w", "1.5", "ntp://127.0.0.1").err, 10,
                   what=f"ntpd to listen; its output: {output()}")
        result = testbed.client("--wait", "25", "-i", "0.2", "-q", "ntp://127.0.0.1", timeout=40)
        assert result.code == 0 and re.fullmatch(NTP_OFFSET, result.out), (result, output())


@needs_peer(OPENNTPD)
@not_instrumented("the pace")
def test_openntpd(testbed, clock_shim):
    """It serves the time of its own server, which is ours, after it has adjusted its clock twice. That
    takes minutes (OPENNTPD_SECONDS; default 3): before, timeclient reports it as not synchronised."""
    assert testbed.run("ip", "addr", "replace", f"{INETD_HOST}/32", "dev", "lo").code == 0
    testbed.start("-o", f"listen ntp {INETD_HOST}:123", "-o", "clock local", "-o", "ratelimit off")
    config = testbed.config(f"listen on 127.0.0.1\nserver {INETD_HOST}\n", "openntpd.conf")
    seconds = int(os.environ.get("OPENNTPD_SECONDS", "3"))
    with user_with_home(testbed, "ntpd", "/var/lib/openntpd", ("db", "run")), \
         background(testbed, [*WITHOUT_SYS_TIME, OPENNTPD, "-d", "-v", "-f", config], env=clock_shim) as output:
        wait_until(lambda: "ntp engine ready" in output(), 10, what="openntpd to listen")
        result = testbed.client("--wait", seconds, "-i", "0.5", "ntp://127.0.0.1", timeout=seconds + 20)
        print(f"{result.out or result.err}after {result.seconds:.0f} s")
        if result.code == 1:
            assert "not synchronised" in result.err, (result, output())
        else:
            assert re.fullmatch(NTP_OFFSET, result.out), (result, output())


SERVICES = [("daytime", "tcp"), ("daytime", "udp"), ("time", "tcp"), ("time", "udp")]


def inetd(testbed, kind):
    if kind == "xinetd":
        config = testbed.config("".join(
            f"service {name}\n{{\ntype = INTERNAL\nid = {name}-{transport}\n"
            f"socket_type = {'stream' if transport == 'tcp' else 'dgram'}\nprotocol = {transport}\n"
            f"user = root\nwait = {'no' if transport == 'tcp' else 'yes'}\nbind = {INETD_HOST}\n}}\n"
            for name, transport in SERVICES), "xinetd.conf")
        return [XINETD, "-dontfork", "-f", config, "-pidfile", testbed.root / "xinetd.pid"]
    config = testbed.config("".join(
        f"{INETD_HOST}:{name} {'stream tcp nowait' if transport == 'tcp' else 'dgram udp wait'} root internal\n"
        for name, transport in SERVICES), "inetd.conf")
    return [INETDS[kind], "-i" if kind == "openbsd" else "-d", config]


@needs_peer(XINETD)
@pytest.mark.parametrize("kind", ["xinetd", *INETDS])
def test_inetds(testbed, kind):
    """All four services. inetutils sends 8 bytes instead of 4, as the error says."""
    assert testbed.run("ip", "addr", "replace", f"{INETD_HOST}/32", "dev", "lo").code == 0
    with background(testbed, inetd(testbed, kind), env=LIBRARIES) as output:
        assert wait_for_reply(testbed, f"daytime://{INETD_HOST}").code == 0, output()
        for name, transport in SERVICES:
            scheme = name + ("+udp" if transport == "udp" else "")
            [sample] = json_lines(testbed.client("-j", f"{scheme}://{INETD_HOST}").out)
            if kind == "inetutils" and name == "time":
                text = testbed.client(f"{scheme}://{INETD_HOST}")
                assert text.code == 1 and text.out == "" and "8 bytes instead of 4, as from inetutils" in text.err
                assert sample["error"].startswith("reply has 8 bytes instead of 4, as from inetutils-inetd: ")
            else:
                # Their time(2) is up to a clock tick behind.
                assert sample["ok"] and abs(sample["offset"]) <= sample["error_bound"] + 0.01 < 2, (scheme, sample)
                print(f"{kind}, {scheme}: {sample.get('text', sample['server_time'])}")
