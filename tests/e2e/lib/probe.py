"""A client that asks all the time while something else goes on, and remembers how it was served."""
import statistics
import threading
import time

from lib import ntp
from lib.daytime_client import is_daytime, query


TRIES = 3


class Probe(threading.Thread):
    """Asks by NTP and by Daytime over TCP in turn. A datagram may get lost where a queue is full, so a
    request is made three times before it counts as unanswered, as clients do."""

    def __init__(self, port, host="127.0.0.1", udp=None, pause=0.01):
        super().__init__()
        self.port, self.host, self.udp, self.pause = port, host, udp or port, pause
        self.stopping, self.waits, self.unanswered, self.again = threading.Event(), [], 0, 0

    def run(self):
        while not self.stopping.wait(self.pause):
            self.time(self.ask_ntp)
            self.time(lambda: is_daytime(query(self.port, self.host)))

    def time(self, once):
        began = time.monotonic()
        try:
            answered = once()
        except OSError:
            answered = False
        self.unanswered += not answered
        self.waits.append(time.monotonic() - began)

    def ask_ntp(self):
        for number in range(TRIES):
            try:
                with ntp.client(self.host, timeout=0.5) as asking:
                    asking.sendto(ntp.request(), (self.host, self.udp))
                    return len(asking.recv(100)) == 48
            except TimeoutError:
                self.again += number < TRIES - 1
        return False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()

    def __str__(self):
        return (f"another client: {len(self.waits) - self.unanswered} of {len(self.waits)} answered,"
                f" {self.again} asked again, median {statistics.median(self.waits) * 1000:.1f} ms,"
                f" longest {max(self.waits) * 1000:.1f} ms")


def recovery(port, host="127.0.0.1", udp=None):
    """Milliseconds until both protocols have answered."""
    began = time.monotonic()
    looking = Probe(port, host, udp)
    while not (looking.ask_ntp() and is_daytime(query(port, host))):
        assert time.monotonic() - began < 10, "no answer for 10 s"
    return (time.monotonic() - began) * 1000


class Requester(threading.Thread):
    """Asks without a pause until told to stop; counts questions and answers."""

    def __init__(self, once):
        super().__init__()
        self.once, self.stopping = once, threading.Event()
        self.asked = self.answered = 0

    def run(self):
        while not self.stopping.is_set():
            asked, answered = self.once()
            self.asked += asked
            self.answered += answered

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()
