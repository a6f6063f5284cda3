"""Third-party clients agree with our replies, over IPv4 and IPv6. None of them has the right to set the
clock."""
import calendar
import itertools
import os
import re
import signal
import time

import pytest

from lib import ntp
from lib.daytime_client import query
from lib.environment import longer, needs_private, needs_program, not_instrumented, wait_until
from lib.neighbour import neighbour
from lib.peers import chronyd, CHRONYD, LIBRARIES, needs_peer, NTPD, serve, WITHOUT_SYS_TIME
from lib.process import read_back


both = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


@needs_peer(CHRONYD)
@both
@needs_private("a /run of its own")
def test_chronyd_queries_once(testbed, port, host):
    """It accepts the server, and finds an offset below a millisecond."""
    serve(testbed, f"listen ntp {port}")
    result = testbed.run(*WITHOUT_SYS_TIME, CHRONYD, "-Q", "-t", "10", "-u", "root",
                         f"server {host} port {port} iburst maxdelay 1", "pidfile /run/none.pid",
                         "cmdport 0", "bindcmdaddress /", env=LIBRARIES)
    output = result.out + result.err
    offset = re.search(r"System clock wrong by (-?[\d.]+) seconds \(ignored\)", output)
    assert result.code == 0 and offset, output
    print(f"offset found by chronyd: {offset[1]} s")
    assert abs(float(offset[1])) < 0.001


@needs_peer(CHRONYD)
@not_instrumented("the pace")
@needs_private("a /run of its own")
def test_chronyd_follows(testbed, port):
    """For CHRONYD_SECONDS (default 4), in basic mode, 16 times a second."""
    serve(testbed, f"listen ntp {port}")
    log = testbed.root / "chrony"
    log.mkdir()
    command = chronyd(testbed, f"server 127.0.0.1 port {port} minpoll -4 maxpoll -4 maxdelay 1",
                      f"logdir {log}", "log rawmeasurements", "logbanner 0")
    popen, _, err = testbed.popen(command, env=LIBRARIES)
    measurements = log / "measurements.log"
    time.sleep(float(os.environ.get("CHRONYD_SECONDS", "4")))
    wait_until(lambda: measurements.exists() and len(measurements.read_text().splitlines()) > 20,
               what="20 measurements")
    popen.terminate()
    popen.wait(longer(10))
    assert "Selected source 127.0.0.1" in read_back(err)
    offsets = []
    for line in measurements.read_text().splitlines():
        figures = re.findall(r"-?\d\.\d+e[+-]\d+", line)
        assert " 111 111 1" in line, "chronyd rejected a reply"
        offsets.append(abs(float(figures[0])))
    print(f"{len(offsets)} measurements, median offset {sorted(offsets)[len(offsets) // 2]:.2e} s")
    assert sorted(offsets)[len(offsets) // 2] < 0.001


@needs_peer(NTPD)
@not_instrumented("the pace")
@needs_private("a network of two")
def test_ntpsec_follows(testbed):
    """Its ntpd needs port 123 of every address, so it has its own network namespace."""
    serve(testbed, "listen ntp *:123")
    config = testbed.config("server 10.77.0.1 iburst minpoll 3\ndisable kernel\n", "ntp.conf")
    with neighbour() as lan:
        lan.address("10.77.0.1/24", far=["10.77.0.2/24"])
        with lan.inside():
            popen, _, err = testbed.popen([*WITHOUT_SYS_TIME, NTPD, "-n", "-x", "-c", config], env=LIBRARIES)
        try:
            wait_until(lambda: int(testbed.status().get("ntp", "0 of").split()[0]) >= 4, 20,
                       what=f"a burst of requests; its output: {read_back(err)}")
        finally:
            popen.terminate()
            popen.wait(longer(10))


@needs_program("rdate")
@needs_private("the ports of Daytime and Time")
@pytest.mark.parametrize("options, lines", [
    ([], ["listen time/tcp *:37"]), (["-u"], ["listen time/udp *:37"]),
    (["-n"], ["listen ntp *:123"])])
@pytest.mark.parametrize("family", ["-4", "-6"])
def test_rdate(testbed, options, lines, family):
    serve(testbed, *lines)
    host = "127.0.0.1" if family == "-4" else "::1"
    result = testbed.run(*WITHOUT_SYS_TIME, "rdate", "-p", family, *options, host)
    assert result.code == 0, result
    shown = calendar.timegm(time.strptime(result.out.strip(), "%a %b %d %H:%M:%S UTC %Y"))
    assert abs(shown - time.time()) < 5


@needs_program("busybox")
@needs_private("port 37")
def test_busybox_rdate(testbed):
    serve(testbed, "listen time/tcp *:37")
    result = testbed.run(*WITHOUT_SYS_TIME, "busybox", "rdate", "-p", "127.0.0.1")
    assert result.code == 0, result
    assert result.out.strip().endswith(time.strftime("%Y", time.gmtime()))


@both
def test_ntplib(testbed, port, host):
    ntplib = pytest.importorskip("ntplib", reason="needs python3-ntplib")
    serve(testbed, f"listen ntp {port}")
    for version in (2, 3, 4):
        reply = ntplib.NTPClient().request(host, version=version, port=port, timeout=5)
        assert (reply.version, reply.mode, reply.stratum, reply.leap) == (version, 4, 10, 0)
        assert abs(reply.offset) < 0.1 and reply.delay < 1


def query_every_protocol():
    for host in ("127.0.0.1", "::1"):
        for version, mode in itertools.product((1, 2, 3, 4), (1, 3)):
            ntp.query(123, host, version=version, mode=mode)
        assert query(13, host) and query(37, host)
        with ntp.udp_socket(host) as client:
            for port in (13, 37):
                client.sendto(b"", (host, port))
                assert client.recv(100)


@needs_program("tshark")
@needs_private("a capture")
@not_instrumented("the pace")
def test_tshark_finds_nothing_malformed(testbed):
    """In the requests and replies of every protocol."""
    ports = {"daytime/tcp": 13, "daytime/udp": 13, "time/tcp": 37, "time/udp": 37, "ntp": 123}
    serve(testbed, *(f"listen {name} *:{port}" for name, port in ports.items()))
    capture = testbed.root / "capture.pcap"
    tshark, _, _ = testbed.popen(["tshark", "-q", "-i", "lo", "-w", capture,
                                  "-f", "port 13 or port 37 or port 123"], env={"HOME": testbed.root})

    def has_captured(mark):
        with ntp.udp_socket() as client:
            client.sendto(mark, ("127.0.0.1", 13))
        return capture.exists() and mark in capture.read_bytes()
    try:
        wait_until(lambda: has_captured(b"first"), 20, "tshark to listen")
        query_every_protocol()
        wait_until(lambda: has_captured(b"last"), 20, "the last packet")
    finally:
        tshark.send_signal(signal.SIGINT)
        tshark.wait(longer(10))
    seen = testbed.run("tshark", "-r", capture, "-Y", "ntp || daytime || time",
                       env={"HOME": str(testbed.root)}, timeout=60)
    malformed = testbed.run("tshark", "-r", capture, "-Y", "_ws.malformed || _ws.expert.severity == error",
                            env={"HOME": str(testbed.root)}, timeout=60)
    print(f"{len(seen.out.splitlines())} packets of the protocols, malformed: {malformed.out!r}")
    assert len(seen.out.splitlines()) >= 2 * (16 + 2 + 2) and malformed.out == ""
