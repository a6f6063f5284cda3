"""Datagrams to Daytime and Time over UDP, also with a forged source."""
import contextlib
import socket
import struct

from lib import ntp


def query_udp(port, data=b"", host="127.0.0.1", own=0, wait=0.3):
    """The reply to a datagram; None if there is none within wait seconds."""
    with ntp.udp_socket(host, own, wait) as client:
        client.sendto(data, (host, port))
        with contextlib.suppress(TimeoutError):
            return client.recv(2048)
    return None


def reply_over_udp(port, data=b"", host="127.0.0.1", own=0):
    """The reply to a datagram that has to get one."""
    with ntp.udp_socket(host, own) as client:
        return ntp.ask(client, data, (host, port))[0]


def forged_datagram(source, destination, payload=b""):
    """A UDP datagram over IPv4 with any source."""
    length = 8 + len(payload)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, 17, 0,
                         socket.inet_aton(source[0]), socket.inet_aton(destination[0]))
    return header + struct.pack("!HHHH", source[1], destination[1], length, 0) + payload


@contextlib.contextmanager
def raw_socket():
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        yield sender
