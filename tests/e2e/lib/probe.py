"""Clients that send requests in the background, and count and time the replies."""
import statistics
import threading
import time

from lib import ntp
from lib.daytime_client import is_daytime, query

TRIES = 10  # half a second each: a queue stays full while other tests have both cores


class Background(threading.Thread):
    """Runs during a with block; run() returns once stopping is set."""

    def __init__(self):
        super().__init__()
        self.stopping = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


class Probe(Background):
    """Queries NTP and Daytime over TCP in turn. A full queue may drop a datagram, so an NTP request
    counts as lost after TRIES tries."""

    def __init__(self, port, host="127.0.0.1", udp=None, pause=0.01):
        super().__init__()
        self.port, self.host, self.udp, self.pause = port, host, udp or port, pause
        self.waits, self.lost, self.retries = [], 0, 0

    def run(self):
        while not self.stopping.wait(self.pause):
            self.measure(self.query_ntp)
            self.measure(lambda: is_daytime(query(self.port, self.host)))

    def measure(self, query_once):
        began = time.monotonic()
        try:
            got_reply = query_once()
        except OSError:
            got_reply = False
        self.lost += not got_reply
        self.waits.append(time.monotonic() - began)

    def query_ntp(self):
        for number in range(TRIES):
            try:
                with ntp.udp_socket(self.host, timeout=0.5) as client:
                    client.sendto(ntp.request(), (self.host, self.udp))
                    return len(client.recv(100)) == 48
            except TimeoutError:
                self.retries += number < TRIES - 1
        return False

    def __str__(self):
        return (f"another client got {len(self.waits) - self.lost} replies to {len(self.waits)} requests,"
                f" {self.retries} retries, median {statistics.median(self.waits) * 1000:.1f} ms,"
                f" longest {max(self.waits) * 1000:.1f} ms")


def milliseconds_to_recover(port, host="127.0.0.1", udp=None):
    """Milliseconds until both protocols reply."""
    began = time.monotonic()
    probe = Probe(port, host, udp)
    while not (probe.query_ntp() and is_daytime(query(port, host))):
        assert time.monotonic() - began < 10, "no reply for 10 s"
    return (time.monotonic() - began) * 1000


class Requester(Background):
    """Calls query_once() in a loop; it returns how many requests it sent and replies it got."""

    def __init__(self, query_once):
        super().__init__()
        self.query_once = query_once
        self.requests = self.replies = 0

    def run(self):
        while not self.stopping.is_set():
            requests, replies = self.query_once()
            self.requests += requests
            self.replies += replies
