"""Clients that misbehave, and too many of them: all get a whole answer, nothing spins or dies."""
import errno
import resource
import select
import socket
import struct
import time

import pytest

from lib.daytime_client import (assert_prompt, connect, idle_connections, is_daytime, query, receive_all,
                                serves)
from lib.environment import fewer, longer, not_instrumented, wait_until
from lib.process import cpu_share


CUT_AFTER = 5  # seconds, from the answer to the reset
SIZES = [1, 2, 26, 100, 1000, 1460, 4096, 8192]


def test_10000_clients_that_send_garbage_first_get_whole_answers(testbed, port):
    """And then a clean end, not a reset that would throw the answer away."""
    total, batch, answers = fewer(10000), 100, 0
    daemon = testbed.listen(port)
    before = len(daemon.descriptors())
    for begin in range(0, total, batch):
        with idle_connections(port, batch) as clients:
            for number, client in enumerate(clients):
                client.sendall(b"GET / HTTP/1.0\r\n"[:1] * SIZES[(begin + number) % len(SIZES)])
            for client in clients:
                assert is_daytime(receive_all(client))
                answers += 1
    assert answers == total and testbed.status()["replies"] == str(total)
    assert testbed.status()["failed"] == "0"
    wait_until(lambda: len(daemon.descriptors()) <= before, what="no descriptor kept")


def test_garbage_that_comes_after_the_answer(testbed, port):
    """What the client still sends is taken in, so that the answer it has not read yet stays."""
    testbed.listen(port)
    for size in SIZES:
        with connect(port) as client:
            for _ in range(5):
                client.sendall(bytes(size))
                time.sleep(0.01)
            assert is_daytime(receive_all(client))
            client.sendall(bytes(size))


def seconds_to_answer(port):
    began = time.monotonic()
    assert is_daytime(query(port))
    return time.monotonic() - began


def end_of(client):
    """How the connection ended: the error that the client sees, or None."""
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or None


@not_instrumented("the delay")
def test_who_never_closes_is_cut_off_after_5_seconds_and_holds_nothing_up(testbed, port):
    """Some read nothing, some read all but stay, some send a byte now and then: one deadline."""
    daemon = testbed.listen(port)
    before = len(daemon.descriptors())
    with idle_connections(port, 30) as clients:
        began, answers, ended = time.monotonic(), [], {}
        poll = select.poll()
        for client in clients:
            poll.register(client, 0)  # errors and hang-ups alone
        numbers = {client.fileno(): client for client in clients}
        for client in clients[10:20]:
            assert is_daytime(receive_all(client))
        while len(ended) < len(clients) and time.monotonic() - began < CUT_AFTER + 3:
            errors = {descriptor: end_of(numbers[descriptor]) for descriptor, _ in poll.poll(100)}
            for client in clients[20:]:
                try:
                    client.send(b"." if client.fileno() not in ended else b"")
                except OSError as error:
                    errors[client.fileno()] = error.errno
            for descriptor in errors.keys() - ended.keys():
                ended[descriptor] = time.monotonic() - began
                assert errors[descriptor] in (errno.ECONNRESET, errno.EPIPE)
                poll.unregister(descriptor)
            answers.append(seconds_to_answer(port))
    print(f"cut off after {min(ended.values()):.2f} to {max(ended.values()):.2f} s")
    assert len(ended) == 30
    assert CUT_AFTER - 0.5 < min(ended.values()) and max(ended.values()) < CUT_AFTER + 1.5
    assert_prompt(answers)
    wait_until(lambda: len(daemon.descriptors()) <= before, what="no descriptor kept")


def test_a_client_that_floods_is_cut_off(testbed, port):
    """It sends without end and never reads: it must not be served for as long as it likes."""
    daemon = testbed.listen(port)
    with connect(port) as client:
        with pytest.raises(OSError):
            for _ in range(1 << 14):
                client.sendall(bytes(1 << 16))
        assert is_daytime(query(port)) and daemon.alive()


@not_instrumented("CPU time")
def test_500_clients_with_a_limit_of_64_descriptors(testbed, port):
    """It neither spins nor dies, and is there again within a second."""
    daemon = testbed.listen(port, before=["prlimit", "--nofile=64:64"])
    with idle_connections(port, 500):
        share = cpu_share(daemon, 1)
        print(f"CPU while 500 clients hold on: {share * 100:.1f} %")
        assert share < 0.2 and daemon.alive()
        assert len(daemon.descriptors()) <= 64
        assert is_daytime(query(port)), "even now"
    assert seconds_to_answer(port) < 1


@not_instrumented("CPU time")
def test_500_clients_while_64_descriptors_answer_all(testbed, port):
    """The limit costs the oldest clients their connection, but none its answer."""
    testbed.listen(port, before=["prlimit", "--nofile=64:64"])
    with idle_connections(port, 500) as clients:
        assert all(is_daytime(receive_all(client)) for client in clients)


@not_instrumented("CPU time")
@pytest.mark.parametrize("limit", [3, 20])
def test_a_limit_that_is_lowered_while_it_runs(testbed, port, limit):
    """Below what it has open: no new client can be let in, and there is nothing to do but wait."""
    server = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}")
    wait_until(lambda: serves(port))
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    with idle_connections(port, 100):
        wait_until(lambda: int(testbed.status()["connections"].split()[0]) >= 100, what="all of them")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, hard))
        waiting = [connect(port) for _ in range(20)]
        share = cpu_share(server, 1)
        print(f"CPU with a limit of {limit}: {share * 100:.1f} %")
        assert share < 0.2 and server.alive()
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert seconds_to_answer(port) < 1
    for client in waiting:
        assert is_daytime(receive_all(client))
        client.close()
    log = [line for line in server.log().splitlines() if "Too many open files" in line]
    assert len(log) == 1, "said once, not for each"


@not_instrumented("memory")
def test_memory_does_not_grow_with_clients(testbed, port):
    daemon = testbed.listen(port)
    for _ in range(200):
        query(port)
    before = int(daemon.status("VmRSS").split()[0])
    for _ in range(5):
        with idle_connections(port, 200):
            pass
    for _ in range(1000):
        client = connect(port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert is_daytime(query(port))
    assert int(daemon.status("VmRSS").split()[0]) - before < 512


def test_it_stops_at_once_with_clients_still_there(testbed, port):
    """They have their answers; a stop does not wait 5 seconds for them to go."""
    daemon = testbed.listen(port)
    with idle_connections(port, 50) as clients:
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < longer(1)
        assert all(is_daytime(receive_all(client)) for client in clients)
