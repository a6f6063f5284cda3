"""Stops one thread of a process, as if it hung."""
import contextlib
import ctypes
import errno
import os

import pytest

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # requests of ptrace(2)
ALL_THREADS = 0x40000000  # __WALL of waitpid(2)

ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ptrace.restype = ctypes.c_long


def reap(thread):
    """Lets a stopped thread that was killed end: only its tracer can. Returns whether it has ended."""
    try:
        return os.waitpid(thread, ALL_THREADS | os.WNOHANG)[0] == thread
    except ChildProcessError:
        return True


@contextlib.contextmanager
def stopped(thread):
    """The other threads of its process run on. The process may be killed meanwhile, with reap()."""
    if ptrace(SEIZE, thread, None, None) < 0:
        assert ctypes.get_errno() == errno.EPERM
        pytest.skip("needs ptrace(2)")
    assert ptrace(INTERRUPT, thread, None, None) == 0
    os.waitpid(thread, ALL_THREADS)
    yield
    assert ptrace(DETACH, thread, None, None) == 0 or ctypes.get_errno() == errno.ESRCH
