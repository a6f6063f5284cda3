"""Daytime and Time over UDP, and Time over TCP: replies, drops and limits."""
import itertools
import pathlib
import socket
import struct
import sys
import threading
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port, is_daytime, query
from lib.environment import compile_shim, needs_private, needs_program, not_instrumented
from lib.testbed import directives
from lib.udp_client import forged_datagram, query_udp, raw_socket, reply_over_udp

SERVICES = ["daytime/udp", "time/udp"]
SHIM = pathlib.Path(__file__).with_name("lib") / "shim_wall.c"


def start(testbed, *lines, **more):
    return testbed.start(*directives(*lines), **more)


def is_time(reply):
    return len(reply) == 4 and abs(int.from_bytes(reply, "big") - (int(time.time()) + ntp.UNIX_EPOCH)
                                   % 2**32) <= 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("size", [0, 1, 5, 500, 1280])
def test_any_request_gets_a_reply(testbed, host, size):
    ports = [free_port(), free_port()]
    start(testbed, *(f"listen {name} {port}" for name, port in zip(SERVICES, ports)))
    assert is_daytime(reply_over_udp(ports[0], bytes(size), host=host))
    assert is_time(reply_over_udp(ports[1], bytes(size), host=host))


def test_time_over_tcp(testbed, port):
    start(testbed, f"listen time/tcp {port}")
    for host in ("127.0.0.1", "::1"):
        assert is_time(query(port, host))


def test_tcp_and_udp_protocols_can_share_a_port(testbed, port):
    start(testbed, f"listen daytime/tcp {port}", f"listen time/udp {port}")
    assert is_daytime(query(port)) and is_time(reply_over_udp(port))


def count_replies(port, requests, host="127.0.0.1"):
    with ntp.udp_socket(host, timeout=0.5) as client:
        for _ in range(requests):
            client.sendto(b"", (host, port))
        for count in itertools.count():
            try:
                client.recv(100)
            except TimeoutError:
                return count


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_default_rate_limit(testbed, port, host):
    """10 requests at once, then 5 a second."""
    start(testbed, f"listen daytime/udp {port}")
    began = time.monotonic()
    found = count_replies(port, 100, host)
    assert 10 <= found <= 10 + 5 * (time.monotonic() - began) + 1
    assert int(testbed.status()["limited"]) == 100 - found


def test_ratelimit_off(testbed, port):
    start(testbed, f"listen daytime/udp {port}", "ratelimit off")
    assert count_replies(port, 200) == 200


@needs_private("reserved ports")
@pytest.mark.parametrize("service", SERVICES)
def test_no_reply_to_a_port_or_datagram_of_a_server(testbed, port, service):
    served = free_port()
    start(testbed, f"listen {service} {port}", f"listen daytime/tcp {served}", "ratelimit off")
    for own in (7, 13, 19, 37, 123, 1023, served):
        assert query_udp(port, b"", own=own) is None
    assert query_udp(port, b"Sun Nov 22 19:15:08 2026\r\n") is None
    assert query_udp(port, b"2026-11-22T19:15:08Z") is None
    for seconds in (int(time.time()), 0, 2**31):
        time_reply = struct.pack("!I", (seconds + ntp.UNIX_EPOCH) % 2**32)
        assert query_udp(port, time_reply) is None and query_udp(port, bytes(4) + time_reply) is None
    assert reply_over_udp(port, own=1024) is not None
    assert testbed.status()["loop"] == "15"


def test_denied_clients_get_no_reply(testbed):
    ports = {name: free_port() for name in [*SERVICES, "daytime/tcp", "time/tcp"]}
    start(testbed, *(f"listen {name} {port}" for name, port in ports.items()), "deny 127.0.0.0/8",
          "allow ::/0")
    assert all(query_udp(ports[name]) is None for name in SERVICES)
    assert query(ports["daytime/tcp"]) == query(ports["time/tcp"]) == b""
    assert is_daytime(reply_over_udp(ports["daytime/udp"], host="::1"))
    assert is_daytime(query(ports["daytime/tcp"], "::1"))
    assert testbed.status()["denied"] == "4"


@pytest.mark.parametrize("required", [False, True])
def test_an_unsynchronised_clock_silences_daytime_only_with_require_sync(testbed, required):
    """The same for Time."""
    ports = {name: free_port() for name in [*SERVICES, "daytime/tcp", "time/tcp"]}
    start(testbed, *(f"listen {name} {port}" for name, port in ports.items()),
          f"clock follow 127.0.0.1:{free_port()}", *(["require-sync"] if required else []))
    send = query_udp if required else reply_over_udp
    assert [send(ports[name]) is None for name in SERVICES] == [required] * 2
    assert [query(ports[name]) == b"" for name in ("daytime/tcp", "time/tcp")] == [required] * 2
    assert testbed.status()["unsynchronised"] == ("4" if required else "0")


