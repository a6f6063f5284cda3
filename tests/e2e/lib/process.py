"""Processes under test: what /proc shows of them, signals, and their end."""
import contextlib
import fcntl
import os
import pathlib
import re
import select
import signal
import struct
import subprocess
import time

from lib.environment import as_daemon, longer, wait_until


STATUS_PIPE = 3


class Process:
    """A process, held by a PID descriptor: the kernel may give its number to another one."""

    def __init__(self, pid):
        self.pid = pid
        self.handle = os.pidfd_open(pid)

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}")

    def status(self, field):
        """A field of /proc/PID/status."""
        for line in self.proc("status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.strip()
        raise KeyError(field)

    def limit_descriptors(self, number):
        """Sets the soft limit on open files."""
        subprocess.run(["prlimit", f"--pid={self.pid}", f"--nofile={number}:"], check=True, **as_daemon())

    def descriptors(self):
        found = {}
        for number in os.listdir(self.proc("fd")):
            with contextlib.suppress(FileNotFoundError):
                found[int(number)] = os.readlink(self.proc("fd") / number)
        return found

    def cpu_seconds(self):
        fields = self.proc("stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number):
        signal.pidfd_send_signal(self.handle, number)

    def ended_within(self, seconds):
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def alive(self):
        return not self.ended_within(0)

    def wait_gone(self, seconds=5):
        assert self.ended_within(longer(seconds)), f"{self.pid} still runs after {seconds} s"

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.wait_gone()

    def close(self):
        os.close(self.handle)


class Daemon(Process):
    def __init__(self, testbed, result):
        match = re.match(r"timeserver: serving as process (\d+): ", result.out)
        assert result.code == 0 and match, f"no daemon: {result}"
        super().__init__(int(match.group(1)))
        self.testbed, self.result = testbed, result
        # The daemon closes the status pipe just after its parent has read the report.
        with contextlib.suppress(OSError):
            wait_until(lambda: not self.descriptors().get(STATUS_PIPE, "").startswith("pipe:"))

    def stop(self):
        self.signal(signal.SIGTERM)
        self.wait_gone()


class Foreground(Process):
    """A server that is our child, with its log on standard error."""

    def __init__(self, testbed, popen, stderr):
        super().__init__(popen.pid)
        self.testbed, self.popen, self.stderr = testbed, popen, stderr

    def log(self):
        return read_back(self.stderr)

    def wait(self, seconds=5):
        return self.popen.wait(longer(seconds))

    def stop(self):
        if self.popen.poll() is None:
            self.signal(signal.SIGTERM)
        self.wait()

    def kill(self):
        super().kill()
        self.wait()


def read_within(descriptor, size, seconds=5):
    """Reads from a pipe or terminal, which has to be readable, or closed by all others, in time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(longer(seconds) * 1000), f"nothing to read, and not closed, after {seconds} s"
    return os.read(descriptor, size)


def read_back(file):
    """The output of a program, without the lines of valgrind."""
    file.seek(0)
    lines = file.read().decode(errors="surrogateescape").splitlines(keepends=True)
    return "".join(line for line in lines if not re.match(r"(==|--)\d+(==|--) ", line))


class Result:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __repr__(self):
        return (f"exit {self.code} after {self.seconds:.3f} s, "
                f"stdout {self.out!r}, stderr {self.err!r}")

    def __iter__(self):
        return iter((self.code, self.out, self.err))


def cmdline(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return "ended"


def cpu_share(daemon, seconds):
    """The CPU time of a process during the next seconds, as a share of one CPU."""
    before = daemon.cpu_seconds()
    time.sleep(seconds)
    return (daemon.cpu_seconds() - before) / seconds


def lock_holder(path):
    """The process that holds the PID lock, which is on the first byte of the file; None also while there is no file."""
    with contextlib.suppress(FileNotFoundError), open(path) as file:
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, lock))
        return pid if kind != fcntl.F_UNLCK else None
    return None
