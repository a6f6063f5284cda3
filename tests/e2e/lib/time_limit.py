"""A time limit for each test: a test that hangs fails, and the traceback shows where."""
import contextlib
import os
import signal

import pytest

from lib.environment import longer

SECONDS = 240  # far more than the longest test takes


@contextlib.contextmanager
def limited(seconds):
    """Fails the test if the block takes longer. For the main thread; the limit ends with the block."""
    def interrupt(*_):
        pytest.fail(f"still running after {seconds} s")
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit():
    """None for the tests that try everything, as long as it takes."""
    return contextlib.nullcontext() if "TIMESERVER_FAULTS" in os.environ else limited(longer(SECONDS))


# Not the setup, in which a test waits until it may run alone.
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call():
    with limit():
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown():
    with limit():
        yield
