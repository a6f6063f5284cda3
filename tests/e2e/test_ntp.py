"""NTP: every field of a reply, which datagrams get one, and rate limits."""
import contextlib
import itertools
import json
import os
import random
import select
import socket
import struct
import subprocess
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port
from lib.environment import fewer, needs_private, wait_until
from lib.testbed import directives, Testbed

MUTATIONS = int(os.environ.get("TIMESERVER_MUTATIONS", fewer(100000)))


def start(testbed, port, *lines):
    lines = [f"listen ntp {port}", *(lines or ["clock local"])]
    return testbed.start(*directives(*lines))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version, mode, reply_mode", [
    *((version, 3, 4) for version in (1, 2, 3, 4)), (3, 1, 2), (4, 1, 2), (1, 0, 4)])
def test_every_field_of_a_reply(testbed, port, host, version, mode, reply_mode):
    start(testbed, port, "clock local stratum 5")
    transmit = random.getrandbits(64)
    before = time.time()
    reply, peer = ntp.query(port, host, version=version, mode=mode, transmit=transmit, poll=-3)
    assert peer[:2] == (host, port)
    assert reply.leap == 0 and (reply.version, reply.mode) == (version, reply_mode)
    assert reply.stratum == 5 and reply.reference_id == bytes([127, 127, 1, 1])
    assert reply.poll == -3 and -32 <= reply.precision <= -10
    assert reply.origin == transmit and reply.root_delay == 0 and reply.root_dispersion > 0
    assert before <= ntp.seconds(reply.receive) + 1e-6
    assert reply.receive <= reply.transmit and ntp.seconds(reply.transmit) < time.time() + 0.001
    assert 0 <= ntp.seconds(reply.transmit) - ntp.seconds(reply.reference) <= 65


def test_dispersion_grows_with_age(testbed, port):
    start(testbed, port)
    first = ntp.query(port)[0]

    def has_aged():
        later = ntp.query(port)[0]
        return later.reference > first.reference or later.root_dispersion > first.root_dispersion + 1
    wait_until(has_aged, 20, "two units of 15 microseconds, in about 2 seconds")


def test_an_unsynchronised_clock_says_leap_3_stratum_0(testbed, port):
    start(testbed, port, f"clock follow 127.0.0.1:{free_port()}")
    reply = ntp.query(port)[0]
    assert (reply.leap, reply.stratum, reply.reference_id) == (3, 0, b"INIT")


class Pipeline:
    """Sends many requests and records which got a reply. It does not wait for a timeout: the reply to
    a later request shows that an earlier one gets none."""

    def __init__(self, port, own=0):
        self.address = ("127.0.0.1", port)
        self.socket = ntp.udp_socket(port=own, timeout=20)
        self.number = random.getrandbits(32) << 32
        self.pending, self.wrong = {}, []

    def send(self, data, expected):
        self.pending[data[40:48] if len(data) >= 48 else None] = (data, expected)
        self.socket.sendto(data, self.address)
        if len(self.pending) >= 50:
            self.settle()

    def next(self):
        self.number += 1
        return self.number

    def settle(self):
        end = struct.pack("!Q", self.next())
        self.socket.sendto(ntp.request(transmit=self.number), self.address)
        replies = {}
        while end not in replies:
            data = self.socket.recv(2048)
            replies[data[24:32]] = data
        for key, (data, expected) in self.pending.items():
            reply = replies.pop(key, None)
            if (reply is not None) != expected or (reply and len(reply) != 48):
                self.wrong.append((data.hex(), expected))
        replies.pop(end)
        assert not replies, "replies without a request"
        self.pending.clear()


def tails(generator, size):
    yield bytes(size)
    yield generator.randbytes(size)
    if size >= 4:
        yield struct.pack("!HH", 0x0104, size) + bytes(size - 4)


@needs_private("port 123")
def test_only_valid_requests_get_a_reply(testbed, port):
    """All versions x modes x source ports x lengths 0 to 120 x tails."""
    start(testbed, port)
    generator, count = random.Random(7822), 0
    for own in (123, 0):
        line = Pipeline(port, own)
        source = line.socket.getsockname()[1]
        for version, mode, size in itertools.product(range(8), range(8), range(121)):
            whole = ntp.request(version, mode, line.next())
            for tail in tails(generator, max(size - 48, 0)) if size > 48 else [b""]:
                data = ntp.request(version, mode, line.next(), tail=tail) if size > 48 else whole
                line.send(data[:size], ntp.gets_reply(data[:size], source))
                count += 1
        line.settle()
        line.socket.close()
        assert line.wrong == []
    print(f"{count} different datagrams")


def mutated(generator, number):
    """A request with up to three bytes changed, truncated or extended."""
    tail = generator.randbytes(generator.choice([0, 0, 28, 72]))
    data = bytearray(ntp.request(transmit=number, tail=tail))
    for _ in range(generator.randrange(4)):
        data[generator.randrange(40)] = generator.randrange(256)
    del data[generator.randrange(40, 200):]
    return bytes(data)


def test_no_reply_is_longer_than_its_request(testbed, port):
    """A valid request after every 16 mutated ones: its reply shows that theirs have come."""
    daemon = start(testbed, port)
    generator, line, count = random.Random(5905), ntp.udp_socket(timeout=20), 0
    with line:
        for first in range(0, MUTATIONS, 16):
            sent = {number: mutated(generator, number) for number in range(first, first + 16)}
            valid = first + 2**63
            for data in (*sent.values(), ntp.request(transmit=valid)):
                line.sendto(data, ("127.0.0.1", port))
            while (reply := line.recv(2048))[24:32] != valid.to_bytes(8, "big"):
                assert len(reply) == 48 <= len(sent[int.from_bytes(reply[24:32], "big")])
                count += 1
    assert daemon.alive() and MUTATIONS / 4 < count < MUTATIONS
    print(f"{MUTATIONS} mutated requests, {count} replies, none longer than its request")


