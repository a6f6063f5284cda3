"""An NTP server for the tests of clock follow."""
import contextlib
import socket
import threading
import time

from lib import ntp


class Followed:
    """An NTP server whose fields a test can change."""

    def __init__(self, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.port = self.socket.getsockname()[1]
        self.silent, self.offset, self.origin, self.delay = False, 0.0, None, 0.0
        self.first, self.stratum, self.root_delay, self.root_dispersion = 0x24, 3, 0x100, 0x200
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.socket.recvfrom(100)
                if not self.silent:
                    threading.Timer(self.delay, self.send, [self.reply(data), peer]).start()

    def send(self, data, peer):
        with contextlib.suppress(OSError):
            self.socket.sendto(data, peer)

    def reply(self, data):
        now = int((time.time() + self.offset + ntp.UNIX_EPOCH) * 2**32) % 2**64
        origin = int.from_bytes(data[40:48], "big") if self.origin is None else self.origin
        return ntp.FORMAT.pack(self.first, self.stratum, 6, -20, self.root_delay,
                               self.root_dispersion, 0xc0000201, now - 2**32, origin, now, now)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
