"""Daytime and Time over UDP, and Time over TCP: what is told, to whom, and how often."""
import itertools
import socket
import struct
import threading
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port, is_daytime, query
from lib.environment import needs_private, not_instrumented
from lib.testbed import directives
from lib.udp_client import forged_datagram, query_udp, raw_socket

SERVICES = ["daytime/udp", "time/udp"]


def start(testbed, *lines, **more):
    return testbed.start(*directives(*lines), **more)


def is_time(answer):
    return len(answer) == 4 and abs(int.from_bytes(answer, "big") - (int(time.time()) + ntp.UNIX)
                                    % 2**32) <= 2


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("size", [0, 1, 5, 500, 1280])
def test_an_answer_whatever_the_request(testbed, host, size):
    ports = [free_port(), free_port()]
    start(testbed, *(f"listen {name} {port}" for name, port in zip(SERVICES, ports)))
    assert is_daytime(query_udp(ports[0], bytes(size), host))
    assert is_time(query_udp(ports[1], bytes(size), host))


def test_time_over_tcp(testbed, port):
    start(testbed, f"listen time/tcp {port}")
    for host in ("127.0.0.1", "::1"):
        assert is_time(query(port, host))


def test_one_port_for_a_protocol_of_each_transport(testbed, port):
    start(testbed, f"listen daytime/tcp {port}", f"listen time/udp {port}")
    assert is_daytime(query(port)) and is_time(query_udp(port))


def count_answers(port, requests, host="127.0.0.1"):
    with ntp.client(host, timeout=0.5) as asking:
        for _ in range(requests):
            asking.sendto(b"", (host, port))
        for count in itertools.count():
            try:
                asking.recv(100)
            except TimeoutError:
                return count


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_built_in_limit(testbed, port, host):
    """10 at once, then 5 a second."""
    start(testbed, f"listen daytime/udp {port}")
    began = time.monotonic()
    found = count_answers(port, 100, host)
    assert 10 <= found <= 10 + 5 * (time.monotonic() - began) + 1
    assert int(testbed.status()["limited"]) == 100 - found


def test_no_limit(testbed, port):
    start(testbed, f"listen daytime/udp {port}", "ratelimit off")
    assert count_answers(port, 200) == 200


@needs_private("reserved ports")
@pytest.mark.parametrize("service", SERVICES)
def test_no_answer_to_what_may_be_a_server(testbed, port, service):
    served = free_port()
    start(testbed, f"listen {service} {port}", f"listen daytime/tcp {served}", "ratelimit off")
    for own in (7, 13, 19, 37, 123, 1023, served):
        assert query_udp(port, b"", own=own) is None
    assert query_udp(port, b"Sun Nov 22 19:15:08 2026\r\n") is None
    assert query_udp(port, struct.pack("!I", (int(time.time()) + ntp.UNIX) % 2**32)) is None
    assert query_udp(port, b"", own=1024) is not None
    assert testbed.status()["loop"] == "9"


def test_who_is_denied(testbed):
    ports = {name: free_port() for name in [*SERVICES, "daytime/tcp", "time/tcp"]}
    start(testbed, *(f"listen {name} {port}" for name, port in ports.items()), "deny 127.0.0.0/8",
          "allow ::/0")
    assert all(query_udp(ports[name]) is None for name in SERVICES)
    assert query(ports["daytime/tcp"]) == query(ports["time/tcp"]) == b""
    assert is_daytime(query_udp(ports["daytime/udp"], host="::1"))
    assert is_daytime(query(ports["daytime/tcp"], "::1"))
    assert testbed.status()["denied"] == "4"


@pytest.mark.parametrize("required", [False, True])
def test_a_clock_that_is_not_synchronised(testbed, required):
    """Daytime and Time never promised that it is; unless the operator wants it so."""
    ports = {name: free_port() for name in [*SERVICES, "daytime/tcp", "time/tcp"]}
    start(testbed, *(f"listen {name} {port}" for name, port in ports.items()),
          f"clock follow 127.0.0.1:{free_port()}", *(["require-sync"] if required else []))
    assert [query_udp(ports[name]) is None for name in SERVICES] == [required] * 2
    assert [query(ports[name]) == b"" for name in ("daytime/tcp", "time/tcp")] == [required] * 2
    assert testbed.status()["unsynchronised"] == ("4" if required else "0")


def test_a_port_that_is_taken(testbed, port):
    start(testbed, f"listen daytime/udp {port}")
    other = testbed.server("-o", f"listen ntp {port}", "-o", "clock local", "-p", testbed.dir / "o.pid",
                       pidfile=False)
    assert tuple(other) == (
        1, "", f"timeserver: cannot listen on udp {port}: Address already in use\n")


class Tap:
    """Counts the UDP datagrams that pass on lo, each once."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.bind(("lo", 0))

    def seen(self, seconds):
        """Payload sizes by (source, its port, destination, its port)."""
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
def test_two_servers_never_talk_for_long(testbed, one, other):
    """A forged datagram between any two services is dead after two packets, itself included."""
    ports = [free_port(), free_port()]
    for number, name in enumerate((one, other)):
        testbed.start("-o", f"listen {name} {ports[number]}", "-o", "clock local",
                  "-o", "ratelimit off", "-p", testbed.dir / f"{number}.pid", pidfile=False)
    tap = Tap()
    with raw_socket() as sender:
        sender.sendto(forged_datagram(("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), ntp.request()),
                      ("127.0.0.1", 0))
    assert 1 <= len([packet for packet in tap.seen(0.3)
                     if {packet[1], packet[3]} == set(ports)]) <= 2


@needs_private("forged datagrams")
@not_instrumented("the rate")
def test_a_forged_flood_gets_little_and_hurts_nobody(testbed, port):
    """10,000 a second in one network's name: at most 150 bytes a second go there, after the first
    burst, and a client in another network goes on being answered, at the third try if not at once:
    where the machine stalls, the kernel's queue is full for a moment."""
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
    reader = []
    listening = threading.Thread(target=lambda: reader.extend(tap.seen(seconds)))
    listening.start()
    thread.start()
    answered = asked = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        asked += 1
        answered += any(query_udp(port) for _ in range(3))
        time.sleep(0.25)
    stop.set()
    thread.join()
    listening.join()
    requests = len([packet for packet in reader if packet[0] == "127.66.0.1"])
    sizes = [packet[4] for packet in reader if packet[2] == "127.66.0.1"]
    print(f"{requests} forged requests, {len(sizes)} answers of {sum(sizes)} bytes in {seconds} s;"
          f" another client: {answered} of {asked}")
    assert requests > 1000 * seconds and daemon.alive()
    assert sum(sizes) <= 10 * 26 + 150 * seconds
    assert answered == asked
