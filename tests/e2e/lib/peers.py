"""Servers that timeclient may meet: each says what a test wants, in the manner it wants."""
import contextlib
import socket
import threading
import time

from lib import ntp


class Peer:
    """A TCP server on the loopback interface that lets say(connection) talk to each client."""

    def __init__(self, say, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, 0), family=family)
        self.port = self.socket.getsockname()[1]
        self.target = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.say, self.count, self.open = say, 0, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.count += 1
                self.open.append(connection)
                threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError):
            self.say(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for connection in self.open:
            connection.close()


def close_well(connection):
    """So that the client surely gets everything before the end."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        continue


def says(text, host="127.0.0.1", close=True, before=0, every=None):
    """Sends text, before seconds late, in one piece or a byte every seconds, and closes."""
    done = threading.Event()

    def say(connection):
        done.wait(before)
        for piece in [text] if every is None else [bytes([byte]) for byte in text]:
            connection.sendall(piece)
            done.wait(every or 0)
        if close:
            close_well(connection)
        else:
            connection.recv(1)
    return Peer(say, host)


def silent(host="127.0.0.1"):
    """Accepts and says nothing."""
    return Peer(lambda connection: connection.recv(1), host)


class UdpPeer:
    """A UDP server on the loopback interface: answer(request) gives what is sent back, in order: bytes,
    or a number of seconds to wait, or a pair of bytes and the socket to send them from."""

    def __init__(self, answer, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.port = self.socket.getsockname()[1]
        self.name = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.answer, self.requests = answer, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                request, client = self.socket.recvfrom(2048)
                if client is None:  # the socket was shut down
                    return
                self.requests.append((request, client))
                for piece in self.answer(request):
                    if isinstance(piece, (int, float)):
                        time.sleep(piece)
                    elif isinstance(piece, tuple):
                        piece[1].sendto(piece[0], client)
                    else:
                        self.socket.sendto(piece, client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def ntp_reply(request, ahead=0.0, **fields):
    """An honest server's answer, whose clock is ahead by so many seconds, but for the fields named."""
    now = ntp.stamp(time.time() + ahead)
    packet = {"leap": 0, "version": 4, "mode": 4, "stratum": 2, "poll": 6, "precision": -20,
              "root_delay": 0, "root_dispersion": 655, "reference_id": 0x7f7f0101,
              "reference": now, "origin": int.from_bytes(request[40:48], "big"),
              "receive": now, "transmit": now} | fields
    return ntp.pack(**packet)


def ntp_server(ahead=0.0, host="127.0.0.1", **fields):
    return UdpPeer(lambda request: [ntp_reply(request, ahead, **fields)], host)
