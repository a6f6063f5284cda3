"""Misbehaving clients, and too many of them: all get a whole reply, nothing spins or dies."""
import errno
import re
import select
import socket
import struct
import time

import pytest

from lib.daytime_client import (assert_prompt, connect, idle_connections, is_daytime, query, receive_all,
                                serves)
from lib.environment import fewer, longer, not_instrumented, wait_until
from lib.process import cpu_share


CUT_AFTER = 5  # seconds, from the reply to the reset
SIZES = [1, 2, 26, 100, 1000, 1460, 4096, 8192]


def test_10000_clients_that_send_garbage_first_get_whole_replies(testbed, port):
    """And then a FIN: a reset could discard the reply."""
    total, batch, replies = fewer(10000), 100, 0
    daemon = testbed.listen(port)
    before = len(daemon.descriptors())
    for begin in range(0, total, batch):
        with idle_connections(port, batch) as clients:
            for number, client in enumerate(clients):
                client.sendall(b"GET / HTTP/1.0\r\n"[:1] * SIZES[(begin + number) % len(SIZES)])
            for client in clients:
                assert is_daytime(receive_all(client))
                replies += 1
    assert replies == total and testbed.status()["replies"] == str(total)
    assert testbed.status()["failed"] == "0"
    wait_until(lambda: len(daemon.descriptors()) <= before, what="all descriptors to be closed")


def test_garbage_after_the_reply_does_not_discard_it(testbed, port):
    """The server reads it, so that no reset discards a reply that the client has not read yet."""
    testbed.listen(port)
    for size in SIZES:
        with connect(port) as client:
            for _ in range(5):
                client.sendall(bytes(size))
                time.sleep(0.01)
            assert is_daytime(receive_all(client))
            client.sendall(bytes(size))


def seconds_to_reply(port):
    began = time.monotonic()
    assert is_daytime(query(port))
    return time.monotonic() - began


def end_of(client):
    """The error that the client sees, or None."""
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or None


@not_instrumented("the delay")
def test_a_client_that_never_closes_is_reset_after_5_seconds(testbed, port):
    """Some read nothing, some read the reply, some send a byte now and then. Other clients get replies
    at once meanwhile."""
    daemon = testbed.listen(port)
    before = len(daemon.descriptors())
    with idle_connections(port, 30) as clients:
        began, replies, ended = time.monotonic(), [], {}
        poll = select.poll()
        for client in clients:
            poll.register(client, 0)  # errors and hang-ups only
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
            replies.append(seconds_to_reply(port))
    print(f"reset after {min(ended.values()):.2f} to {max(ended.values()):.2f} s")
    assert len(ended) == 30
    assert CUT_AFTER - 0.5 < min(ended.values()) and max(ended.values()) < CUT_AFTER + 1.5
    assert_prompt(replies)
    wait_until(lambda: len(daemon.descriptors()) <= before, what="all descriptors to be closed")


def test_a_client_that_sends_without_end_is_reset(testbed, port):
    """It never reads. The server takes a megabyte at most."""
    daemon = testbed.listen(port)
    with connect(port) as client:
        with pytest.raises(OSError):
            for _ in range(1 << 14):
                client.sendall(bytes(1 << 16))
        assert is_daytime(query(port)) and daemon.alive()


@not_instrumented("CPU time")
def test_500_clients_at_64_descriptors_cause_no_spinning(testbed, port):
    """And when they have gone, a reply takes less than a second."""
    daemon = testbed.listen(port, before=["prlimit", "--nofile=64:64"])
    with idle_connections(port, 500):
        share = cpu_share(daemon, 1)
        print(f"CPU with 500 idle clients: {share * 100:.1f} %")
        assert share < 0.2 and daemon.alive()
        assert len(daemon.descriptors()) <= 64
        assert is_daytime(query(port)), "with all descriptors in use"
    assert seconds_to_reply(port) < 1


@not_instrumented("CPU time")
def test_500_clients_at_64_descriptors_all_get_a_reply(testbed, port):
    """The oldest connections are closed, but only after their reply."""
    testbed.listen(port, before=["prlimit", "--nofile=64:64"])
    with idle_connections(port, 500) as clients:
        assert all(is_daytime(receive_all(client)) for client in clients)


@not_instrumented("CPU time")
@pytest.mark.parametrize("limit", [3, 20])
def test_a_limit_lowered_below_the_open_descriptors(testbed, port, limit):
    """No connection can be accepted. The server waits without spinning."""
    server = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}")
    wait_until(lambda: serves(port))
    soft = re.search(r"Max open files +(\d+)", server.proc("limits").read_text())[1]
    with idle_connections(port, 100):
        wait_until(lambda: int(testbed.status()["connections"].split()[0]) >= 100, what="100 connections")
        server.limit_descriptors(limit)
        waiting = [connect(port) for _ in range(20)]
        share = cpu_share(server, 1)
        print(f"CPU with a limit of {limit}: {share * 100:.1f} %")
        assert share < 0.2 and server.alive()
    server.limit_descriptors(soft)
    assert seconds_to_reply(port) < 1
    for client in waiting:
        assert is_daytime(receive_all(client))
        client.close()
    log = [line for line in server.log().splitlines() if "Too many open files" in line]
    assert len(log) == 1, "one record, not one for each connection"


@not_instrumented("memory")
def test_memory_does_not_grow_with_clients(testbed, port):
    daemon = testbed.listen(port)
    for _ in range(200):
        query(port)
    before = int(daemon.status("RssAnon").split()[0])
    for _ in range(5):
        with idle_connections(port, 200):
            pass
    for _ in range(1000):
        client = connect(port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert is_daytime(query(port))
    assert int(daemon.status("RssAnon").split()[0]) - before < 512


def test_a_stop_does_not_wait_for_idle_clients(testbed, port):
    """They have their replies."""
    daemon = testbed.listen(port)
    with idle_connections(port, 50) as clients:
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < longer(4)
        assert all(is_daytime(receive_all(client)) for client in clients)
