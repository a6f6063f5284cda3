"""An upgrade that does not get on: each side gives up on the other in time, and one of them serves."""
import contextlib
import fcntl
import json
import multiprocessing
import os
import signal
import socket
import struct

import ntp
import pytest
from harness import longer, read_back, serves, wait_until
from test_upgrade import ask_for_all, lines

NAME, PLACE = 0, 1  # the two locks of a pid file, by their byte
F_OFD_SETLK = 37
NOT_WAITED = {"version": 1, "status": 1, "text": "has not waited so long"}


def set_lock(fd, byte, kind, command=fcntl.F_SETLK):
    fcntl.fcntl(fd, command, struct.pack("hh4xqqi4x", kind, os.SEEK_SET, byte, 1, 0))


@contextlib.contextmanager
def pretended(box):
    """A daemon of which there is no more than a pid file and a control socket."""
    fd = os.open(box.pidfile, os.O_RDWR | os.O_CREAT, 0o644)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        set_lock(fd, PLACE, fcntl.F_WRLCK, F_OFD_SETLK)
        set_lock(fd, NAME, fcntl.F_WRLCK)
        listening.bind(str(box.pidfile.with_suffix(".sock")))
        listening.listen()
        listening.settimeout(longer(10))
        yield fd, listening
    os.close(fd)


@pytest.mark.parametrize("words, asked", [
    (["--upgrade", "-n"], "the daemon of pid file {0}.pid"), (["--signal", "status"], "at {0}.sock"),
    (["--signal", "reload"], "at {0}.sock")], ids=["upgrade", "status", "reload"])
def test_a_daemon_that_hangs(box, words, asked):
    """Nobody waits for it for ever, and it is said that it hangs."""
    with pretended(box):
        place = asked.format(box.pidfile.with_suffix(""))
        assert tuple(box.server(*words)) == (1, "", f"timeserver: cannot ask {place}: no answer\n")


def test_a_daemon_that_has_not_waited(box, port):
    """What it has lent is its own again: the new process touches none of it, and ends."""
    with pretended(box) as (fd, listening):
        starting, _, err = box.popen(box.command("-n", "--upgrade", *lines(port)))
        peer, _ = listening.accept()
        with peer:
            assert b"upgrade" in peer.recv(100)
            peer.shutdown(socket.SHUT_RD)
            set_lock(fd, NAME, fcntl.F_UNLCK)
            socket.send_fds(peer, [b"pidfile"], [fd])
            socket.send_fds(peer, [b"control"], [listening.fileno()])
            peer.send(b"end 0")
            peer.send(json.dumps(NOT_WAITED).encode())
            assert starting.wait(longer(10)) == 1
        assert read_back(err).endswith(
            f"timeserver: the daemon of pid file {box.pidfile} has not waited so long\n")
        assert not serves(port) and box.files() == ["t.pid", "t.sock"]


def hang(box, heeds):
    """As a successor that takes the name, and never says that it serves."""
    connection, _, descriptors = ask_for_all(box)
    assert tuple(box.signal("status")) == (
        1, "", f"timeserver: starting, or being replaced (pid file {box.pidfile})\n")
    set_lock(descriptors[0], NAME, fcntl.F_WRLCK)
    connection.settimeout(longer(20))
    assert json.loads(connection.recv(200)) == NOT_WAITED and connection.recv(200) == b""
    with pytest.raises(BrokenPipeError):
        connection.send(b"serving")
    while not heeds:
        signal.pause()


@pytest.mark.parametrize("heeds", [True, False], ids=["it ends", "it stays"])
def test_a_successor_that_hangs(box, port, heeds):
    """After a while all is as it was, and what was asked for meanwhile is done. It is ended by force
    if need be: whoever asks for the daemon would be sent to it."""
    old = box.foreground("-n", *lines(port))
    wait_until(lambda: serves(port))
    successor = multiprocessing.get_context("fork").Process(target=hang, args=[box, heeds])
    successor.start()
    wait_until(lambda: box.signal("status").code == 1, what="its request")
    os.kill(old.pid, signal.SIGHUP)
    successor.join(longer(30))
    assert successor.exitcode == (0 if heeds else -signal.SIGKILL)
    wait_until(lambda: "has not: serving on" in old.log() and "reloaded: " in old.log(), what="its words")
    assert ntp.ask(port)[0].stratum == 10 and serves(port)
    wait_until(lambda: box.pidfile.read_text() == f"{old.pid}\n", what="its name")
    assert box.status()["process"] == str(old.pid) and box.signal("reload").code == 0
    box.start("--upgrade", *lines(port))
    assert old.wait() == 0
