"""The web process: it is supervised and sandboxed, and does not affect the time service."""
import contextlib
import json
import mmap
import os
import random
import re
import signal
import socket
import time

import pytest

from lib import ntp
from lib.control import listener_of, reload, reloaded, start_with_file
from lib.daytime_client import connect, free_port, idle_connections, listening_ports, receive_all, serves
from lib.environment import (BITS, fewer, longer, needs_private, NOBODY, not_instrumented, not_wrapped,
                             SERVER, USER, wait_until)
from lib.http_client import fetch, is_closed, PAGES, send_raw, start_web, status_code
from lib.probe import Probe, Requester
from lib.process import cpu_share
from lib.socket_activation import activate
from lib.testbed import directives
from lib.web_metrics import metrics, value
from lib.web_process import children_of, serves_http, web_process_of

MEMORY = "/memfd:timeserver (deleted)"


def seconds_to_reply(port, limit=10):
    began = time.monotonic()
    wait_until(lambda: serves_http(port), limit, "a reply of HTTP")
    return time.monotonic() - began


def begin(testbed, port, time_port, *words, **more):
    """Starts a server in the foreground, which has a log."""
    lines = [f"listen http 127.0.0.1:{port}", f"listen ntp {time_port}",
             f"listen daytime/tcp {time_port}", "clock local"]
    server = testbed.foreground("-n", *directives(*lines), *words, **more)
    wait_until(lambda: serves_http(port), what="the first reply")
    return server


def test_a_killed_web_process_is_back_within_a_second(testbed, port):
    ntp_port = free_port()
    server = begin(testbed, port, ntp_port)
    with Probe(ntp_port) as probe:
        wait_until(lambda: len(probe.waits) > 20, what="replies before the kill")
        with web_process_of(server) as web:
            web.kill()
        seconds = seconds_to_reply(port)
        target = len(probe.waits) + 20
        wait_until(lambda: len(probe.waits) > target, what="replies after the kill")
    print(f"HTTP is back after {seconds * 1000:.0f} ms; {probe}")
    assert probe.lost == probe.retries == 0 and seconds < longer(1)
    assert server.log().count("the web process was killed by signal 9: restarting it\n") == 1
    assert server.alive() and [value(metrics(port), f"http_{what}_total")
                               for what in ("starts", "crashes")] == [2, 1]


def test_a_hanging_web_process_is_restarted(testbed, port):
    """An idle one is not restarted."""
    ntp_port, idle_port = free_port(), free_port()
    server = begin(testbed, port, ntp_port)
    other = begin(testbed, idle_port, free_port(), "--pidfile", testbed.dir / "other.pid")
    with web_process_of(other) as idle, web_process_of(server) as web, Probe(ntp_port) as probe:
        web.signal(signal.SIGSTOP)
        seconds = seconds_to_reply(port, longer(15))
        assert not web.alive() and idle.alive()
    print(f"HTTP is back after {seconds:.1f} s; {probe}")
    assert probe.lost == 0 and 5 < seconds < longer(10)
    assert "the web process hangs: killing it\n" in server.log()
    assert [value(metrics(each), "http_crashes_total") for each in (port, idle_port)] == [1, 0]


@not_instrumented("the delay")
def test_restarts_back_off(testbed, port):
    """The delays double. Connections wait and get a reply after the restart."""
    ntp_port, seconds = free_port(), []
    server = begin(testbed, port, ntp_port)
    with Probe(ntp_port) as probe:
        for _ in range(5):
            with web_process_of(server) as web:
                web.kill()
            seconds.append(seconds_to_reply(port))
    print(f"back after {', '.join(f'{pause:.2f}' for pause in seconds)} s; {probe}")
    for pause, least in zip(seconds, [0, 0.2, 0.4, 0.8, 1.6]):
        assert least - 0.05 < pause < least + 0.5
    assert probe.lost == 0 and value(metrics(port), "http_starts_total") == 6


