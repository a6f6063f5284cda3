"""Workers: their number, and changes of it without a lost reply."""
import itertools
import json
import os
import socket
import subprocess
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port, idle_connections, is_daytime, query
from lib.environment import longer, needs_private, SANITIZER_THREADS, wait_until
from lib.probe import Requester
from lib.testbed import directives

ROUNDS = 10


def lines_of(*lines):
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_workers(testbed, port, count):
    daemon = testbed.start("-o", f"listen ntp {port}", "-o", "clock local", "-o", f"workers {count}")
    threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
    assert threads == count + 2 + SANITIZER_THREADS  # and the main thread and the clock monitor
    assert testbed.status()["workers"] == str(count)


@pytest.mark.parametrize("cores", [sorted(os.sched_getaffinity(0)), sorted(os.sched_getaffinity(0))[:1]],
                         ids=["all cores", "one core"])
def test_there_is_a_worker_for_each_core_that_it_may_use(testbed, port, cores):
    words = ["taskset", "-c", ",".join(map(str, cores))]
    testbed.start("-o", f"listen ntp {port}", "-o", "clock local", before=words)
    assert testbed.status()["workers"] == str(min(len(cores), 256))


def test_every_worker_serves_requests(testbed, port):
    """The kernel distributes requests from many ports among the shards."""
    daemon = testbed.start("-o", f"listen ntp {port}", "-o", "clock local", "-o", "workers 3")
    for _ in range(200):
        assert ntp.query(port)[0].stratum == 10
    switches = []
    for task in os.listdir(f"/proc/{daemon.pid}/task"):
        with open(f"/proc/{daemon.pid}/task/{task}/status", encoding="ascii") as file:
            status = dict(line.split(":", 1) for line in file)
        switches.append(int(status["voluntary_ctxt_switches"]))
    assert len([count for count in switches if count > 20]) >= 3


def ntp_burst(sockets, port):
    """Sends a request from each socket, then receives a reply to each."""
    def query_once():
        replies = 0
        for client in sockets:
            client.sendto(ntp.request(), ("127.0.0.1", port))
        for client in sockets:
            try:
                replies += len(client.recv(100)) == 48
            except TimeoutError:
                pass
        return len(sockets), replies
    return query_once


def test_no_reply_is_lost_while_workers_and_listeners_change(testbed, port):
    """Over UDP and TCP."""
    daytime, others = free_port(), [free_port(), free_port()]
    fixed = [f"listen ntp {port}", f"listen daytime/tcp {daytime}", "clock local"]
    daemon = testbed.start("-c", testbed.config(lines_of(*fixed, "workers 1")))
    sockets = [ntp.udp_socket(timeout=2) for _ in range(32)]
    with Requester(ntp_burst(sockets, port)) as datagrams, \
            Requester(lambda: (1, is_daytime(query(daytime)))) as connections:
        for number in range(ROUNDS):
            changed = [f"workers {1 + number % 3}", f"listen ntp {others[number % 2]}",
                       f"listen time/tcp {others[number % 2]}"]
            testbed.config(lines_of(*fixed, *changed))
            assert testbed.signal("reload").code == 0
            assert len(query(others[number % 2])) == 4
            time.sleep(0.05)
    for client in sockets:
        client.close()
    print(f"{ROUNDS} reloads: {datagrams.replies} replies to {datagrams.requests} datagrams,"
          f" {connections.replies} replies on {connections.requests} connections")
    assert datagrams.requests > 1000 and connections.requests > 100
    assert datagrams.replies == datagrams.requests and connections.replies == connections.requests
    assert daemon.alive()


