"""Limits of the web process: many connections, denied clients, clients that never read."""
import contextlib
import json
import signal
import socket
import time

import pytest


from lib.daytime_client import receive_all
from lib.environment import (fewer, longer, needs_descriptors, needs_private, not_instrumented, not_wrapped,
                             SANITIZED, wait_until)
from lib.http_client import connections_of, fetch, is_closed, start_web, status_code
from lib.isolate import mounted, MS_BIND
from lib.web_metrics import metrics, value
from lib.web_process import serves_http, web_process_of

MOST = 256
REQUEST = b"GET /time.json HTTP/1.1\r\nHost: x\r\n\r\n"


def connect_from(host, port, request=b""):
    connection = socket.create_connection(("127.0.0.1", port), longer(5), (host, 0))
    connection.sendall(request)
    return connection


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
@needs_descriptors(1100)
def test_every_connection_of_a_burst_gets_a_reply(testbed, port, last):
    """Many more connections than slots at once, all from one network."""
    daemon, count = start_web(testbed, port), fewer(1000)
    with web_process_of(daemon) as web, contextlib.ExitStack() as stack:
        web.signal(signal.SIGSTOP)
        clients = [stack.enter_context(connect_from("127.0.0.1", port, REQUEST[:-2] + last + b"\r\n"))
                   for _ in range(count)]
        web.signal(signal.SIGCONT)
        replies = [status_code(client.recv(4096)) for client in clients]
    assert replies == [200] * count


@needs_descriptors(2100)
def test_eviction_truncates_no_reply(testbed, port):
    """A connection is evicted only after its reply was sent."""
    daemon = start_web(testbed, port)
    with web_process_of(daemon) as web, contextlib.ExitStack() as stack:
        for _ in range(fewer(20)):
            web.signal(signal.SIGSTOP)
            clients = [stack.enter_context(connect_from("127.0.0.1", port, b"" if i % 5 else REQUEST))
                       for i in range(100)]
            web.signal(signal.SIGCONT)
            assert [status_code(client.recv(4096)) for client in clients[::5]] == [200] * 20


@not_instrumented("descriptors")
def test_the_limit_of_connections(testbed, port):
    """It holds also while evicted connections are being closed."""
    daemon, counts = start_web(testbed, port), []
    with web_process_of(daemon) as web, contextlib.ExitStack() as stack:
        before = len(web.descriptors())

        def open_connections():
            counts.append(len(web.descriptors()) - before)
            return counts[-1]
        for number in range(20):
            web.signal(signal.SIGSTOP)
            for _ in range(40):
                stack.enter_context(connect_from("127.0.0.1", port))
            web.signal(signal.SIGCONT)
            for _ in range(20):
                open_connections()
            wait_until(lambda accepted=40 * number: open_connections() > min(accepted, MOST // 2), 20)
    print(f"800 connections: {max(counts)} at a time")
    assert MOST / 2 < max(counts) <= MOST + 72


def test_eviction_is_fair_between_networks(testbed, port):
    """The network with the most connections loses some."""
    start_web(testbed, port)
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(connect_from(f"127.7.{i}.1", port, REQUEST)) for i in range(5)]
        assert [status_code(other.recv(4096)) for other in others] == [200] * 5
        crowd = [stack.enter_context(connect_from(f"127.9.9.{i % 250 + 1}", port, REQUEST))
                 for i in range(2 * MOST)]
        assert status_code(crowd[-1].recv(4096)) == 200
        for other in others:
            other.sendall(REQUEST)
            assert status_code(other.recv(4096)) == 200
        wait_until(lambda: sum(map(is_closed, crowd)) > MOST, what="evicted connections")


def test_a_denied_client_is_disconnected(testbed, port):
    """With status 403 after a request, and within two seconds without a request."""
    start_web(testbed, port, "deny 127.7.0.0/16")
    reply = receive_all(connect_from("127.7.0.1", port, REQUEST))
    assert status_code(reply) == 403 and b"\r\nConnection: close\r\n" in reply
    assert reply.endswith(b"\r\n\r\nForbidden: this address may not use this server.\n")
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect_from("127.7.0.1", port)) for _ in range(20)]
        began = time.monotonic()
        wait_until(lambda: all(map(is_closed, silent)), what="the connections to be closed")
        print(f"20 denied connections closed after {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < longer(5)
    wait_until(lambda: connections_of(port) == 1, what="their slots to be free")


@not_wrapped("the memory")
def test_a_client_that_never_reads_fills_no_memory(testbed, port):
    """It sends endless requests for long pages."""
    daemon = start_web(testbed, port)
    with web_process_of(daemon) as web, connect_from("127.0.0.1", port) as client:
        before, sent = int(web.status("VmRSS").split()[0]), 0
        client.setblocking(False)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                sent += client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        more = int(web.status("VmRSS").split()[0]) - before
        print(f"{sent} bytes of requests sent: {more} KiB more memory")
        assert serves_http(port) and (SANITIZED or more < 8192)


LIST = "3644697600\t36\t# 1 Jul 2015\n3692217600\t37\t# 1 Jan 2017\n"
EPOCH = 2208988800


@needs_private("a list of leap seconds of its own")
@pytest.mark.parametrize("days, offset", [(1, 37), (-1, None)], ids=["valid", "expired"])
def test_the_leap_second_list_expires(testbed, port, days, offset):
    """It is used until it expires."""
    expires = int(time.time()) + EPOCH + 86400 * days
    path = testbed.config(f"#@\t{expires}\n{LIST}", "list")
    with mounted(path, "/usr/share/zoneinfo/leap-seconds.list", flags=MS_BIND):
        start_web(testbed, port)
        assert json.loads(fetch(port, "/time.json").body)["tai_offset"] == offset
        nict = json.loads(fetch(port, "/cgi-bin/json").body)
    found = {name: nict.get(name) for name in ("leap", "next", "step")}
    wanted = {"leap": 37, "next": 1483228800, "step": 1} if offset else dict.fromkeys(found)
    assert found == wanted


@pytest.mark.parametrize("query, origin", [
    ("origin=1.5", "1.5"), ("a=b&origin=1.5", "1.5"), ("origin=1.5&_=7", "1.5"), ("a", ""),
    ("a=1&b=2", ""), ("origin%3d1", ""), ("originate=1", ""), ("=", ""),
    ("%", ""), ("&&origin=2&origin=x", "2")])
def test_origin_among_other_parameters(testbed, port, query, origin):
    start_web(testbed, port)
    assert json.loads(fetch(port, f"/time.json?{query}").body)["origin"] == origin


@pytest.mark.parametrize("query", ["origin=x", "origin=", "a=1&origin=-1", "origin=1%00", "origin=&a"])
def test_an_invalid_origin(testbed, port, query):
    start_web(testbed, port)
    reply = fetch(port, f"/time.json?{query}")
    assert reply.status == 400 and reply.body.startswith(b"origin: expected "), reply.body
    assert value(metrics(port), "http_crashes_total") == 0
