"""The clock's truth: what a followed server says, or hides, is on the wire within a second."""
import contextlib
import socket
import threading
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port, is_daytime
from lib.environment import wait_until
from lib.ntp import wait_for_state
from lib.udp_client import query_udp


class Followed:
    """An NTP server that says what a test wants it to say."""

    def __init__(self, host="127.0.0.1"):
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.port = self.socket.getsockname()[1]
        self.silent, self.offset, self.origin = False, 0.0, None
        self.first, self.stratum, self.root_delay, self.root_dispersion = 0x24, 3, 0x100, 0x200
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.socket.recvfrom(100)
                if not self.silent:
                    self.socket.sendto(self.reply(data), peer)

    def reply(self, data):
        now = int((time.time() + self.offset + ntp.UNIX) * 2**32) % 2**64
        origin = int.from_bytes(data[40:48], "big") if self.origin is None else self.origin
        return ntp.FORMAT.pack(self.first, self.stratum, 6, -20, self.root_delay,
                               self.root_dispersion, 0xc0000201, now - 2**32, origin, now, now)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.fixture
def followed():
    with Followed() as server:
        yield server


def start(testbed, port, server, *more):
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow 127.0.0.1:{server.port}", *more)
    wait_until(lambda: ntp.query(port)[0].leap == 0, what="the word of the server")


def test_its_word_is_passed_on(testbed, port, followed):
    """It is on this host, so it is taken to be what keeps this clock, and quoted."""
    followed.first, followed.root_delay = 0x64, 0x1234
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow 127.0.0.1:{followed.port}")
    _, reply = wait_for_state(port, 1, 3, bytes([192, 0, 2, 1]))
    assert reply.root_delay == 0x1234 and reply.root_dispersion >= 0x200
    followed.first = 0xa4
    wait_for_state(port, 2, 3, bytes([192, 0, 2, 1]))


@pytest.mark.parametrize("lie, reference", [
    ({"silent": True}, b"INIT"), ({"origin": 12345}, b"INIT"), ({"origin": 0}, b"INIT"),
    ({"first": 0xe4}, b"INIT"), ({"stratum": 16}, b"INIT"), ({"stratum": 0}, b"INIT"),
    ({"first": 0x23}, b"INIT"), ({"root_delay": 0x30000}, b"INIT"),
    ({"root_dispersion": 0x10001}, b"INIT"), ({"offset": 1.0}, b"STEP"),
    ({"offset": -3600.0}, b"STEP")],
    ids=["dead", "origin", "zero origin", "leap", "stratum 16", "stratum 0", "mode", "root delay",
         "root dispersion", "ahead", "behind"])
def test_a_server_that_is_not_to_be_believed(testbed, port, followed, lie, reference):
    """Within a second; and when it is itself again it is believed again."""
    start(testbed, port, followed)
    honest = {name: getattr(followed, name) for name in lie}
    for name, value in lie.items():
        setattr(followed, name, value)
    seconds, _ = wait_for_state(port, 3, 0, reference)
    print(f"{seconds:.2f} s until leap 3 was on the wire")
    for name, value in honest.items():
        setattr(followed, name, value)
    wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))


def test_the_time_to_notice(testbed, port, followed):
    """At most a second; the best of three counts, as the machine has other things to do."""
    start(testbed, port, followed)
    best = []
    for _ in range(3):
        followed.stratum = 16
        best.append(wait_for_state(port, 3, 0, b"INIT")[0])
        followed.stratum = 3
        wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))
    assert min(best) < 1


def test_daytime_goes_with_the_clock_only_if_required(testbed, followed):
    ports = [free_port(), free_port()]
    testbed.start("-o", f"listen ntp {ports[0]}", "-o", f"listen daytime/udp {ports[1]}",
              "-o", "require-sync", "-o", "ratelimit off",
              "-o", f"clock follow 127.0.0.1:{followed.port}")
    wait_for_state(ports[0], 0, 3, bytes([192, 0, 2, 1]))
    assert is_daytime(query_udp(ports[1]))
    followed.silent = True
    wait_for_state(ports[0], 3, 0, b"INIT")
    assert query_udp(ports[1]) is None


def test_a_server_by_name(testbed, port, followed):
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow localhost:{followed.port}")
    wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))


def test_a_reload_keeps_what_is_known(testbed, port, followed):
    """As long as the source stays the same there is no moment of doubt."""
    start(testbed, port, followed)
    for _ in range(5):
        assert testbed.signal("reload").code == 0
        assert ntp.query(port)[0].leap == 0
