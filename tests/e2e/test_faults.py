"""What can fail has been made to fail: every system call and every allocation, one at a time.

In between the daemon has to do what it says, or to say what it does not do. TIMESERVER_FAULTS tells
how many of each kind are tried, at random; "all" is what `make torture` does.
"""
import contextlib
import os
import pathlib
import platform
import random
import re
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
is_portable = pytest.mark.skipif(platform.machine() != "x86_64" or BITS != 64,
                                 reason="needs the registers of x86-64")


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    directory = tmp_path_factory.mktemp("faults")
    compile_c(directory / "fault", LIB / "fault.c")
    compile_shim(directory / "shim_allocations", LIB / "shim_allocations.c")
    return directory


class Faults:
    """Counts what could fail, and has one of them fail."""

    def __init__(self, testbed, tools):
        self.testbed, self.path, self.log = testbed, testbed.root / "counters", testbed.root / "faults"
        self.tools = tools

    def counters(self):
        return struct.unpack("QQQ", self.path.read_bytes())

    def counted(self):
        return self.counters()[0]

    def choose(self, number):
        """The one that is to fail, counted from now on; 0: none."""
        with open(self.path, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("Q", self.counted() + number if number else 0))

    def begin(self):
        self.path.write_bytes(bytes(24))
        self.log.write_text("")


    def held(self):
        """What is allocated and not freed, where that is counted."""
        return self.counters()[2]


class Calls(Faults):
    """System calls."""

    def start(self, *arguments):
        """Runs timeserver to the end of the process that was started; its status and output."""
        command = [self.tools / "fault", self.path, self.log, *self.testbed.command(*arguments)]
        self.popen, out, err = self.testbed.popen(command)
        code = wait_until(self.first_ended, 15, "the end of the first process")
        return int(code), read_back(out), read_back(err)

    def first_ended(self):
        lines = [line.split() for line in self.log.read_text().splitlines()]
        firsts = [line[1] for line in lines if line[0] == "start"]
        ends = [line[2] for line in lines if line[0] in ("exit", "killed") and line[1] in firsts]
        return ends and ends[0]

    def hit(self):
        """What failed, in words; raises if anything crashed."""
        lines = self.log.read_text().splitlines()
        # SIGTERM is no crash: what is told to nobody ends the whole session.
        assert not [line for line in lines if re.match(r"killed \d+ (?!15$)", line)], lines
        return next((line for line in reversed(lines) if line.startswith("fault")), "nothing")

    def end(self):
        self.popen.wait(20)


class Allocations(Faults):
    """The C library's malloc and its kin."""

    def start(self, *arguments):
        environment = {"LD_PRELOAD": str(self.tools / "shim_allocations"), "ALLOCATIONS": str(self.path)}
        popen, out, err = self.testbed.popen(self.testbed.command(*arguments), env=environment)
        return popen.wait(15), read_back(out), read_back(err)

    def hit(self):
        counted, chosen, _ = self.counters()
        return f"allocation {chosen}" if 0 < chosen <= counted else "nothing"

    def end(self):
        pass


@pytest.fixture(params=[pytest.param(Calls, marks=is_portable), Allocations],
                ids=["calls", "allocations"])
def faults(request, testbed, tools):
    return request.param(testbed, tools)


def some_of(count):
    """Which of so many to try."""
    print(f"seed {SEED}, {FAULTS} of {count}: TIMESERVER_SEED={SEED} TIMESERVER_FAULTS={FAULTS}")
    numbers = range(1, count + 1)
    if FAULTS == "all":
        return numbers
    return sorted(random.Random(SEED).sample(numbers, min(int(FAULTS), count)))


@pytest.fixture(params=[False, True], ids=["plain", "web"])
def web(request):
    """The port of the web clock, if there is one."""
    return free_port() if request.param else None


def lines(port, web, *more):
    words = [f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local", "workers 2", *more]
    words += [f"listen http 127.0.0.1:{web}"] if web else []
    return "".join(f"{line}\n" for line in words)


def is_healthy(web):
    """Asked in a way that has no answer but a good one, or none."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", web), 0.5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b" 200 OK\r\n" in receive_all(connection)
    return False


def assert_serves_all(port, web, what):
    """That it does all that the configuration says, by both families."""
    for host in ("127.0.0.1", "::1"):
        assert is_daytime(query(port, host)) and ntp.query(port, host)[0].stratum == 10, what
    if web:
        wait_until(lambda: is_healthy(web), 10, f"the web clock; {what}")


def begin_and_end(testbed, faults, port, web, config, number):
    """A start in which one thing fails: it serves all and can be stopped, or it says why not."""
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
    wait_until(lambda: not testbed.processes(), 10, f"the end of all processes; {what}")
    left = [name for name in ("t.pid", "t.sock") if name in testbed.files()]
    # A pid file that could not be removed, or looked at or locked, stays: it is in nobody's way.
    assert not left or "EROFS" in what or left == ["t.pid"] and "pid file" in err, (left, what)
    for name in left:
        (testbed.dir / name).unlink()
    faults.hit()
    return code


def test_a_start_in_which_something_fails(testbed, port, web, faults):
    config = testbed.config(lines(port, web))
    begin_and_end(testbed, faults, port, web, config, 0)
    codes = [begin_and_end(testbed, faults, port, web, config, number)
             for number in some_of(faults.counted())]
    print(f"{len(codes)} starts: {codes.count(0)} served all the same, the others said why not")


def session(testbed, port, web, added):
    """All that the daemon does while it runs. Anything in it may fail."""
    for host in ("127.0.0.1", "::1"):
        with contextlib.suppress(OSError), ntp.client(host, timeout=0.1) as asking:
            asking.sendto(ntp.request(), (host, port))
            asking.recv(100)
        with contextlib.suppress(OSError):
            query(port, host, 0.2)
    if web:
        is_healthy(web)
    testbed.config(lines(port, web, f"listen time/tcp {added}", "workers 3"))
    testbed.signal("reload")
    testbed.signal("status")


def test_a_daemon_in_which_something_fails(testbed, port, web, faults):
    """It goes on, and once nothing fails any more it is as if nothing had: no descriptor is lost, and
    no memory."""
    config, added = testbed.config(lines(port, web)), free_port()
    faults.begin()
    code, out, err = faults.start("-c", config)
    assert code == 0, (out, err)
    process = Process(int(testbed.status()["process"]))

    def holds():
        return len(process.descriptors()), faults.held()

    def restored(what, most=(1000, 1e6)):
        faults.choose(0)
        testbed.config(lines(port, web))
        reloaded = testbed.signal("reload")
        assert reloaded.code == 0 and process.alive(), (what, reloaded)
        assert_serves_all(port, web, what)
        wait_until(lambda: testbed.status()["connections"].startswith("0 "), what=f"quiet; {what}")
        wait_until(lambda: holds()[0] <= most[0] and holds()[1] <= most[1],
                   what=f"{most} held; {what}; {holds()}: {process.descriptors()}")

    session(testbed, port, web, added)
    restored("nothing")
    usual = min(holds() for _ in range(100))
    before = faults.counted()
    session(testbed, port, web, added)
    numbers = some_of(faults.counted() - before)
    restored("nothing")
    hits = 0
    for number in numbers:
        faults.choose(number)
        session(testbed, port, web, added)
        what = f"{number}: {faults.hit()}"
        hits += "nothing" not in what
        restored(what, usual)
    print(f"{hits} faults while it served, and it is as it was: {usual[0]} descriptors"
          + (f", {usual[1]} allocations" if usual[1] else ""))
    assert testbed.signal("stop").code == 0
    faults.end()
    faults.hit()