def mappings_of(web):
    """The modes of its shared mappings, by inode: "rw-s"."""
    lines = [line.split() for line in web.proc("maps").read_text().splitlines()]
    return {int(words[4]): words[1] for words in lines if "memfd" in words[-2]}


def assert_shared_memory(web):
    """It can read all shared memory, and write the counters only."""
    words = web.proc("cmdline").read_text().split("\0")
    inodes = [os.stat(web.proc("fd") / number).st_ino for number in words[3:6]]
    assert mappings_of(web) == dict(zip(inodes, ["r--s", "rw-s", "r--s"])), "stats, counters, access"
    assert not any(line.split()[1] == "rwxp" for line in web.proc("maps").read_text().splitlines())
    for number in (words[3], words[5]):  # nor with another mapping
        with open(web.proc("fd") / number, "r+b", buffering=0) as file:
            for change in (lambda: mmap.mmap(file.fileno(), 0), lambda: file.write(b"x"),
                           lambda: file.truncate(1)):
                with pytest.raises(PermissionError):
                    change()


def assert_has_few_descriptors(web, daemon):
    found = web.descriptors()
    print("descriptors:", ", ".join(f"{number} {what}" for number, what in sorted(found.items())))
    assert [found.pop(number) for number in (0, 1, 2)] == ["/dev/null"] * 3
    kinds = sorted(re.sub(r":\[\d+\]$", "", what) for what in found.values())
    pipe = ["pipe"] * kinds.count("pipe")  # libevent has one for signals, which is not used
    assert kinds == sorted([MEMORY] * 3 + ["anon_inode:[eventpoll]", "anon_inode:[timerfd]"] + pipe + ["socket"] * 2)
    shared = {what for what in found.values() if what in daemon.descriptors().values()}
    assert len([what for what in shared if what.startswith("socket:")]) == 1, "the listener"


@not_instrumented("standard error")
def test_the_web_process_has_no_terminal(testbed, port):
    """Its standard descriptors are /dev/null, also where the log is standard error."""
    server = begin(testbed, port, free_port())
    with web_process_of(server) as web:
        assert [web.descriptors()[number] for number in (0, 1, 2)] == ["/dev/null"] * 3


@not_instrumented("rights")
@needs_private("root")
@pytest.mark.parametrize("user, number", [(None, USER), ("nobody", NOBODY), ("root", 0)])
def test_the_web_process_is_sandboxed(testbed, port, user, number):
    """Also if the daemon runs as root."""
    daemon = start_web(testbed, port, f"listen ntp {free_port()}", *([f"user {user}"] if user else []))
    with web_process_of(daemon) as web:
        assert web.status("Name") == "timeserver-web" and web.status("Threads") == "1"
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(web.status(name), 16) == 0, name
        assert web.status("NoNewPrivs") == "1"
        if BITS == 64:
            assert (web.status("Seccomp"), web.status("Seccomp_filters")) == ("2", "2")
        for name in ("Uid", "Gid"):
            assert web.status(name).split() == [str(number)] * 4
        limits = re.findall(r"(?m)^Max (address space|file size|core file size) +(\d+) +(\d+) ",
                            web.proc("limits").read_text())
        assert sorted(limits) == [("address space", f"{64 << 20}", f"{64 << 20}"),
                                  ("core file size", "0", "0"), ("file size", "0", "0")]
        assert os.readlink(web.proc("exe")) == str(SERVER) and os.readlink(web.proc("cwd")) == "/"
        assert_shared_memory(web)
        assert_has_few_descriptors(web, daemon)


@pytest.mark.parametrize("connected", [False, True], ids=["idle", "with a connection"])
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_the_web_process_ends_with_the_daemon(testbed, port, how, connected):
    daemon = start_web(testbed, port)
    with web_process_of(daemon) as web, contextlib.ExitStack() as stack:
        if connected:
            stack.enter_context(connect(port))
            wait_until(lambda: value(metrics(port), "http_connections") == 2, what="the connection")
        began = time.monotonic()
        if how == "killed":
            daemon.kill()
        else:
            assert testbed.signal("stop").code == 0 and testbed.files() == []
        web.wait_gone(2)
        print(f"ended after {time.monotonic() - began:.3f} s")
    wait_until(lambda: testbed.processes() == [], what="all processes to end")
    assert port not in listening_ports()


