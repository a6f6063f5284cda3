"""The watchdog of the service manager gets no notification while a thread hangs."""
import contextlib
import os
import socket
import time

import pytest

from lib.environment import longer, not_instrumented, wait_until
from lib.stopped_thread import stopped
from lib.testbed import directives


class Watchdog:
    """A service manager that counts the notifications of its watchdog."""

    def __init__(self, testbed):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{testbed.token}")
        self.environment = {"NOTIFY_SOCKET": f"@{testbed.token}", "WATCHDOG_USEC": "400000"}

    def is_notified(self, seconds):
        """Whether a notification of the watchdog comes within this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                if b"WATCHDOG=1" in self.socket.recv(4096):
                    return True
        return False


@pytest.fixture
def watchdog(testbed):
    watchdog = Watchdog(testbed)
    yield watchdog
    watchdog.socket.close()


def threads_of(server):
    return sorted(set(map(int, os.listdir(server.proc("task")))) - {server.pid})


@not_instrumented("one of the threads")
@pytest.mark.parametrize("service, threads", [("daytime/tcp", 2), ("ntp", 3)])
def test_a_thread_that_hangs_stops_the_watchdog(testbed, port, watchdog, service, threads):
    """Each of two workers, and the clock monitor. The watchdog's time-out is 0.4 s."""
    server = testbed.foreground(*directives(f"listen {service} {port}", "clock local", "workers 2"),
                                env=watchdog.environment)
    assert watchdog.is_notified(longer(5))
    wait_until(lambda: len(threads_of(server)) >= threads)
    for thread in threads_of(server):
        with stopped(thread):
            # A notification is sent already, and another is due if the thread has run since then.
            wait_until(lambda: not watchdog.is_notified(0.8))
            assert not watchdog.is_notified(0.8)
        assert all(watchdog.is_notified(longer(5)) for _ in range(3)), "it goes on afterwards"
    assert "a thread hangs: the service manager's watchdog gets no notification" in server.log()
