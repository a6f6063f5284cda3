"""Servers for timeclient to query, on the loopback interface: each replies as the test says."""
import contextlib
import socket
import threading
import time

from lib import ntp


class TcpServer:
    """Calls serve(connection) in a new thread for each connection."""

    def __init__(self, serve, host="127.0.0.1", port=0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, port), family=family)
        self.port = self.socket.getsockname()[1]
        self.target = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.serve, self.count, self.open = serve, 0, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.count += 1
                self.open.append(connection)
                threading.Thread(target=self.serve_one, args=[connection], daemon=True).start()

    def serve_one(self, connection):
        with contextlib.suppress(OSError):
            self.serve(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for connection in self.open:
            connection.close()


def close_gracefully(connection):
    """Ends the reply and waits until the client closes, so that no reset discards the reply."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        continue


def tcp_server(text, host="127.0.0.1", port=0, close=True, delay=0, interval=None):
    """Sends text after delay seconds, at once or one byte each interval, and closes."""
    stopped = threading.Event()

    def serve(connection):
        stopped.wait(delay)
        for piece in [text] if interval is None else [bytes([byte]) for byte in text]:
            connection.sendall(piece)
            stopped.wait(interval or 0)
        if close:
            close_gracefully(connection)
        else:
            connection.recv(1)
    return TcpServer(serve, host, port)


def silent_server(host="127.0.0.1"):
    """Accepts connections and sends nothing."""
    return TcpServer(lambda connection: connection.recv(1), host)


class UdpServer:
    """Sends back what replies(request) gives, in order: bytes, or a number of seconds to wait, or a
    pair of bytes and the socket to send them from."""

    def __init__(self, replies, host="127.0.0.1", port=0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.port = self.socket.getsockname()[1]
        self.name = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.replies, self.requests = replies, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                request, client = self.socket.recvfrom(2048)
                if client is None:  # the socket was shut down
                    return
                self.requests.append((request, client))
                for piece in self.replies(request):
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
    """A valid NTP reply from a clock that is ahead, in seconds, with the given fields changed."""
    now = ntp.stamp(time.time() + ahead)
    packet = {"leap": 0, "version": 4, "mode": 4, "stratum": 2, "poll": 6, "precision": -20,
              "root_delay": 0, "root_dispersion": 655, "reference_id": 0x7f7f0101,
              "reference": now, "origin": int.from_bytes(request[40:48], "big"),
              "receive": now, "transmit": now} | fields
    return ntp.pack(**packet)


def ntp_server(ahead=0.0, host="127.0.0.1", **fields):
    return UdpServer(lambda request: [ntp_reply(request, ahead, **fields)], host)