def test_without_http_there_is_no_web_process(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    for _ in range(2):
        assert serves(port) and testbed.processes() == [daemon.pid]
        assert reload(testbed, f"listen daytime/tcp {port}", "http-show-clients")[0] == 0
    status = json.loads(testbed.server("--signal", "status", "--json").out)
    assert status["http"]["starts"] == status["http"]["requests"] == 0


def test_a_reload_adds_moves_and_removes_http(testbed, port):
    """The daemon is the same, and each web process ends when its listener is closed."""
    moved, ntp_port = free_port(), free_port()
    fixed = ["clock local", f"listen ntp {ntp_port}"]
    daemon = start_with_file(testbed, *fixed)
    done = reloaded(daemon)
    assert reload(testbed, *fixed, f"listen http {port}") == done and serves_http(port)
    with web_process_of(daemon) as first:
        assert reload(testbed, *fixed, f"listen http {moved}") == done and serves_http(moved)
        first.wait_gone(2)
    wait_until(lambda: port not in listening_ports(), what="the first listener to be closed")
    with web_process_of(daemon) as second:
        assert reload(testbed, *fixed) == done
        second.wait_gone(2)
    wait_until(lambda: moved not in listening_ports(), what="the second listener to be closed")
    assert testbed.processes() == [daemon.pid] and ntp.query(ntp_port)[0].stratum == 10


def test_a_request_during_a_reload_gets_its_reply(testbed, port):
    """From the old web process, which has closed its listener."""
    daemon = start_with_file(testbed, "clock local", f"listen http 127.0.0.1:{port}")
    listener, = listener_of(daemon, port)
    with web_process_of(daemon) as web, connect(port) as connection:
        connection.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\nConnec")
        wait_until(lambda: value(metrics(port), "http_connections") == 2, what="the connection")
        reloading, _, _ = testbed.popen(testbed.command("--signal", "reload"))
        wait_until(lambda: listener not in web.descriptors().values(), what="the listener to be closed")
        connection.sendall(b"tion: close\r\n\r\n")
        reply = receive_all(connection)
        assert reloading.wait(longer(5)) == 0
        web.wait_gone(2)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert status_code(head) == 200 and f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert body.endswith(b"</html>\n") and serves_http(port)


@pytest.mark.parametrize("change, times", [("reload", 20), ("upgrade", 5)])
def test_no_http_request_is_lost(testbed, port, change, times):
    """Each change starts a new web process, and the previous one ends."""
    lines = ["clock local", f"listen http 127.0.0.1:{port}"]
    daemon, pids = start_with_file(testbed, *lines), set()
    with Requester(lambda: (1, serves_http(port, random.choice(PAGES)))) as requester:
        for _ in range(fewer(times)):
            if change == "reload":
                assert reload(testbed, *lines) == reloaded(daemon)
            else:
                before, daemon = daemon, testbed.start("--upgrade", "-c", testbed.dir / "t.conf")
                before.wait_gone()
            with web_process_of(daemon) as web:
                pids.add(web.pid)
            target = requester.requests + 3
            wait_until(lambda: requester.requests > target, what="more requests")
    print(f"{fewer(times)} times {change}: {requester.replies} replies to {requester.requests} requests")
    assert requester.replies == requester.requests > fewer(times) and len(pids) == fewer(times)
    assert sorted(testbed.processes()) == sorted([daemon.pid, *children_of(daemon)])


def test_top_clients_are_shown_only_if_configured(testbed, port):
    """A reload turns them on and off."""
    fixed = ["clock local", f"listen http 127.0.0.1:{port}"]
    daemon = start_with_file(testbed, *fixed)
    for shown in (False, True, False):
        lines = [*fixed, *(["http-show-clients"] if shown else [])]
        assert reload(testbed, *lines) == reloaded(daemon)
        with web_process_of(daemon):
            assert ("top_clients" in json.loads(fetch(port, "/status.json").body)) == shown


def test_an_inherited_socket_is_served(testbed):
    """Also after a reload, and after a SIGKILL of the web process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = activate(testbed, [listener], "-o", "clock local", names="http")
        assert seconds_to_reply(port) < longer(5)
        assert testbed.status()["listen"] == [f"http 127.0.0.1:{port}"]
        assert testbed.signal("reload").code == 0 and serves_http(port)
        with web_process_of(server) as web:
            web.kill()
        assert serves_http(port)
        server.stop()


@needs_private("a user of its own")
@not_wrapped("the number of processes")
@not_instrumented("threads")
def test_a_start_fails_if_the_web_process_cannot_start(testbed, port):
    """The user is limited to three threads, all of which the daemon has."""
    user = random.randrange(1 << 17, 1 << 30)
    settings = {"user": user, "group": user, "extra_groups": []}
    words = ["-n", "-o", f"listen http 127.0.0.1:{port}", "-o", "clock local", "-o", "workers 1"]
    os.chown(testbed.dir, user, user)
    failed = testbed.server(*words, before=["prlimit", "--nproc=3:3"], **settings)
    assert failed.code == 1 and failed.out == "" and failed.err.endswith(
        "timeserver: cannot start the web process: Resource temporarily unavailable\n"), failed
    assert testbed.files() == testbed.processes() == [] and port not in listening_ports()
    testbed.foreground(*words, before=["prlimit", "--nproc=4:4"], **settings)
    wait_until(lambda: serves_http(port), what="a start with a limit of four threads")


@not_instrumented("CPU time")
@pytest.mark.parametrize("limit, count", [(64, 200), (None, 300)], ids=["64 descriptors", "256 slots"])
def test_idle_connections_are_evicted(testbed, port, limit, count):
    """The longest idle ones. A new client gets a reply, and the web process does not spin."""
    ntp_port = free_port()
    server = begin(testbed, port, ntp_port, before=["prlimit", f"--nofile={limit}:{limit}"] if limit else [])
    with web_process_of(server) as web, idle_connections(port, count) as idle:
        seconds = seconds_to_reply(port)
        share, places = cpu_share(web, 0.5), len(web.descriptors())
        closed = [is_closed(connection) for connection in idle]
        print(f"{count} idle connections, {closed.count(False)} of them kept: a reply after"
              f" {seconds * 1000:.1f} ms; CPU {share * 100:.1f} %, {places} descriptors")
        assert seconds < 1 and share < 0.1 and web.alive()
        kept = closed.count(False)
        assert closed == [True] * (count - kept) + [False] * kept and 20 < kept <= 256
        assert ntp.query(ntp_port)[0].stratum == 10 and serves(ntp_port)
        idle[-1].setblocking(True)
        idle[-1].sendall(b"GET /time.json HTTP/1.0\r\n\r\n")
        assert status_code(receive_all(idle[-1])) == 200
    assert value(metrics(port), "http_starts_total") == 1


def send_many(port, path, count):
    """Sends count requests, 100 on each connection."""
    one = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n".encode()
    data = (one + b"\r\n") * 99 + one + b"Connection: close\r\n\r\n"
    for _ in range(count // 100):
        assert send_raw(port, data).count(b"HTTP/1.1 200 OK\r\n") == 100


@not_instrumented("memory")
def test_memory_does_not_grow_with_requests(testbed, port):
    with web_process_of(start_web(testbed, port, "http-show-clients")) as web:
        for path in PAGES:
            send_many(port, path, 1000)
        for path in PAGES:
            before = int(web.status("VmRSS").split()[0])
            send_many(port, path, 5000)
            after = int(web.status("VmRSS").split()[0])
            print(f"5,000 of {path}: {before} to {after} kB")
            assert after - before < 300
