"""Floods and shortages: other clients get replies meanwhile, and the daemon recovers.

SECURITY.md has the table of threats and promises.
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
from lib.daytime_client import idle_connections, refuses, serves
from lib.environment import (compile_c, fewer, GROUP, needs_descriptors, needs_private, needs_program,
                             not_instrumented, not_wrapped, SANITIZED, USER, wait_until)
from lib.isolate import mounted
from lib.neighbour import ip, set_network_option
from lib.probe import milliseconds_to_recover, Probe
from lib.testbed import directives

SPOOF = pathlib.Path(__file__).with_name("lib") / "spoof.c"
FLOOD = int(os.environ.get("TIMESERVER_FLOOD", fewer(1000000)))
HOST = "10.66.0.1"
TABLE = 512  # KiB of top clients and rates for each worker: timeserver.conf(5)
SOURCES = 1 << 17  # 198.18.0.0/15, which is reserved for benchmarks


def start(testbed, port, *lines, **more):
    words = [f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local", *lines]
    return testbed.start(*directives(*words), **more)


def memory(daemon):
    """In KiB, without the code, which the kernel maps as it is used."""
    return sum(int(daemon.status(field).split()[0]) for field in ("RssAnon", "RssShmem"))


@pytest.fixture(scope="module")
def spoof(tmp_path_factory):
    program = tmp_path_factory.mktemp("spoof") / "spoof"
    compile_c(program, SPOOF)
    return program


@pytest.fixture
def network():
    """Routes replies to forged addresses into a virtual link where nothing receives them."""
    gateway = HOST.replace(".1", ".2")
    ip("link add void0 type veth peer name void1", "link set void0 up", "link set void1 up",
       f"addr add {HOST}/32 dev void0", f"neigh add {gateway} lladdr 02:00:00:00:00:01 dev void0",
       *(f"route add {network} via {gateway} dev void0 onlink" for network in ("198.18.0.0/15", "11.0.0.0/8")))
    for name in ("all", "lo", "void0"):
        set_network_option(f"ipv4/conf/{name}/rp_filter", 0)
    yield
    ip("link del void0")


def flooded(spoof, port, *words):
    """Runs a flood. Returns the probe of another client, and a description of both."""
    with Probe(port, HOST) as probe:
        sent = subprocess.run([spoof, *map(str, words)], check=True, capture_output=True, text=True)
    count, milliseconds = map(int, sent.stdout.split())
    return probe, f"{count} in {milliseconds} ms; {probe}; recovered after"


@needs_private("forged packets")
@needs_program("cc")
@pytest.mark.flood
def test_other_clients_are_served_during_a_flood_of_syns(testbed, port, spoof, network):
    """SYNs from 131,072 forged addresses."""
    daemon = start(testbed, port)
    before = memory(daemon)
    probe, flood = flooded(spoof, port, "syn", HOST, port, "198.18.0.0", SOURCES, 1, 50000,
                           FLOOD // 5)
    print(f"SYNs: {flood} {milliseconds_to_recover(port, HOST):.1f} ms")
    assert probe.lost == 0 and daemon.alive() and memory(daemon) - before < 512


@needs_private("forged packets")
@needs_program("cc")
@pytest.mark.parametrize("networks", [1, 1 << 16])
@pytest.mark.flood
def test_other_clients_are_served_during_a_flood_of_requests(testbed, port, spoof, network, networks):
    """A million requests, from one network or from 65,536. The table of rates does not grow."""
    daemon = start(testbed, port, "workers 2", "ratelimit interval 0.01 burst 100")
    before = memory(daemon)
    probe, flood = flooded(spoof, port, "ntp", HOST, port, "11.0.0.0", networks, 256, 200000, FLOOD)
    print(f"requests from {networks} networks: {flood} {milliseconds_to_recover(port, HOST):.1f} ms;"
          f" {memory(daemon) - before} KiB more; limited: {testbed.status()['limited']}")
    assert probe.lost == 0 and daemon.alive()
    assert SANITIZED or memory(daemon) - before < 2 * TABLE + 512


def open_idle_connections(port, stopping):
    """Opens 100 idle connections again and again."""
    while not stopping.is_set():
        with idle_connections(port, 100), contextlib.suppress(OSError):
            stopping.wait(0.1)


@needs_descriptors(1600)
def test_idle_clients_do_not_delay_others(testbed, port):
    """More than a thousand connections that read nothing and never close."""
    daemon, stopping = start(testbed, port), threading.Event()
    threads = [threading.Thread(target=open_idle_connections, args=[port, stopping]) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(idle_connections(port, fewer(1000)))
        for thread in threads:
            thread.start()
        with Probe(port) as probe:
            time.sleep(2)
        stopping.set()
        for thread in threads:
            thread.join()
    print(f"idle clients: {probe}; recovered after {milliseconds_to_recover(port):.1f} ms")
    assert probe.lost == 0 and daemon.alive()


@not_instrumented("descriptors")
def test_clients_get_replies_when_descriptors_run_out(testbed, port):
    """500 clients at a limit of 64 descriptors."""
    daemon = start(testbed, port, before=["prlimit", "--nofile=64:64"])
    with Probe(port) as probe, idle_connections(port, 500):
        time.sleep(1)
    print(f"64 descriptors: {probe}; recovered after {milliseconds_to_recover(port):.1f} ms")
    assert probe.lost == 0 and daemon.alive()


def main_thread_cpu_seconds(daemon):
    """The CPU time of the main thread, in seconds."""
    fields = daemon.proc(f"task/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@not_instrumented("descriptors")
def test_a_control_request_waits_for_a_descriptor(testbed, port):
    """Meanwhile the main thread does not spin, and UDP clients get replies."""
    daemon = start(testbed, port)
    used = {int(number) for number in daemon.descriptors()}
    daemon.limit_descriptors(min(set(range(1000)) - used))
    command, _, _ = testbed.popen(testbed.command("--signal", "status"))
    before = main_thread_cpu_seconds(daemon)
    time.sleep(1.5)
    spent = main_thread_cpu_seconds(daemon) - before
    print(f"no descriptor for --signal: {spent:.2f} s of CPU time in 1.5 s")
    assert command.poll() is None and spent < 0.2 and ntp.query(port)[0].stratum == 10
    daemon.limit_descriptors(1000)
    assert command.wait(10) == 0


def test_clients_get_replies_during_thousands_of_sighups(testbed, port):
    """As many SIGHUPs as possible in one second."""
    daemon, count = start(testbed, port), 0
    with Probe(port) as probe:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            daemon.signal(signal.SIGHUP)
            count += 1
            time.sleep(0.0002)
    print(f"{count} SIGHUPs: {probe}; recovered after {milliseconds_to_recover(port):.1f} ms")
    assert probe.lost == 0 and daemon.alive()


@needs_private("a full disk")
def test_a_full_disk_fails_a_start_but_not_a_running_daemon(testbed, port):
    """A start says why it fails. A running daemon serves, reloads and stops."""
    directory = testbed.dir / "small"
    directory.mkdir()
    with mounted("tmpfs", directory, "tmpfs", 0, "size=8k"):
        pidfile, filler = directory / "t.pid", directory / "filler"
        os.chown(directory, USER, GROUP)
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
        print(f"a full disk: {probe}; recovered after {milliseconds_to_recover(port):.1f} ms")
        assert probe.lost == 0
        stopped = testbed.server("-p", pidfile, "-s", "stop", pidfile=False)
        assert stopped.code == 0 and not pidfile.exists()
        daemon.wait_gone()


def test_a_log_that_cannot_be_written_delays_no_reply(testbed, port):
    """In the foreground, with /dev/full as standard error."""
    config = testbed.config(f"listen ntp {port}\nlisten daytime/tcp {port}\nclock local\n")
    with open("/dev/full", "w", encoding="ascii") as full:
        server = testbed.foreground("-n", "-c", config, stderr=full)
        wait_until(lambda: serves(port))
        with Probe(port) as probe:
            assert testbed.signal("reload").code == 0
            time.sleep(0.2)
        assert probe.lost == 0 and server.alive()
    print(f"a full log: {probe}")


@needs_private("a user of its own")
@not_wrapped("a thread")
@not_instrumented("threads")
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_start_without_enough_threads_fails(testbed, port, processes):
    """The message says why, and no file is left."""
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
def test_a_reload_without_enough_threads_changes_nothing(testbed, port):
    """More workers than the limit of processes of the user allows."""
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
        # A retired worker counts until its clients have closed, a quarter of a second at most.
        wait_until(lambda: testbed.signal("reload").code == 0, what="3 workers")
    print(f"no more threads: {probe}; recovered after {milliseconds_to_recover(port):.1f} ms")
    assert probe.lost == 0 and server.alive()


@contextlib.contextmanager
def halted_for_lack_of_threads(testbed, port, change):
    """A daemon that a reload has halted, because other processes of its user took all threads."""
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
def test_a_halted_daemon_can_be_stopped(testbed, port):
    """After a reload to fewer workers that could not start, nor could the previous ones."""
    with halted_for_lack_of_threads(testbed, port, lambda text: text.replace("workers 3", "workers 1")) as server:
        assert testbed.signal("stop").code == 0 and server.wait() == 0


@needs_private("a user of its own")
@not_instrumented("threads")
def test_a_halted_daemon_retries_until_it_serves(testbed, port):
    """A reload that can start neither the new nor the previous workers says so, and tries again."""
    with halted_for_lack_of_threads(testbed, port, lambda text: text) as server:
        wait_until(lambda: refuses(port), what="a refusal, since no client should wait without end")
    wait_until(lambda: all(serves(port) for _ in range(10)), what="replies of all workers")
    assert server.alive() and testbed.status()["state"] == "serving"
    log = server.log()
    assert "nothing is served: cannot start 3 workers" in log and "serving again" in log
