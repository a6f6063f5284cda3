"""Workers: as many as are wanted, and none of them loses anything while they change."""
import os
import statistics
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port, idle_connections, is_daytime, query
from lib.environment import longer, OWN_THREADS, wait_until
from lib.probe import Requester

ROUNDS = 10


def lines_of(*lines):
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_threads_as_wanted(testbed, port, count):
    daemon = testbed.start("-o", f"listen ntp {port}", "-o", "clock local", "-o", f"workers {count}")
    threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
    assert threads == count + 2 + OWN_THREADS  # the watcher, and the first
    assert testbed.status()["workers"] == str(count)


def test_every_worker_answers(testbed, port):
    """Requests from many ports are shared out among the sockets."""
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
    """A request from each socket, then an answer to each."""
    def once():
        answered = 0
        for asking in sockets:
            asking.sendto(ntp.request(), ("127.0.0.1", port))
        for asking in sockets:
            try:
                answered += len(asking.recv(100)) == 48
            except TimeoutError:
                pass
        return len(sockets), answered
    return once


def test_nothing_is_lost_while_everything_changes(testbed, port):
    """Workers come and go, other listeners too; each answer still comes, over UDP and TCP."""
    daytime, others = free_port(), [free_port(), free_port()]
    fixed = [f"listen ntp {port}", f"listen daytime/tcp {daytime}", "clock local"]
    daemon = testbed.start("-c", testbed.config(lines_of(*fixed, "workers 1")))
    sockets = [ntp.client(timeout=2) for _ in range(32)]
    with Requester(ntp_burst(sockets, port)) as datagrams, \
            Requester(lambda: (1, is_daytime(query(daytime)))) as connections:
        for number in range(ROUNDS):
            changed = [f"workers {1 + number % 3}", f"listen ntp {others[number % 2]}",
                       f"listen time/tcp {others[number % 2]}"]
            testbed.config(lines_of(*fixed, *changed))
            assert testbed.signal("reload").code == 0
            assert len(query(others[number % 2])) == 4
            time.sleep(0.05)
    for asking in sockets:
        asking.close()
    print(f"{ROUNDS} reloads; {datagrams.answered} of {datagrams.asked} datagrams and"
          f" {connections.answered} of {connections.asked} connections were answered")
    assert datagrams.asked > 1000 and connections.asked > 100
    assert datagrams.answered == datagrams.asked and connections.answered == connections.asked
    assert daemon.alive()


def test_nobody_waits_for_clients_of_a_worker_that_goes(testbed, port):
    """They have a quarter of a second to go, and meanwhile the others are served."""
    lines = [f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local"]
    testbed.start("-c", testbed.config(lines_of(*lines, "workers 3")))
    waits = []

    def once():
        began = time.monotonic()
        answered = ntp.query(port)[0].stratum == 10
        waits.append(time.monotonic() - began)
        return 1, answered
    with idle_connections(port, 30), Requester(once) as asking:
        testbed.config(lines_of(*lines, "workers 1"))
        assert testbed.signal("reload").code == 0
        time.sleep(0.1)
    print(f"{asking.answered} of {asking.asked} answered, the longest wait {max(waits) * 1000:.1f} ms")
    assert asking.answered == asking.asked and statistics.median(waits) < 0.1
    assert max(waits) < longer(0.2)


def test_the_count_goes_on_when_workers_go(testbed, port):
    testbed.start("-c", testbed.config(lines_of(f"listen ntp {port}", "clock local", "workers 3")))
    for _ in range(60):
        ntp.query(port)
    testbed.config(lines_of(f"listen ntp {port}", "clock local", "workers 1"))
    assert testbed.signal("reload").code == 0
    ntp.query(port)
    wait_until(lambda: testbed.status()["ntp"] == "61 of 61", what="the last to be counted")


def test_workers_that_cannot_be_had(testbed, port):
    """A change that fails changes nothing, and says so."""
    daemon = testbed.start("-c", testbed.config(lines_of(f"listen ntp {port}", "clock local")))
    testbed.config(lines_of(f"listen ntp {port}", "clock local", "workers 257"))
    failed = testbed.signal("reload")
    assert failed.code == 78 and "expected auto or a number from 1 to 256" in failed.err
    assert ntp.query(port)[0].stratum == 10 and daemon.alive()


@pytest.mark.parametrize("poll", [0, 200])
def test_busy_polling_answers_as_well(testbed, port, poll):
    testbed.start("-o", f"listen ntp {port}", "-o", "clock local", "-o", f"busy-poll {poll}")
    for _ in range(50):
        assert ntp.query(port)[0].stratum == 10