def test_a_busy_udp_port_is_an_error(testbed, port):
    start(testbed, f"listen daytime/udp {port}")
    other = testbed.server("-o", f"listen ntp {port}", "-o", "clock local", "-p", testbed.dir / "o.pid",
                           pidfile=False)
    assert tuple(other) == (
        1, "", f"timeserver: cannot listen on udp {port}: Address already in use\n")


class Tap:
    """Captures the UDP datagrams on the loopback interface, each once."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.bind(("lo", 0))

    def capture(self, seconds):
        """(source, its port, destination, its port, payload size) of each datagram."""
        found, until = [], time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, (_, _, kind, *_) = self.socket.recvfrom(2048)
            except TimeoutError:
                break
            if kind == socket.PACKET_HOST and data[9] == 17:
                ports = struct.unpack("!HH", data[20:24])
                found.append((socket.inet_ntoa(data[12:16]), ports[0],
                              socket.inet_ntoa(data[16:20]), ports[1], len(data) - 28))
        self.socket.close()
        return found


@needs_private("forged datagrams")
@pytest.mark.parametrize("one, other", itertools.product([*SERVICES, "ntp"], repeat=2))
def test_a_forged_datagram_between_two_servers_starts_no_loop(testbed, one, other):
    """Between any two services there are two packets at most, the forged one included."""
    ports = [free_port(), free_port()]
    for number, name in enumerate((one, other)):
        testbed.start("-o", f"listen {name} {ports[number]}", "-o", "clock local",
                      "-o", "ratelimit off", "-p", testbed.dir / f"{number}.pid", pidfile=False)
    tap = Tap()
    with raw_socket() as sender:
        sender.sendto(forged_datagram(("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), ntp.request()),
                      ("127.0.0.1", 0))
    assert 1 <= len([packet for packet in tap.capture(0.3)
                     if {packet[1], packet[3]} == set(ports)]) <= 2


@needs_private("forged datagrams")
@not_instrumented("a shim")
@needs_program("cc")
def test_no_loop_between_time_servers_that_are_days_apart(testbed):
    """One of them has just started in 1970."""
    ports, library, wall = [free_port(), free_port()], testbed.dir / "wall.so", testbed.dir / "wall.so.state"
    compile_shim(library, SHIM)
    wall.write_bytes(int(-time.time() * 10**9).to_bytes(8, sys.byteorder, signed=True))
    for number, env in enumerate(({}, {"LD_PRELOAD": str(library)})):
        testbed.start("-o", f"listen time/udp {ports[number]}", "-o", "ratelimit off",
                      "-p", testbed.dir / f"{number}.pid", pidfile=False, env=env)
    assert is_time(reply_over_udp(ports[0])) and not is_time(reply_over_udp(ports[1]))
    tap = Tap()
    with raw_socket() as sender:
        sender.sendto(forged_datagram(("127.0.0.1", ports[0]), ("127.0.0.1", ports[1])), ("127.0.0.1", 0))
    assert 1 <= len([packet for packet in tap.capture(0.3) if {packet[1], packet[3]} == set(ports)]) <= 2


@needs_private("forged datagrams")
@not_instrumented("the rate")
def test_a_forged_flood_is_limited_and_other_networks_are_served(testbed, port):
    """10,000 requests a second from one network get a burst and then 150 bytes a second at most. A
    client in another network gets its replies, within ten tries: the kernel's queue may be full for
    a moment."""
    daemon = start(testbed, f"listen daytime/udp {port}")
    seconds, stop = 3, threading.Event()

    def flood():
        with raw_socket() as sender:
            packet, count = forged_datagram(("127.66.0.1", 5000), ("127.0.0.1", port)), 0
            began = time.monotonic()
            while not stop.is_set():
                while count < (time.monotonic() - began) * 10000:
                    sender.sendto(packet, ("127.0.0.1", 0))
                    count += 1
                time.sleep(0.001)

    tap, thread = Tap(), threading.Thread(target=flood)
    packets = []
    listening = threading.Thread(target=lambda: packets.extend(tap.capture(seconds)))
    listening.start()
    thread.start()
    replies = tries = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        tries += 1
        replies += any(query_udp(port) for _ in range(10))
        time.sleep(0.25)
    stop.set()
    thread.join()
    listening.join()
    requests = len([packet for packet in packets if packet[0] == "127.66.0.1"])
    sizes = [packet[4] for packet in packets if packet[2] == "127.66.0.1"]
    print(f"{requests} forged requests, {len(sizes)} replies of {sum(sizes)} bytes in {seconds} s;"
          f" another client got {replies} replies to {tries} requests")
    assert requests > 1000 * seconds and daemon.alive()
    assert sum(sizes) <= 10 * 26 + 150 * seconds
    assert replies == tries
