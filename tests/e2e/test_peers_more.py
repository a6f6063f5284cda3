"""More third-party programs: openntpd and ntpdig as clients, scapy as parser, and no loops with real
inetds."""
import contextlib
import re
import time

import pytest

from lib import ntp
from lib.environment import needs_private, not_instrumented, wait_until
from lib.peers import (background, INETDS, LIBRARIES, needs_peer, OPENNTPD, PEERS, serve, user_with_home,
                       WITHOUT_SYS_TIME, XINETD)
from lib.udp_client import forged_datagram, raw_socket

NTPDIG = f"{PEERS}/usr/bin/ntpdig"
OURS, THEIRS = ("10.13.0.1", 13), ("10.13.0.2", 13)  # an inetd may send no replies on 127.0.0.0/8


@needs_peer(OPENNTPD)
@not_instrumented("the pace")
@needs_private("a user database of its own")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_openntpd_follows(testbed, host):
    serve(testbed, "listen ntp *:123")
    config = testbed.config(f"server {host}\n", "openntpd.conf")
    with user_with_home(testbed, "ntpd", "/var/lib/openntpd", ("db", "run")), \
         background(testbed, [*WITHOUT_SYS_TIME, OPENNTPD, "-d", "-v", "-f", config]) as output:
        wait_until(lambda: "reply from" in output(), 15, what="a reply that it accepts")
        offset = re.search(r"reply from \S+: offset (-?[\d.]+) delay ([\d.]+)", output())
    assert offset, output()
    print(f"offset found by openntpd: {offset[1]} s")
    assert abs(float(offset[1])) < 0.01 + float(offset[2]) / 2
    assert "not synced" not in output() and "invalid" not in output()


@needs_peer(NTPDIG)
@needs_private("port 123")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_ntpdig(testbed, host):
    serve(testbed, "listen ntp *:123")
    directories = LIBRARIES["LD_LIBRARY_PATH"]
    library = {"PYTHONPATH": f"{PEERS}/usr/lib/python3/dist-packages",
               "LD_LIBRARY_PATH": ":".join([directories, *(f"{x}/ntp" for x in directories.split(":"))])}
    result = testbed.run(*WITHOUT_SYS_TIME, "/usr/bin/python3", NTPDIG, host, env=library)
    found = re.search(r"\(\+0000\) ([+-][\d.]+) \+/- ([\d.]+)", result.out)
    assert result.code == 0 and found, result
    print(f"offset found by ntpdig: {found[1]} s ± {found[2]} s")
    assert abs(float(found[1])) < 0.01 + float(found[2]) and f"s{10}" in result.out


def test_scapy_rebuilds_replies(testbed, port):
    """Parsed into fields and built from these again, every reply has the same bytes."""
    scapy = pytest.importorskip("scapy.layers.ntp", reason="needs python3-scapy")
    serve(testbed, f"listen ntp {port}")
    for host in ("127.0.0.1", "::1"):
        for version, mode in [(v, m) for v in (1, 2, 3, 4) for m in (1, 3)]:
            with ntp.udp_socket(host) as client:
                data, _ = ntp.ask(client, ntp.request(version=version, mode=mode), (host, port))
            packet = scapy.NTPHeader(data)
            packet.clear_cache()  # or scapy returns the bytes that it parsed
            assert (packet.version, packet.stratum) == (version, 10)
            assert bytes(packet) == data


def forge(source, target):
    """Sends a datagram with a forged source."""
    with raw_socket() as sender:
        sender.sendto(forged_datagram(source, target, b"?"), target)


def inetd_command(testbed, kind):
    """An inetd that serves Daytime over UDP at THEIRS."""
    if kind == "xinetd":
        config = testbed.config(
            "service daytime\n{\ntype = INTERNAL\nid = daytime-dgram\nsocket_type = dgram\n"
            f"protocol = udp\nuser = root\nwait = yes\nbind = {THEIRS[0]}\ncps = 10000 1\n}}\n",
            "xinetd.conf")
        return [XINETD, "-dontfork", "-f", config, "-pidfile", testbed.root / "xinetd.pid"]
    config = testbed.config(f"{THEIRS[0]}:daytime dgram udp wait root internal\n", "inetd.conf")
    options = ["-i", "-R", "100000"] if kind == "openbsd" else ["-d", "-R", "100000"]
    return [INETDS[kind], *options, config]


@needs_peer(XINETD)
@needs_private("Daytime's port")
@pytest.mark.parametrize("kind", ["xinetd", *INETDS])
def test_no_loop_with_an_inetd(testbed, kind):
    """A forged datagram between two servers starts no endless exchange."""
    for host, _ in (OURS, THEIRS):
        assert testbed.run("ip", "addr", "replace", f"{host}/32", "dev", "lo").code == 0
    serve(testbed, f"listen daytime/udp {OURS[0]}:{OURS[1]}")
    with background(testbed, inetd_command(testbed, kind), env=LIBRARIES) as output, ntp.udp_socket() as client:
        client.settimeout(0.2)

        def inetd_reply():
            client.sendto(b"?", THEIRS)
            with contextlib.suppress(TimeoutError):
                return client.recv(100)
            return None
        wait_until(inetd_reply, 10, what=f"a reply of {kind}; its output: {output()}")
        forge(THEIRS, OURS)
        forge(OURS, THEIRS)
        time.sleep(0.5)
    status = testbed.status()
    print(f"{kind}: {status['daytime/udp']}, loops cut {status['loop']}")
    assert status["daytime/udp"].startswith("0 of ") and 1 <= int(status["loop"]) <= 2
