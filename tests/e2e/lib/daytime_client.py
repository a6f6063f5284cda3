"""A Daytime client, free ports, and the check that replies are prompt."""
import contextlib
import errno
import itertools
import json
import os
import random
import re
import socket
import statistics
import subprocess

from lib.environment import longer


def ports():
    """Ports below the ephemeral range, in random order, each once; every xdist worker has its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return iter(random.sample(range(10000 + worker, 32000, workers), 22000 // workers - 1))


PORTS = ports()


def free_port():
    """A port that is free for TCP and UDP, over IPv4 and IPv6."""
    for port in PORTS:
        with contextlib.ExitStack() as sockets, contextlib.suppress(OSError):
            for family, kind in itertools.product((socket.AF_INET, socket.AF_INET6),
                                                  (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
                probe = sockets.enter_context(socket.socket(family, kind))
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(("", port))
            return port
    raise RuntimeError("no free port")


def assert_prompt(seconds):
    """Fails if replies were delayed by what takes seconds. On a busy machine all may be slow, and a few very."""
    seconds = sorted(seconds)
    percentile_90 = seconds[len(seconds) * 9 // 10]
    print(f"{len(seconds)} replies: median {statistics.median(seconds) * 1000:.2f} ms, "
          f"90 % within {percentile_90 * 1000:.2f} ms, all within {seconds[-1] * 1000:.2f} ms")
    assert statistics.median(seconds) < 0.25 and percentile_90 < 1 and seconds[-1] < 4


def receive_all(connection):
    parts = []
    while True:
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def query(port, host="127.0.0.1", timeout=5):
    """All bytes that a TCP server sends until it closes."""
    with socket.create_connection((host, port), timeout=longer(timeout)) as connection:
        return receive_all(connection)


DAYTIME = re.compile(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) "
                     rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 1-3]\d "
                     rb"\d\d:\d\d:\d\d \d{4}\r\n")


def is_daytime(reply):
    return DAYTIME.fullmatch(reply) is not None


def serves(port, host="127.0.0.1"):
    try:
        return is_daytime(query(port, host))
    except OSError:
        return False


def refuses(port):
    """Whether a connection is refused at once."""
    with socket.socket() as client:
        client.settimeout(longer(5))
        return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def listening_ports():
    """The TCP ports with a listener in this network namespace."""
    lines = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    return {int(line.split()[3].rpartition(":")[2]) for line in lines.splitlines()}


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=longer(15))


@contextlib.contextmanager
def idle_connections(port, count):
    """Opens count connections that send and read nothing."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(port)) for _ in range(count)]