def test_clients_of_a_retired_worker_delay_no_reply(testbed, port):
    """They have a quarter of a second to close; the other workers serve meanwhile. The best of five
    times, because the machine is busy with other tests."""
    lines = [f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local"]
    testbed.start("-c", testbed.config(lines_of(*lines, "workers 3")))
    longest = []

    def query_once():
        began = time.monotonic()
        valid = ntp.query(port)[0].stratum == 10
        waits.append(time.monotonic() - began)
        return 1, valid
    for _ in range(5):
        waits = []
        with idle_connections(port, 30), Requester(query_once) as requester:
            testbed.config(lines_of(*lines, "workers 1"))
            assert testbed.signal("reload").code == 0
            time.sleep(0.1)
        assert requester.replies == requester.requests
        longest.append(max(waits))
        testbed.config(lines_of(*lines, "workers 3"))
        assert testbed.signal("reload").code == 0
    print("the longest waits:", ", ".join(f"{seconds * 1000:.1f} ms" for seconds in longest))
    assert min(longest) < longer(0.2)


def test_counters_keep_the_requests_of_retired_workers(testbed, port):
    testbed.start("-c", testbed.config(lines_of(f"listen ntp {port}", "clock local", "workers 3")))
    for _ in range(60):
        ntp.query(port)
    testbed.config(lines_of(f"listen ntp {port}", "clock local", "workers 1"))
    assert testbed.signal("reload").code == 0
    ntp.query(port)
    wait_until(lambda: testbed.status()["ntp"] == "61 of 61", what="the last request to be counted")


def test_too_many_workers_are_an_error(testbed, port):
    """The reload fails and changes nothing."""
    daemon = testbed.start("-c", testbed.config(lines_of(f"listen ntp {port}", "clock local")))
    testbed.config(lines_of(f"listen ntp {port}", "clock local", "workers 257"))
    failed = testbed.signal("reload")
    assert failed.code == 78 and "expected auto or a number from 1 to 256" in failed.err
    assert ntp.query(port)[0].stratum == 10 and daemon.alive()


@pytest.mark.parametrize("poll", [0, 200])
def test_busy_polling(testbed, port, poll):
    testbed.start("-o", f"listen ntp {port}", "-o", "clock local", "-o", f"busy-poll {poll}")
    for _ in range(50):
        assert ntp.query(port)[0].stratum == 10


class Steering:
    """A daemon of two workers, and which of them receives the requests of a network."""

    def __init__(self, testbed, name, port):
        self.testbed, self.port = testbed, port
        self.pidfile = testbed.dir / f"{name}.pid"
        testbed.start(*directives(f"listen time/udp {port}", "clock local", "workers 2"),
                      "-p", self.pidfile, pidfile=False)

    def per_worker(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
            control.connect(str(self.pidfile.with_suffix(".sock")))
            control.send(b'{"version":1,"command":"status"}')
            return json.loads(control.recv(1 << 18))["per_worker"]

    def reload(self):
        assert self.testbed.server("-s", "reload", "-p", self.pidfile, pidfile=False).code == 0

    def worker_of(self, source, destination):
        before = self.per_worker()
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(longer(5))
            client.bind((source, 0))
            client.sendto(b"", (destination, self.port))
            assert len(client.recv(100)) == 4
        wait_until(lambda: sum(self.per_worker()) == sum(before) + 1)
        [worker] = [number for number, (less, more) in enumerate(zip(before, self.per_worker())) if more > less]
        return worker


@needs_private("addresses of its own")
@pytest.mark.parametrize("family", [4, 6])
def test_the_worker_of_a_network_is_secret_and_stays(testbed, family):
    """Two daemons choose differently, so no network can be chosen for its worker; hosts of a network
    share one, also after a reload."""
    networks = [(f"127.7.{n}.1", f"127.7.{n}.99") if family == 4 else (f"fd00:7:{n:x}::1", f"fd00:7:{n:x}:9::9")
                for n in range(32)]
    for address in itertools.chain(*networks) if family == 6 else ():
        subprocess.run(["ip", "addr", "add", address, "dev", "lo", "nodad"], check=False)
    host = "127.0.0.1" if family == 4 else "::1"
    one, other = [Steering(testbed, name, free_port()) for name in ("one", "other")]
    chosen = [one.worker_of(first, host) for first, _ in networks]
    assert set(chosen) == {0, 1}
    assert [one.worker_of(second, host) for _, second in networks] == chosen
    one.reload()
    assert [one.worker_of(first, host) for first, _ in networks] == chosen
    assert [other.worker_of(first, host) for first, _ in networks] != chosen


def test_busy_polling_takes_the_cpu_after_a_request(testbed, port):
    """For a second here, so that the next request finds the worker awake."""
    daemon = testbed.start("-o", f"listen ntp {port}", "-o", "clock local", "-o", "busy-poll 1000000")
    before = daemon.cpu_seconds()

    def is_busy():
        assert ntp.query(port)[0].stratum == 10
        time.sleep(0.1)
        return daemon.cpu_seconds() - before > 0.3
    wait_until(is_busy, 20, "the CPU time of busy polling")
