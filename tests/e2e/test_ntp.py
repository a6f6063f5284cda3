"""NTP as its clients see it: each field, and who is answered at all."""
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
@pytest.mark.parametrize("version, mode, answer", [
    *((version, 3, 4) for version in (1, 2, 3, 4)), (3, 1, 2), (4, 1, 2), (1, 0, 4)])
def test_every_field_of_a_reply(testbed, port, host, version, mode, answer):
    start(testbed, port, "clock local stratum 5")
    transmit = random.getrandbits(64)
    before = time.time()
    reply, peer = ntp.query(port, host, version=version, mode=mode, transmit=transmit, poll=-3)
    assert peer[:2] == (host, port)
    assert reply.leap == 0 and (reply.version, reply.mode) == (version, answer)
    assert reply.stratum == 5 and reply.reference_id == bytes([127, 127, 1, 1])
    assert reply.poll == -3 and -32 <= reply.precision <= -10
    assert reply.origin == transmit and reply.root_delay == 0 and reply.root_dispersion > 0
    assert before <= ntp.seconds(reply.receive) + 1e-6
    assert reply.receive <= reply.transmit and ntp.seconds(reply.transmit) < time.time() + 0.001
    assert 0 <= ntp.seconds(reply.transmit) - ntp.seconds(reply.reference) <= 65


def test_dispersion_grows_with_age(testbed, port):
    start(testbed, port)
    first = ntp.query(port)[0]
    time.sleep(1.5)
    second = ntp.query(port)[0]
    assert second.reference > first.reference or second.root_dispersion > first.root_dispersion


def test_a_clock_that_nobody_vouches_for(testbed, port):
    start(testbed, port, f"clock follow 127.0.0.1:{free_port()}")
    reply = ntp.query(port)[0]
    assert (reply.leap, reply.stratum, reply.reference_id) == (3, 0, b"INIT")


class Line:
    """Sends many requests and hears which were answered, without waiting for those that are not:
    an answer to a later one says that there will be none to an earlier one."""

    def __init__(self, port, own=0):
        self.address = ("127.0.0.1", port)
        self.socket = ntp.client(port=own, timeout=20)
        self.number = random.getrandbits(32) << 32
        self.waiting, self.wrong = {}, []

    def send(self, data, expected):
        self.waiting[data[40:48] if len(data) >= 48 else None] = (data, expected)
        self.socket.sendto(data, self.address)
        if len(self.waiting) >= 50:
            self.settle()

    def next(self):
        self.number += 1
        return self.number

    def settle(self):
        end = struct.pack("!Q", self.next())
        self.socket.sendto(ntp.request(transmit=self.number), self.address)
        answered = {}
        while end not in answered:
            data = self.socket.recv(2048)
            answered[data[24:32]] = data
        for key, (data, expected) in self.waiting.items():
            reply = answered.pop(key, None)
            if (reply is not None) != expected or (reply and len(reply) != 48):
                self.wrong.append((data.hex(), expected))
        answered.pop(end)
        assert not answered, "answers to nothing"
        self.waiting.clear()


def tails(generator, size):
    yield bytes(size)
    yield generator.randbytes(size)
    if size >= 4:
        yield struct.pack("!HH", 0x0104, size) + bytes(size - 4)


@needs_private("port 123")
def test_the_whole_matrix_of_requests(testbed, port):
    """Versions x modes x source ports x lengths 0 to 120 x tails."""
    start(testbed, port)
    generator, count = random.Random(7822), 0
    for own in (123, 0):
        line = Line(port, own)
        source = line.socket.getsockname()[1]
        for version, mode, size in itertools.product(range(8), range(8), range(121)):
            whole = ntp.request(version, mode, line.next())
            for tail in tails(generator, max(size - 48, 0)) if size > 48 else [b""]:
                data = ntp.request(version, mode, line.next(), tail=tail) if size > 48 else whole
                line.send(data[:size], ntp.is_answered(data[:size], source))
                count += 1
        line.settle()
        line.socket.close()
        assert line.wrong == []
    print(f"{count} kinds of requests")


def mutated(generator, number):
    """A request that is one no more in up to three bytes, and cut or added to."""
    tail = generator.randbytes(generator.choice([0, 0, 28, 72]))
    data = bytearray(ntp.request(transmit=number, tail=tail))
    for _ in range(generator.randrange(4)):
        data[generator.randrange(40)] = generator.randrange(256)
    del data[generator.randrange(40, 200):]
    return bytes(data)