@needs_private("addresses of its own")
@pytest.mark.parametrize("family", [4, 6])
def test_a_reply_comes_from_the_address_of_the_request(testbed, port, family):
    addresses = ["10.98.0.1", "10.98.0.2"] if family == 4 else ["fd00:98::1", "fd00:98::2"]
    for address in addresses:
        command = ["ip", "addr", "add", address, "dev", "lo"]
        subprocess.run(command + (["nodad"] if family == 6 else []), check=False)
    start(testbed, port)
    for address in [*addresses, "127.0.0.1" if family == 4 else "::1"]:
        assert ntp.query(port, address)[1][:2] == (address, port)


def replies_to(port, count, sockets=1):
    """The replies to count requests in a row, from a number of ports."""
    found = []
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ntp.udp_socket(timeout=1)) for _ in range(sockets)]
        for number in range(count):
            clients[number % sockets].sendto(ntp.request(transmit=number), ("127.0.0.1", port))
        readable = clients
        while readable:
            readable, _, _ = select.select(clients, [], [], 1)
            found += [ntp.parse(client.recv(2048)) for client in readable]
    return found


def test_a_denied_client_gets_a_kod_once_a_second(testbed, port):
    start(testbed, port, "clock local", "deny 127.0.0.0/8", "allow 127.0.0.2")
    found = replies_to(port, 20)
    assert 1 <= len(found) <= 2
    assert all((kod.leap, kod.stratum, kod.reference_id) == (3, 0, b"DENY") for kod in found)
    with socket.socket(type=socket.SOCK_DGRAM) as allowed:
        allowed.bind(("127.0.0.2", 0))
        allowed.settimeout(5)
        allowed.sendto(ntp.request(), ("127.0.0.1", port))
        assert ntp.parse(allowed.recv(100)).stratum == 10


def test_requests_above_the_rate_are_dropped(testbed, port):
    start(testbed, port, "clock local", "ratelimit interval 100 burst 3 leak 0")
    assert [reply.stratum for reply in replies_to(port, 20)] == [10] * 3
    status = testbed.status()
    assert status["limited"] == "17" and status["ntp"] == "3 of 20"


def query_from_100_ports(testbed, port):
    """Returns how many requests got a reply, and how many workers received some."""
    def per_worker():
        return json.loads(testbed.server("--signal", "status", "--json").out)["per_worker"]
    before, found = per_worker(), replies_to(port, 100, 100)
    return len(found), sum(more > less for less, more in zip(before, per_worker()))


def test_all_workers_together_keep_to_a_rate(testbed, port):
    """With a rate limit one worker receives all requests of a network; without, the ports decide."""
    lines = f"listen ntp {port}\nclock local\nworkers 4\n"
    testbed.start("-c", testbed.config(lines))
    assert query_from_100_ports(testbed, port) == (100, 4)
    testbed.config(lines + "ratelimit interval 100 burst 3 leak 0\n")
    assert testbed.signal("reload").code == 0 and query_from_100_ports(testbed, port) == (3, 1)
    testbed.config(lines)
    assert testbed.signal("reload").code == 0 and query_from_100_ports(testbed, port) == (100, 4)


@needs_private("an address of its own")
def test_addresses_with_a_zone(testbed, port):
    """Also in the sandbox: at a reload, in the status, and to follow a server."""
    subprocess.run(["ip", "addr", "add", "fe80::1/64", "dev", "lo", "nodad"], check=False)
    testbed.start("-c", testbed.config(f"listen ntp [fe80::1%lo]:{port}\nclock local stratum 4\n"))
    assert testbed.signal("reload").code == 0
    assert testbed.status()["listen"] == [f"ntp [fe80::1%lo]:{port}"]
    with contextlib.closing(Testbed()) as other:
        port_of_other = free_port()
        start(other, port_of_other, f"clock follow [fe80::1%lo]:{port}")
        wait_until(lambda: ntp.query(port_of_other)[0].stratum == 4, what="a server on this host")


@pytest.mark.parametrize("leak, share", [(4, 0.25), (1, 1)])
def test_above_the_rate_some_requests_get_a_reply_and_some_a_kod(testbed, port, leak, share):
    """Together 1 in leak, of which 1 in 4 is a KoD. At the rate of the manual's example."""
    start(testbed, port, "clock local", f"ratelimit interval 1 burst 8 leak {leak}")
    found, batches, began = [], fewer(10), time.monotonic()
    for _ in range(batches):
        found += replies_to(port, 200)
    valid = [reply for reply in found if reply.stratum == 10]
    kods = [reply for reply in found if reply.stratum == 0]
    within = 8 + time.monotonic() - began
    above = 200 * batches - within
    print(f"above the rate: {len(valid) - within:.0f} replies, {len(kods)} KoDs, {above:.0f} requests")
    assert len(valid) + len(kods) - within < above * share * 1.2  # 30 % of leak 4
    assert len(valid) + len(kods) > above * share * 0.7
    assert len(valid) > 2 * len(kods) > 0
    assert all(kod.leap == 3 and kod.reference_id == b"RATE" for kod in kods)
