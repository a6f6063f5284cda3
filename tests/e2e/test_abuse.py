"""Floods and shortages: what another client sees meanwhile, and how soon all is well again.

SECURITY.md has the table. Where a machine is too busy for a flood a datagram of another client may
be lost on its way; the promise is about what the daemon does.
"""
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import pytest

from lib import ntp
from lib.daytime_client import idle_connections, serves
from lib.environment import (compile_c, fewer, needs_private, needs_program, not_instrumented, not_wrapped,
                             SANITIZED, wait_until)
from lib.isolate import mounted
from lib.probe import Probe, recovery
from lib.testbed import directives

SPOOF = pathlib.Path(__file__).with_name("lib") / "spoof.c"
FLOOD = int(os.environ.get("TIMESERVER_FLOOD", fewer(1000000)))
HOST = "10.66.0.1"
TABLE = 512  # KiB for each worker, of those who ask: timeserver.conf(5)
SOURCES = 1 << 17  # of 198.18.0.0/15, which is nobody's


def start(testbed, port, *lines, **more):
    words = [f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local", *lines]
    return testbed.start(*directives(*words), **more)


def memory(daemon):
    return int(daemon.status("VmRSS").split()[0])


@pytest.fixture(scope="module")
def spoof(tmp_path_factory):
    program = tmp_path_factory.mktemp("spoof") / "spoof"
    compile_c(program, SPOOF)
    return program


@pytest.fixture
def network():
    """Answers to forged addresses leave, and meet nobody."""
    def ip(*words):
        subprocess.run(["ip", *words], check=True)
    ip("link", "add", "void0", "type", "veth", "peer", "name", "void1")
    ip("link", "set", "void0", "up")
    ip("link", "set", "void1", "up")
    ip("addr", "add", f"{HOST}/32", "dev", "void0")
    gateway = HOST.replace(".1", ".2")
    ip("neigh", "add", gateway, "lladdr", "02:00:00:00:00:01", "dev", "void0")
    for network in ("198.18.0.0/15", "11.0.0.0/8"):
        ip("route", "add", network, "via", gateway, "dev", "void0", "onlink")
    for name in ("all", "lo", "void0"):
        pathlib.Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
    yield
    ip("link", "del", "void0")


def flooded(spoof, port, *words):
    """Another client's view while a flood goes on, and what the flood was."""
    with Probe(port, HOST) as probe:
        sent = subprocess.run([spoof, *map(str, words)], check=True, capture_output=True, text=True)
    count, milliseconds = map(int, sent.stdout.split())
    return probe, f"{count} in {milliseconds} ms; {probe}; well again after"


@needs_private("forged packets")
@needs_program("cc")
def test_a_flood_of_syns(testbed, port, spoof, network):
    """Connections that are begun in the names of 131,072 addresses and never made."""
    daemon = start(testbed, port)
    before = memory(daemon)
    probe, told = flooded(spoof, port, "syn", HOST, port, "198.18.0.0", SOURCES, 1, 50000,
                             FLOOD // 5)
    print(f"SYNs: {told} {recovery(port, HOST):.1f} ms")
    assert probe.unanswered == 0 and daemon.alive() and memory(daemon) - before < 512


@needs_private("forged packets")
@needs_program("cc")
@pytest.mark.parametrize("networks", [1, 1 << 16])
def test_a_flood_of_requests(testbed, port, spoof, network, networks):
    """From one network, or from as many as 11.0.0.0/8 has: a million requests. What is remembered of
    them has its place from the start."""
    daemon = start(testbed, port, "workers 2", "ratelimit interval 0.01 burst 100")
    before = memory(daemon)
    probe, told = flooded(spoof, port, "ntp", HOST, port, "11.0.0.0", networks, 256, 200000, FLOOD)
    print(f"requests of {networks} networks: {told} {recovery(port, HOST):.1f} ms;"
          f" {memory(daemon) - before} KiB more; limited: {testbed.status()['limited']}")
    assert probe.unanswered == 0 and daemon.alive()
    assert SANITIZED or memory(daemon) - before < 2 * TABLE + 512


def half_open(port, stopping):
    """Clients that connect and then do nothing, again and again."""
    while not stopping.is_set():
        with idle_connections(port, 100), contextlib.suppress(OSError):
            stopping.wait(0.1)


def test_clients_that_do_nothing(testbed, port):
    """Some hundreds at a time connect, read nothing and never close."""
    daemon, stopping = start(testbed, port), threading.Event()
    threads = [threading.Thread(target=half_open, args=[port, stopping]) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(idle_connections(port, fewer(1000)))
        for thread in threads:
            thread.start()
        with Probe(port) as probe:
            time.sleep(2)
        stopping.set()
        for thread in threads:
            thread.join()
    print(f"silent clients: {probe}; well again after {recovery(port):.1f} ms")
    assert probe.unanswered == 0 and daemon.alive()


@not_instrumented("descriptors")
def test_descriptors_run_out(testbed, port):
    """64 are all there are, and 500 clients want one each."""
    daemon = start(testbed, port, before=["prlimit", "--nofile=64:64"])
    with Probe(port) as probe, idle_connections(port, 500):
        time.sleep(1)
    print(f"64 descriptors: {probe}; well again after {recovery(port):.1f} ms")
    assert probe.unanswered == 0 and daemon.alive()


def processor_time(daemon):
    """Of its main thread, in seconds."""
    fields = daemon.proc(f"task/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def limit_descriptors(daemon, number):
    subprocess.run(["prlimit", f"--pid={daemon.pid}", f"--nofile={number}:"], check=True)


@not_instrumented("descriptors")
def test_no_descriptor_for_the_operator(testbed, port):
    """He waits until there is one; nothing spins, and clients of UDP are served."""
    daemon = start(testbed, port)
    used = {int(number) for number in daemon.descriptors()}
    limit_descriptors(daemon, min(set(range(1000)) - used))
    asking, _, _ = testbed.popen(testbed.command("--signal", "status"))
    before = processor_time(daemon)
    time.sleep(1.5)
    spent = processor_time(daemon) - before
    print(f"no descriptor for --signal: {spent:.2f} s of processor time in 1.5 s")
    assert asking.poll() is None and spent < 0.2 and ntp.query(port)[0].stratum == 10
    limit_descriptors(daemon, 1000)
    assert asking.wait(10) == 0


def test_a_storm_of_reloads(testbed, port):
    """As many SIGHUPs as can be sent in a second."""
    daemon, count = start(testbed, port), 0
    with Probe(port) as probe:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            daemon.signal(signal.SIGHUP)
            count += 1
            time.sleep(0.0002)
    print(f"{count} SIGHUPs: {probe}; well again after {recovery(port):.1f} ms")
    assert probe.unanswered == 0 and daemon.alive()


@needs_private("a full disk")
def test_a_full_disk(testbed, port):
    """A start says so. One that runs already goes on, is reloaded and stopped."""
    directory = testbed.dir / "small"
    directory.mkdir()
    with mounted("tmpfs", directory, "tmpfs", 0, "size=8k"):
        pidfile, filler = directory / "t.pid", directory / "filler"
        words = ["-p", pidfile, "-o", f"listen daytime/tcp {port}", "-o", f"listen ntp {port}",
                 "-o", "clock local"]

        def fill():
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        fill()
        full = testbed.server(*words, pidfile=False)
        assert full.code == 1 and full.out == ""
        assert full.err == f"timeserver: cannot write pid file {pidfile}: No space left on device\n"
        filler.unlink()
        daemon = testbed.start(*words, pidfile=False)
        fill()
        with Probe(port) as probe:
            assert testbed.server("-p", pidfile, "-s", "reload", pidfile=False).code == 0
            time.sleep(0.2)
        print(f"a full disk: {probe}; well again after {recovery(port):.1f} ms")
        assert probe.unanswered == 0
        stopped = testbed.server("-p", pidfile, "-s", "stop", pidfile=False)
        assert stopped.code == 0 and not pidfile.exists()
        daemon.wait_gone()


def test_a_log_that_cannot_be_written(testbed, port):
    """In the foreground, with a standard error that is full."""
    config = testbed.config(f"listen ntp {port}\nlisten daytime/tcp {port}\nclock local\n")
    with open("/dev/full", "w", encoding="ascii") as full:
        server = testbed.foreground("-n", "-c", config, stderr=full)
        wait_until(lambda: serves(port))
        with Probe(port) as probe:
            assert testbed.signal("reload").code == 0
            time.sleep(0.2)
        assert probe.unanswered == 0 and server.alive()
    print(f"a full log: {probe}")


@needs_private("a user of its own")
@not_wrapped("a thread")
@not_instrumented("threads")
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_thread_that_is_refused(testbed, port, processes):
    """At the start it is the reason why there is none. Later, what there is goes on."""
    user = random.randrange(1 << 17, 1 << 30)
    settings = {"user": user, "group": user, "extra_groups": []}
    limit = ["prlimit", f"--nproc={processes}:{processes}"]
    os.chown(testbed.dir, user, user)
    words = ["-n", "-o", f"listen ntp {port}", "-o", "clock local", "-o", "workers 4"]
    failed = testbed.server(*words, before=limit, **settings)
    assert failed.code == 1 and failed.err.endswith("Resource temporarily unavailable\n"), failed
    assert testbed.files() == []


@needs_private("a user of its own")
@not_instrumented("threads")
def test_more_threads_that_are_refused(testbed, port):
    """A reload that wants more workers than there may be changes nothing."""
    lines = f"listen ntp {port}\nlisten daytime/tcp {port}\nclock local\nworkers"
    config, user = testbed.config(f"{lines} 2\n"), random.randrange(1 << 17, 1 << 30)
    settings = {"user": user, "group": user, "extra_groups": []}
    os.chown(testbed.dir, user, user)
    server = testbed.foreground("-n", "-c", config, before=["prlimit", "--nproc=5:5"], **settings)
    wait_until(lambda: serves(port))
    with Probe(port) as probe:
        config.write_text(f"{lines} 8\n")
        for _ in range(fewer(20)):
            failed = testbed.signal("reload")
            assert failed.code == 1 and failed.err.endswith(
                "cannot start 8 workers: Resource temporarily unavailable\n")
            assert testbed.status()["workers"] == "2"
            time.sleep(0.02)
        config.write_text(f"{lines} 3\n")
        # A thread that sees clients off counts for a quarter of a second.
        wait_until(lambda: testbed.signal("reload").code == 0, what="3 workers")
    print(f"threads refused: {probe}; well again after {recovery(port):.1f} ms")
    assert probe.unanswered == 0 and server.alive()


@contextlib.contextmanager
def without_threads(testbed, port, change):
    """A daemon whose user has no thread left when it is reloaded with a change."""
    user = random.randrange(1 << 17, 1 << 30)
    settings = {"user": user, "group": user, "extra_groups": []}
    os.chown(testbed.dir, user, user)
    text = f"listen ntp {port}\nlisten daytime/tcp {port}\nclock local\nworkers 3\n"
    config = testbed.config(text)
    server = testbed.foreground("-n", "-c", config, before=["prlimit", "--nproc=8:8"], **settings)
    wait_until(lambda: serves(port))
    others = [subprocess.Popen(["sleep", "60"], **settings) for _ in range(9)]
    config.write_text(change(text))
    assert testbed.signal("reload").code == 1 and not serves(port)
    assert testbed.status()["state"] == "halted"
    try:
        yield server
    finally:
        for other in others:
            other.kill()
            other.wait()


@needs_private("a user of its own")
@not_instrumented("threads")
def test_a_stop_while_nothing_is_served(testbed, port):
    """Fewer workers were wanted, and those that are to be there again have never served yet."""
    with without_threads(testbed, port, lambda text: text.replace("workers 3", "workers 1")) as server:
        assert testbed.signal("stop").code == 0 and server.wait() == 0


@needs_private("a user of its own")
@not_instrumented("threads")
def test_threads_that_others_have_taken(testbed, port):
    """Where a reload finds no thread any more, not even for what it had, it says so and tries again
    until it serves."""
    with without_threads(testbed, port, lambda text: text) as server:
        pass
    wait_until(lambda: serves(port))
    assert server.alive() and testbed.status()["state"] == "serving"
    log = server.log()
    assert "nothing is served: cannot start 3 workers" in log and "serving again" in log
