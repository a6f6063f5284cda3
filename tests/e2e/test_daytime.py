"""Daytime over TCP: exact bytes in every time zone and language, on every address."""
import datetime
import pathlib
import select
import socket
import struct
import subprocess
import zoneinfo

import pytest

from lib.daytime_client import is_daytime, query, receive_all, serves
from lib.environment import fewer, locale, longer, needs_private, wait_until


def is_current(reply, clock):
    """Whether reply is the ctime of now, or of the second before, since one may just have begun."""
    return reply in {(clock() - datetime.timedelta(seconds=back)).ctime().encode() + b"\r\n"
                     for back in (0, 1)}


def clock_of(zone):
    return lambda: datetime.datetime.now(zone)


def test_a_reply_has_exactly_26_bytes(testbed, port):
    testbed.listen(port)
    reply = query(port)
    assert len(reply) == 26 and is_daytime(reply)
    assert is_current(reply, clock_of(datetime.timezone.utc))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu",
                                  "Pacific/Kiritimati", "Pacific/Pago_Pago", "Antarctica/Troll"])
def test_replies_are_in_the_time_zone_of_the_host(testbed, port, zone):
    try:
        clock = clock_of(zoneinfo.ZoneInfo(zone))
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("needs the zone files of tzdata")
    testbed.listen(port, env={"TZ": zone})
    assert is_current(query(port), clock)


@pytest.mark.parametrize("text, hours", [("ABC-14", 14), ("<-12>12", -12), ("XYZ3:30", -3.5),
                                         ("No/Such/Zone", 0), ("", 0), (":/dev/null", 0)])
def test_other_forms_of_time_zones(testbed, port, text, hours):
    testbed.listen(port, env={"TZ": text})
    assert is_current(query(port), clock_of(datetime.timezone(datetime.timedelta(hours=hours))))


@pytest.mark.parametrize("name, charmap", [("de_DE", "ISO-8859-1"), ("ja_JP", "EUC-JP")])
def test_replies_and_messages_are_english_in_every_language(testbed, port, name, charmap):
    own = locale(name, charmap)
    date = subprocess.check_output(["date", "-d", "2026-11-22", "+%a"], env=own)
    assert date.strip() != b"Sun", "the locale is not English"
    daemon = testbed.listen(port, env=own)
    assert is_current(query(port), clock_of(datetime.timezone.utc))
    assert daemon.result.out.startswith("timeserver: serving as process ")
    busy = testbed.server("-o", f"listen daytime/tcp {port}", "-p", testbed.dir / "x.pid", env=own)
    assert busy.err == f"timeserver: cannot listen on tcp {port}: Address already in use\n"


@pytest.mark.parametrize("form, hosts, others", [
    ("{}", ["127.0.0.1", "127.0.0.9", "::1"], []),
    ("*:{}", ["127.0.0.1", "127.0.0.9", "::1"], []),
    ("127.0.0.1:{}", ["127.0.0.1"], ["127.0.0.9", "::1"]),
    ("0.0.0.0:{}", ["127.0.0.1", "127.0.0.9"], ["::1"]),
    ("[::1]:{}", ["::1"], ["127.0.0.1"]),
    ("[::]:{}", ["::1"], ["127.0.0.1"])])
def test_addresses(testbed, port, form, hosts, others):
    """It serves the addresses of the line, and no others."""
    testbed.start("-o", f"listen daytime/tcp {form.format(port)}")
    assert all(serves(port, host) for host in hosts)
    assert not any(serves(port, host) for host in others)


@needs_private("a network without IPv6")
def test_all_addresses_on_a_machine_without_ipv6(testbed, port):
    setting = pathlib.Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    setting.write_text("1")
    try:
        testbed.listen(port)
        assert serves(port)
    finally:
        setting.write_text("0")
        subprocess.run(["ip", "-6", "address", "replace", "::1/128", "dev", "lo"], check=True)
    wait_until(lambda: serves(port, "::1") or True)


class Capture:
    """Captures packets on the loopback interface."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        self.socket.bind(("lo", 0))

    def segments(self, port):
        """(flags, payload) of the TCP segments over IPv4 that came from port, each once."""
        while select.select([self.socket], [], [], 0.2)[0]:
            packet, (_, kind, direction, *_) = self.socket.recvfrom(65536)
            if direction == socket.PACKET_OUTGOING:
                continue  # this interface shows each packet twice
            if kind != 0x0800 or packet[9] != socket.IPPROTO_TCP:
                continue
            segment = packet[(packet[0] & 15) * 4:struct.unpack("!H", packet[2:4])[0]]
            if struct.unpack("!H", segment[:2])[0] == port:
                yield segment[13], segment[(segment[12] >> 4) * 4:]


@needs_private("to see packets")
def test_data_and_fin_leave_in_one_segment(testbed, port):
    """On the wire: one SYN, one segment with the 26 bytes and the FIN, no RST."""
    fin, syn, reset = 1, 2, 4
    testbed.listen(f"127.0.0.1:{port}")
    capture = Capture()
    reply = query(port)
    segments = list(capture.segments(port))
    capture.socket.close()
    with_data_or_fin = [(flags & fin, data) for flags, data in segments if data or flags & fin]
    assert with_data_or_fin == [(fin, reply)]
    assert sum(1 for flags, _ in segments if flags & syn) == 1
    assert not any(flags & reset for flags, _ in segments)


def test_a_restart_can_listen_on_the_same_port_at_once(testbed, port):
    """Although its closed connections are in TIME_WAIT."""
    for _ in range(3):
        daemon = testbed.listen(port)
        for _ in range(10):
            assert is_daytime(query(port))
        daemon.stop()


@pytest.mark.parametrize("manner", ["half close first", "wait", "reset at once", "close at once"])
def test_every_way_of_closing_leaves_no_descriptor(testbed, port, manner):
    daemon = testbed.listen(port)
    before = len(daemon.descriptors())
    for _ in range(fewer(50)):
        connection = socket.create_connection(("127.0.0.1", port), timeout=longer(5))
        if manner == "half close first":
            connection.shutdown(socket.SHUT_WR)
        if manner in ("half close first", "wait"):
            assert is_daytime(receive_all(connection))
        if manner == "reset at once":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert is_daytime(query(port))
    wait_until(lambda: len(daemon.descriptors()) <= before, what="all descriptors to be closed")


def test_replies_follow_the_clock(testbed, port):
    """A worker must not reuse the text of an earlier second."""
    testbed.listen(port)
    clock = clock_of(datetime.timezone.utc)
    first = query(port)
    wait_until(lambda: query(port) != first, 3, "the next second")
    assert is_current(query(port), clock)


def test_timeclient_prints_the_reply(testbed, port):
    testbed.start("-o", f"listen daytime/tcp {port}")
    for target in (f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}"):
        result = testbed.client(target)
        assert result.code == 0 and result.err == ""
        words, text = result.out.rstrip("\n").split(": ", 1)
        assert words == "Server Message" and is_daytime(f"{text}\r\n".encode())


@needs_private("the default port")
def test_both_programs_without_arguments(testbed):
    testbed.start("-o", "clock system")
    result = testbed.client()
    assert result.code == 0 and result.out.startswith("Server Message: ")