def test_mutated_requests_never_get_more_than_they_are(testbed, port):
    """An honest request after every sixteen: once it is answered so are they, however slow the daemon."""
    daemon = start(testbed, port)
    generator, line, count = random.Random(5905), ntp.client(timeout=20), 0
    with line:
        for first in range(0, MUTATIONS, 16):
            sent = {number: mutated(generator, number) for number in range(first, first + 16)}
            honest = first + 2**63
            for data in (*sent.values(), ntp.request(transmit=honest)):
                line.sendto(data, ("127.0.0.1", port))
            while (reply := line.recv(2048))[24:32] != honest.to_bytes(8, "big"):
                assert len(reply) == 48 <= len(sent[int.from_bytes(reply[24:32], "big")])
                count += 1
    assert daemon.alive() and MUTATIONS / 4 < count < MUTATIONS
    print(f"{MUTATIONS} mutated requests, {count} answers seen, none longer than its request")


@needs_private("addresses of its own")
@pytest.mark.parametrize("family", [4, 6])
def test_a_reply_leaves_from_the_address_that_was_asked(testbed, port, family):
    addresses = ["10.9.8.1", "10.9.8.2"] if family == 4 else ["fd00:9::1", "fd00:9::2"]
    for address in addresses:
        command = ["ip", "addr", "add", address, "dev", "lo"]
        subprocess.run(command + (["nodad"] if family == 6 else []), check=False)
    start(testbed, port)
    for address in [*addresses, "127.0.0.1" if family == 4 else "::1"]:
        assert ntp.query(port, address)[1][:2] == (address, port)


def answers(port, count, sockets=1):
    """What comes back for so many requests in a row, from as many ports."""
    found = []
    with contextlib.ExitStack() as stack:
        asking = [stack.enter_context(ntp.client(timeout=1)) for _ in range(sockets)]
        for number in range(count):
            asking[number % sockets].sendto(ntp.request(transmit=number), ("127.0.0.1", port))
        waiting = asking
        while waiting:
            waiting, _, _ = select.select(asking, [], [], 1)
            found += [ntp.parse(one.recv(2048)) for one in waiting]
    return found


def test_who_is_denied_is_told_so_once_a_second(testbed, port):
    start(testbed, port, "clock local", "deny 127.0.0.0/8", "allow 127.0.0.2")
    found = answers(port, 20)
    assert 1 <= len(found) <= 2
    assert all((kiss.leap, kiss.stratum, kiss.reference_id) == (3, 0, b"DENY") for kiss in found)
    with ntp.client() as asking, socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))
        other.settimeout(5)
        other.sendto(ntp.request(), ("127.0.0.1", port))
        assert ntp.parse(other.recv(100)).stratum == 10
        assert asking  # the one that is denied


def test_a_rate_is_held(testbed, port):
    start(testbed, port, "clock local", "ratelimit interval 100 burst 3 leak 0")
    assert [reply.stratum for reply in answers(port, 20)] == [10] * 3
    status = testbed.status()
    assert status["limited"] == "17" and status["ntp"] == "3 of 20"


def ask_many(testbed, port):
    """From a hundred ports of one address. How many were answered, and by how many workers asked."""
    def per_worker():
        return json.loads(testbed.server("--signal", "status", "--json").out)["per_worker"]
    before, found = per_worker(), answers(port, 100, 100)
    return len(found), sum(more > less for less, more in zip(before, per_worker()))


def test_a_rate_is_held_by_all_workers_together(testbed, port):
    """They share the networks, not the ports, from the reload that brings the limit to the one that
    takes it away."""
    lines = f"listen ntp {port}\nclock local\nworkers 4\n"
    testbed.start("-c", testbed.config(lines))
    assert ask_many(testbed, port) == (100, 4)
    testbed.config(lines + "ratelimit interval 100 burst 3 leak 0\n")
    assert testbed.signal("reload").code == 0 and ask_many(testbed, port) == (3, 1)
    testbed.config(lines)
    assert testbed.signal("reload").code == 0 and ask_many(testbed, port) == (100, 4)


@needs_private("an address of its own")
def test_addresses_with_a_zone(testbed, port):
    """Also once the daemon is confined: at a reload, in its status, and to follow a server there."""
    subprocess.run(["ip", "addr", "add", "fe80::1/64", "dev", "lo", "nodad"], check=False)
    testbed.start("-c", testbed.config(f"listen ntp [fe80::1%lo]:{port}\nclock local stratum 4\n"))
    assert testbed.signal("reload").code == 0
    assert testbed.status()["listen"] == [f"ntp [fe80::1%lo]:{port}"]
    with contextlib.closing(Testbed()) as other:
        there = free_port()
        start(other, there, f"clock follow [fe80::1%lo]:{port}")
        wait_until(lambda: ntp.query(there)[0].stratum == 5, what="the word of the server")


def test_above_the_rate_some_are_answered_and_some_told(testbed, port):
    start(testbed, port, "clock local", "ratelimit interval 100 burst 3 leak 4")
    found = answers(port, 200)
    true = [reply for reply in found if reply.stratum == 10]
    kisses = [reply for reply in found if reply.stratum == 0]
    assert 3 + 20 <= len(true) <= 3 + 85 and 10 <= len(kisses) <= 80
    assert all(kiss.leap == 3 and kiss.reference_id == b"RATE" for kiss in kisses)
