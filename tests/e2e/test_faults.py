"""Fault injection: system calls and allocations fail, one at a time.

The daemon has to serve all that it is configured to, or to say why not. TIMESERVER_FAULTS is how many
faults of each kind are tried, at random; `make torture` tries all.
"""
import contextlib
import os
import pathlib
import platform
import random
import re
import shutil
import socket
import struct

import pytest

from lib import ntp
from lib.daytime_client import free_port, is_daytime, query, receive_all
from lib.environment import BITS, compile_c, compile_shim, needs_program, not_instrumented, wait_until
from lib.process import Process, read_back

LIB = pathlib.Path(__file__).with_name("lib")
FAULTS = os.environ.get("TIMESERVER_FAULTS", "12")
SEED = int(os.environ.get("TIMESERVER_SEED", random.randrange(1 << 32)))
REASONS = (1, 77, 78)

pytestmark = [not_instrumented("every call"), needs_program("cc")]
needs_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64" or BITS != 64,
                                  reason="needs the registers of x86-64")


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    directory = tmp_path_factory.mktemp("faults")
    compile_c(directory / "fault", LIB / "fault.c")
    compile_shim(directory / "shim_allocations", LIB / "shim_allocations.c")
    return directory


class Faults:
    """Counts the calls that could fail, and makes one of them fail."""

    def __init__(self, testbed, tools):
        self.testbed, self.path, self.log = testbed, testbed.root / "counters", testbed.root / "faults"
        self.tools = tools

    def counters(self):
        return struct.unpack("QQQ", self.path.read_bytes())

    def counted(self):
        return self.counters()[0]

    def choose(self, number):
        """The number of the call that fails, counted from now on; 0: none."""
        with open(self.path, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("Q", self.counted() + number if number else 0))

    def begin(self):
        self.path.write_bytes(bytes(24))
        self.log.write_text("")

    def live(self):
        """The allocations that are not freed, as far as they are counted."""
        return self.counters()[2]


class Calls(Faults):
    """System calls, with fault.c."""

    def start(self, *arguments):
        """Runs timeserver until the started process ends; returns its status and output."""
        command = [self.tools / "fault", self.path, self.log, *self.testbed.command(*arguments)]
        self.popen, out, err = self.testbed.popen(command)
        code = wait_until(self.first_ended, 15, "the first process to end")
        return int(code), read_back(out), read_back(err)

    def first_ended(self):
        lines = [line.split() for line in self.log.read_text().splitlines()]
        firsts = [line[1] for line in lines if line[0] == "start"]
        ends = [line[2] for line in lines if line[0] in ("exit", "killed") and line[1] in firsts]
        return ends and ends[0]

    def hit(self):
        """Describes the call that failed; raises if a process crashed."""
        lines = self.log.read_text().splitlines()
        # SIGTERM is no crash: the parent ends the session of a daemon that does not report its status.
        assert not [line for line in lines if re.match(r"killed \d+ (?!15$)", line)], lines
        return next((line for line in reversed(lines) if line.startswith("fault")), "nothing")

    def end(self):
        self.popen.wait(20)


class Allocations(Faults):
    """malloc and the other allocation functions, with shim_allocations.c."""

    def __init__(self, testbed, tools):
        super().__init__(testbed, tools)
        self.library = shutil.copy(tools / "shim_allocations", testbed.root)
        self.path = pathlib.Path(f"{self.library}.state")

    def start(self, *arguments):
        popen, out, err = self.testbed.popen(self.testbed.command(*arguments), env={"LD_PRELOAD": str(self.library)})
        return popen.wait(15), read_back(out), read_back(err)

    def hit(self):
        counted, chosen, _ = self.counters()
        return f"allocation {chosen}" if 0 < chosen <= counted else "nothing"

    def end(self):
        pass


@pytest.fixture(params=[pytest.param(Calls, marks=needs_x86_64), Allocations],
                ids=["calls", "allocations"])
def faults(request, testbed, tools):
    return request.param(testbed, tools)


def some_of(count):
    """The numbers of the calls to try."""
    print(f"seed {SEED}, {FAULTS} of {count}: TIMESERVER_SEED={SEED} TIMESERVER_FAULTS={FAULTS}")
    numbers = range(1, count + 1)
    if FAULTS == "all":
        return numbers
    return sorted(random.Random(SEED).sample(numbers, min(int(FAULTS), count)))


@pytest.fixture(params=[False, True], ids=["plain", "web"])
def web(request):
    """The port of HTTP, or None."""
    return free_port() if request.param else None


