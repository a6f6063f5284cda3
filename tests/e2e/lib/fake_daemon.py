"""A pid file with its locks and a control socket, without a daemon: this process holds them."""
import contextlib
import fcntl
import os
import socket
import struct

from lib.control import ntp_and_daytime
from lib.environment import longer
from lib.process import read_back

PID_LOCK, FILE_LOCK = 0, 1  # the bytes of the two locks of a pid file
F_OFD_SETLK = 37


def set_lock(fd, byte, kind, command=fcntl.F_SETLK):
    fcntl.fcntl(fd, command, struct.pack("hh4xqqi4x", kind, os.SEEK_SET, byte, 1, 0))


@contextlib.contextmanager
def fake_daemon(testbed):
    """A pid file with its locks and a control socket, without a daemon."""
    fd = os.open(testbed.pidfile, os.O_RDWR | os.O_CREAT, 0o600)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        set_lock(fd, FILE_LOCK, fcntl.F_WRLCK, F_OFD_SETLK)
        set_lock(fd, PID_LOCK, fcntl.F_WRLCK)
        listening.bind(str(testbed.pidfile.with_suffix(".sock")))
        listening.listen()
        listening.settimeout(longer(10))
        yield fd, listening
    os.close(fd)


@contextlib.contextmanager
def upgrade_of_fake_daemon(testbed, port, *words):
    """Starts a new process; yields the fake daemon's end of its connection, and its outcome."""
    with fake_daemon(testbed) as (fd, listening):
        starting, _, err = testbed.popen(testbed.command("-n", "--upgrade", *ntp_and_daytime(port), *words))
        peer, _ = listening.accept()
        with peer:
            assert b"upgrade" in peer.recv(100)
            set_lock(fd, PID_LOCK, fcntl.F_UNLCK)
            yield peer, fd, listening, lambda: (starting.wait(longer(10)), read_back(err))
