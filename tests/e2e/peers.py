"""Servers that timeclient may meet: each says what a test wants, in the manner it wants."""
import contextlib
import socket
import threading


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