def lines(port, web, *more):
    words = [f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local", "workers 2", *more]
    words += [f"listen http 127.0.0.1:{web}"] if web else []
    return "".join(f"{line}\n" for line in words)


def is_healthy(web):
    """Whether /healthz says 200."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", web), 0.5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b" 200 OK\r\n" in receive_all(connection)
    return False


def assert_serves_all(port, web, what):
    """Fails unless every protocol of the configuration replies, over IPv4 and IPv6."""
    for host in ("127.0.0.1", "::1"):
        assert is_daytime(query(port, host)) and ntp.query(port, host)[0].stratum == 10, what
    if web:
        wait_until(lambda: is_healthy(web), 10, f"HTTP; {what}")


def begin_and_end(testbed, faults, port, web, config, number):
    """A start in which one call fails: it serves all and can be stopped, or it says why not."""
    faults.begin()
    faults.choose(number)
    code, out, err = faults.start("-c", config)
    what = f"{number}: {faults.hit()}: {code} {out} {err}"
    if code == 0:
        assert out.startswith("timeserver: serving as ") or err.startswith("timeserver: serving, "), what
        faults.choose(0)
        assert_serves_all(port, web, what)
        stopped = testbed.signal("stop")
        assert stopped.code == 0, (what, stopped)
    else:
        assert code in (1, 77, 78) and err != "" and out == "", what
    faults.end()
    wait_until(lambda: not testbed.processes(), 10, f"all processes to end; {what}")
    left = [name for name in ("t.pid", "t.sock") if name in testbed.files()]
    # A pid file that could not be removed, checked or locked may stay: the next start replaces it.
    assert not left or "EROFS" in what or left == ["t.pid"] and "pid file" in err, (left, what)
    for name in left:
        (testbed.dir / name).unlink()
    faults.hit()
    return code


def test_a_start_with_a_fault_serves_or_says_why_not(testbed, port, web, faults):
    config = testbed.config(lines(port, web))
    begin_and_end(testbed, faults, port, web, config, 0)
    codes = [begin_and_end(testbed, faults, port, web, config, number)
             for number in some_of(faults.counted())]
    print(f"{len(codes)} starts with a fault: {codes.count(0)} served, the others said why not")


def session(testbed, port, web, added):
    """Requests, a reload and a status. Any call in it may fail."""
    for host in ("127.0.0.1", "::1"):
        with contextlib.suppress(OSError), ntp.udp_socket(host, timeout=0.1) as client:
            client.sendto(ntp.request(), (host, port))
            client.recv(100)
        with contextlib.suppress(OSError):
            query(port, host, 0.2)
    if web:
        is_healthy(web)
    testbed.config(lines(port, web, f"listen time/tcp {added}", "workers 3"))
    testbed.signal("reload")
    testbed.signal("status")


def test_a_running_daemon_recovers_from_a_fault(testbed, port, web, faults):
    """It goes on, and serves all after the fault, with no descriptor and no memory leaked."""
    config, added = testbed.config(lines(port, web)), free_port()
    faults.begin()
    code, out, err = faults.start("-c", config)
    assert code == 0, (out, err)
    process = Process(int(testbed.status()["process"]))

    def resources():
        return len(process.descriptors()), faults.live()

    def assert_recovered(what, limit=(1000, 1e6)):
        faults.choose(0)
        testbed.config(lines(port, web))
        reloaded = testbed.signal("reload")
        assert reloaded.code == 0 and process.alive(), (what, reloaded)
        assert_serves_all(port, web, what)
        wait_until(lambda: testbed.status()["connections"].startswith("0 "), what=f"all connections to end; {what}")
        wait_until(lambda: resources()[0] <= limit[0] and resources()[1] <= limit[1],
                   what=f"at most {limit}; {what}; {resources()}: {process.descriptors()}")

    session(testbed, port, web, added)
    assert_recovered("nothing")
    usual = min(resources() for _ in range(100))
    before = faults.counted()
    session(testbed, port, web, added)
    numbers = some_of(faults.counted() - before)
    assert_recovered("nothing")
    hits = 0
    for number in numbers:
        faults.choose(number)
        session(testbed, port, web, added)
        what = f"{number}: {faults.hit()}"
        hits += "nothing" not in what
        assert_recovered(what, usual)
    print(f"{hits} faults while it served; after each no more than {usual[0]} descriptors"
          + (f" and {usual[1]} allocations" if usual[1] else ""))
    assert testbed.signal("stop").code == 0
    faults.end()
    faults.hit()
