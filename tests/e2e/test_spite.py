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

import ntp
import pytest
from harness import (SANITIZED, ask, compile_c, fewer, needs_private, needs_program, not_instrumented,
                     not_wrapped, serves, wait_until)
from isolate import mounted
from onlooker import Onlooker, recovery
from test_overload import connect, held

FORGE = pathlib.Path(__file__).with_name("forge.c")
FLOOD = int(os.environ.get("TIMESERVER_FLOOD", fewer(1000000)))
HOST = "10.66.0.1"
TABLE = 512  # KiB for each worker, of those who ask: timeserver.conf(5)
SOURCES = 1 << 17  # of 198.18.0.0/15, which is nobody's


def start(box, port, *lines, **more):
    words = [f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local", *lines]
    return box.start(*(word for line in words for word in ("-o", line)), **more)


def memory(daemon):
    return int(daemon.status("VmRSS").split()[0])


@pytest.fixture(scope="module")
def forge(tmp_path_factory):
    program = tmp_path_factory.mktemp("forge") / "forge"
    compile_c(program, FORGE)
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


def flooded(forge, port, *words):
    """Another client's view while a flood goes on, and what the flood was."""
    with Onlooker(port, HOST) as onlooker:
        sent = subprocess.run([forge, *map(str, words)], check=True, capture_output=True, text=True)
    count, milliseconds = map(int, sent.stdout.split())
    return onlooker, f"{count} in {milliseconds} ms; {onlooker}; well again after"


@needs_private("forged packets")
@needs_program("cc")
def test_a_flood_of_syns(box, port, forge, network):
    """Connections that are begun in the names of 131,072 addresses and never made."""
    daemon = start(box, port)
    before = memory(daemon)
    onlooker, told = flooded(forge, port, "syn", HOST, port, "198.18.0.0", SOURCES, 1, 50000,
                             FLOOD // 5)
    print(f"SYNs: {told} {recovery(port, HOST):.1f} ms")
    assert onlooker.unanswered == 0 and daemon.alive() and memory(daemon) - before < 512


@needs_private("forged packets")
@needs_program("cc")
@pytest.mark.parametrize("networks", [1, 1 << 16])
def test_a_flood_of_requests(box, port, forge, network, networks):
    """From one network, or from as many as 11.0.0.0/8 has: a million requests. What is remembered of
    them has its place from the start."""
    daemon = start(box, port, "workers 2", "ratelimit interval 0.01 burst 100")
    before = memory(daemon)
    onlooker, told = flooded(forge, port, "ntp", HOST, port, "11.0.0.0", networks, 256, 200000, FLOOD)
    print(f"requests of {networks} networks: {told} {recovery(port, HOST):.1f} ms;"
          f" {memory(daemon) - before} KiB more; limited: {box.status()['limited']}")
    assert onlooker.unanswered == 0 and daemon.alive()
    assert SANITIZED or memory(daemon) - before < 2 * TABLE + 512


def half_open(port, stopping):
    """Clients that connect and then do nothing, again and again."""
    while not stopping.is_set():
        with held(port, 100), contextlib.suppress(OSError):
            stopping.wait(0.1)


def test_clients_that_do_nothing(box, port):
    """Some hundreds at a time connect, read nothing and never close."""
    daemon, stopping = start(box, port), threading.Event()
    threads = [threading.Thread(target=half_open, args=[port, stopping]) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(held(port, fewer(1000)))
        for thread in threads:
            thread.start()
        with Onlooker(port) as onlooker:
            time.sleep(2)
        stopping.set()
        for thread in threads:
            thread.join()
    print(f"silent clients: {onlooker}; well again after {recovery(port):.1f} ms")
    assert onlooker.unanswered == 0 and daemon.alive()


@not_instrumented("descriptors")
def test_descriptors_run_out(box, port):
    """64 are all there are, and 500 clients want one each."""
    daemon = start(box, port, before=["prlimit", "--nofile=64:64"])
    with Onlooker(port) as onlooker, held(port, 500):
        time.sleep(1)
    print(f"64 descriptors: {onlooker}; well again after {recovery(port):.1f} ms")
    assert onlooker.unanswered == 0 and daemon.alive()


def processor_time(daemon):
    """Of its main thread, in seconds."""
    fields = daemon.proc(f"task/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def limit_descriptors(daemon, number):
    subprocess.run(["prlimit", f"--pid={daemon.pid}", f"--nofile={number}:"], check=True)


@not_instrumented("descriptors")
def test_no_descriptor_for_the_operator(box, port):
    """He waits until there is one; nothing spins, and clients of UDP are served."""
    daemon = start(box, port)
    used = {int(number) for number in daemon.descriptors()}
    limit_descriptors(daemon, min(set(range(1000)) - used))
    asking, _, _ = box.popen(box.command("--signal", "status"))
    before = processor_time(daemon)
    time.sleep(1.5)
    spent = processor_time(daemon) - before
    print(f"no descriptor for --signal: {spent:.2f} s of processor time in 1.5 s")
    assert asking.poll() is None and spent < 0.2 and ntp.ask(port)[0].stratum == 10
    limit_descriptors(daemon, 1000)
    assert asking.wait(10) == 0


def test_a_storm_of_reloads(box, port):
    """As many SIGHUPs as can be sent in a second."""
    daemon, count = start(box, port), 0
    with Onlooker(port) as onlooker:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            daemon.signal(signal.SIGHUP)
            count += 1
            time.sleep(0.0002)
    print(f"{count} SIGHUPs: {onlooker}; well again after {recovery(port):.1f} ms")
    assert onlooker.unanswered == 0 and daemon.alive()


@needs_private("a full disk")
def test_a_full_disk(box, port):
    """A start says so. One that runs already goes on, is reloaded and stopped."""
    directory = box.dir / "small"
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
        full = box.server(*words, pidfile=False)
        assert full.code == 1 and full.out == ""
        assert full.err == f"timeserver: cannot write pid file {pidfile}: No space left on device\n"
        filler.unlink()
        daemon = box.start(*words, pidfile=False)
        fill()
        with Onlooker(port) as onlooker:
            assert box.server("-p", pidfile, "-s", "reload", pidfile=False).code == 0
            time.sleep(0.2)
        print(f"a full disk: {onlooker}; well again after {recovery(port):.1f} ms")
        assert onlooker.unanswered == 0
        stopped = box.server("-p", pidfile, "-s", "stop", pidfile=False)
        assert stopped.code == 0 and not pidfile.exists()
        daemon.wait_gone()


def test_a_log_that_cannot_be_written(box, port):
    """In the foreground, with a standard error that is full."""
    config = box.config(f"listen ntp {port}\nlisten daytime/tcp {port}\nclock local\n")
    with open("/dev/full", "w", encoding="ascii") as full:
        server = box.foreground("-n", "-c", config, stderr=full)
        wait_until(lambda: serves(port))
        with Onlooker(port) as onlooker:
            assert box.signal("reload").code == 0
            time.sleep(0.2)
        assert onlooker.unanswered == 0 and server.alive()
    print(f"a full log: {onlooker}")


@needs_private("a user of its own")
@not_wrapped("a thread")
@not_instrumented("threads")
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_thread_that_is_refused(box, port, processes):
    """At the start it is the reason why there is none. Later, what there is goes on."""
    user = random.randrange(1 << 17, 1 << 30)
    settings = {"user": user, "group": user, "extra_groups": []}
    limit = ["prlimit", f"--nproc={processes}:{processes}"]
    os.chown(box.dir, user, user)
    words = ["-n", "-o", f"listen ntp {port}", "-o", "clock local", "-o", "workers 4"]
    failed = box.server(*words, before=limit, **settings)
    assert failed.code == 1 and failed.err.endswith("Resource temporarily unavailable\n"), failed
    assert box.files() == []


@needs_private("a user of its own")
@not_instrumented("threads")
def test_more_threads_that_are_refused(box, port):
    """A reload that wants more workers than there may be changes nothing."""
    lines = f"listen ntp {port}\nlisten daytime/tcp {port}\nclock local\nworkers"
    config, user = box.config(f"{lines} 2\n"), random.randrange(1 << 17, 1 << 30)
    settings = {"user": user, "group": user, "extra_groups": []}
    os.chown(box.dir, user, user)
    server = box.foreground("-n", "-c", config, before=["prlimit", "--nproc=5:5"], **settings)
    wait_until(lambda: serves(port))
    with Onlooker(port) as onlooker:
        config.write_text(f"{lines} 8\n")
        for _ in range(fewer(20)):
            failed = box.signal("reload")
            assert failed.code == 1 and failed.err.endswith(
                "cannot start 8 workers: Resource temporarily unavailable\n")
            assert box.status()["workers"] == "2"
            time.sleep(0.02)
        config.write_text(f"{lines} 3\n")
        # A thread that sees clients off counts for a quarter of a second.
        wait_until(lambda: box.signal("reload").code == 0, what="3 workers")
    print(f"threads refused: {onlooker}; well again after {recovery(port):.1f} ms")
    assert onlooker.unanswered == 0 and server.alive()


@contextlib.contextmanager
def without_threads(box, port, change):
    """A daemon whose user has no thread left when it is reloaded with a change."""
    user = random.randrange(1 << 17, 1 << 30)
    settings = {"user": user, "group": user, "extra_groups": []}
    os.chown(box.dir, user, user)
    text = f"listen ntp {port}\nlisten daytime/tcp {port}\nclock local\nworkers 3\n"
    config = box.config(text)
    server = box.foreground("-n", "-c", config, before=["prlimit", "--nproc=8:8"], **settings)
    wait_until(lambda: serves(port))
    others = [subprocess.Popen(["sleep", "60"], **settings) for _ in range(9)]
    config.write_text(change(text))
    assert box.signal("reload").code == 1 and not serves(port)
    assert box.status()["state"] == "halted"
    try:
        yield server
    finally:
        for other in others:
            other.kill()
            other.wait()


@needs_private("a user of its own")
@not_instrumented("threads")
def test_a_stop_while_nothing_is_served(box, port):
    """Fewer workers were wanted, and those that are to be there again have never served yet."""
    with without_threads(box, port, lambda text: text.replace("workers 3", "workers 1")) as server:
        assert box.signal("stop").code == 0 and server.wait() == 0


@needs_private("a user of its own")
@not_instrumented("threads")
def test_threads_that_others_have_taken(box, port):
    """Where a reload finds no thread any more, not even for what it had, it says so and tries again
    until it serves."""
    with without_threads(box, port, lambda text: text) as server:
        pass
    wait_until(lambda: serves(port))
    assert server.alive() and box.status()["state"] == "serving"
    log = server.log()
    assert "nothing is served: cannot start 3 workers" in log and "serving again" in log
