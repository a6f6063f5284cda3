"""An NTP client: packets, requests, and the server state that replies show."""
import collections
import contextlib
import socket
import struct
import time

from lib.environment import longer, wait_until

FORMAT = struct.Struct("!BBbbIII QQQQ".replace(" ", ""))
UNIX_EPOCH = 2208988800  # 1970-01-01, in seconds since 1900

Packet = collections.namedtuple(
    "Packet", "leap version mode stratum poll precision root_delay root_dispersion reference_id"
    " reference origin receive transmit")


def request(version=4, mode=3, transmit=0x0123456789abcdef, poll=6, tail=b""):
    return FORMAT.pack(version << 3 | mode, 0, poll, 0, 0, 0, 0, 0, 0, 0, transmit) + tail


def pack(leap, version, mode, **fields):
    return FORMAT.pack(leap << 6 | version << 3 | mode, *[fields[name] for name in Packet._fields[3:]])


def stamp(time):
    """A Unix time as an NTP timestamp."""
    return int((time + UNIX_EPOCH) * 2**32) % 2**64


def parse(data):
    first, *rest = FORMAT.unpack(data[:48])
    fields = [first >> 6, first >> 3 & 7, first & 7, *rest]
    fields[8] = fields[8].to_bytes(4, "big")
    return Packet(*fields)


def seconds(stamp):
    """An NTP timestamp of this era as a Unix time."""
    return stamp / 2**32 - UNIX_EPOCH


def udp_socket(host="127.0.0.1", port=0, timeout=5):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(timeout)
    made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    return made


def ask(client, data, address):
    """The reply to a datagram that has to get one, and where it came from. The kernel may drop a datagram, since all
    network namespaces share its backlog: it is sent again."""
    client.settimeout(longer(1))
    for _ in range(10):
        client.sendto(data, address)
        with contextlib.suppress(TimeoutError):
            return client.recvfrom(2048)
    raise TimeoutError(f"no reply from {address}")


def query(port, host="127.0.0.1", **fields):
    """The reply to one request, and the address it came from."""
    with udp_socket(host) as client:
        data, peer = ask(client, request(**fields), (host, port))
    assert len(data) == 48
    return parse(data), peer


def gets_reply(data, port):
    """Whether a datagram is a request that gets a reply: RFC 5905 and 7822, as in timeserver(8)."""
    if len(data) < 48:
        return False
    version, mode, tail = data[0] >> 3 & 7, data[0] & 7, data[48:]
    if not 1 <= version <= 4:
        return False
    if mode not in (1, 3) and not (mode == 0 and version == 1 and port != 123):
        return False
    if tail and version < 4:
        return False
    while len(tail) > 24:
        length = int.from_bytes(tail[2:4], "big")
        if length < 16 or length % 4 or length > len(tail):
            return False
        tail = tail[length:]
    return not tail


def wait_for_state(port, leap, stratum, reference):
    """Waits until replies show this state. Returns the seconds it took, and the reply."""
    began = time.monotonic()

    def reply():
        found = query(port)[0]
        assert found.receive <= found.transmit
        return found if (found.leap, found.stratum) == (leap, stratum) else None
    found = wait_until(reply, what=f"leap {leap}, stratum {stratum}")
    assert found.reference_id == reference
    return time.monotonic() - began, found


def query_from(host, port, count, server="127.0.0.1"):
    """Sends NTP requests from an address of this machine; each must get a reply."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((host, 0))
        client.settimeout(longer(5))
        for _ in range(count):
            client.sendto(request(), (server, port))
            assert len(client.recv(100)) == 48
