"""Shared by the tables for UDP: flooding a server, and the rate that it sustains."""

import contextlib
import os
import socket
import time

import lab
import report

LOSS_MAX = 0.01
SENT_MIN = 0.97
QUEUE_MAX_US = 2000
RATE_FIRST, RATE_LAST, RATE_STEP = 60000, 1500000, 1.3
BISECTIONS = 6
OVERLOAD = 1000000
EASY = 20000
LONE = 1000

NTP_REQUEST = b"\x23" + bytes(39) + b"reply me"

COLUMNS = [
    report.Column("maximum", "max req/s, at most 1 % lost", thousands=True),
    report.Column("overload", "replies/s at overload", thousands=True),
    report.Column("goodput", "share of the max", digits=2),
    report.Column("cpu", "CPU s per million, saturated", digits=2),
    report.Column("cpu_easy", "at 20 k/s", digits=2),
    report.Column("p50", "p50 µs at 1 k/s", digits=1),
    report.Column("p99", "p99 µs", digits=1),
    report.Column("resident", "resident MiB", digits=2),
]


def flood(place, kind, port, rate, seconds):
    return place.run_client(
        "flood", "-i", "client0", "-m", lab.SERVER_MAC, "-d", lab.SERVER_ADDRESS, "-p", port,
        "-r", rate, "-t", seconds, "-k", kind,
        "-o", os.path.join(place.programs, "flood.bpf.o"))


def sustained(place, kind, port, rate):
    """As in daytime_tcp.py; also returns whether the generator was the limit."""
    for observe in (place.observe, place.observe_quietly):
        result = observe(lambda: flood(place, kind, port, rate, 0.3))
        lost = 1 - result["replied"] / result["sent"]
        short = result["sent_rate"] < SENT_MIN * rate
        if lost <= LOSS_MAX and result["p50_us"] < QUEUE_MAX_US and not short:
            return result, True, False
    return result, False, short


def maximum(place, kind, port):
    """The highest rate that the server sustains, and whether the generator was the limit."""
    good, bad, best, short = 0, 0, 0, False
    rate, steps = RATE_FIRST, BISECTIONS
    while steps > 0 and rate < RATE_LAST:
        result, held, limited = sustained(place, kind, port, rate)
        if held:
            good, best = rate, result["reply_rate"]
        else:
            bad, short = rate, limited
        if bad:
            steps -= 1
        rate = (good + bad) / 2 if bad else rate * RATE_STEP
    return best, short or not bad


def await_reply(place, port, request, seconds=15.0):
    """Waits until a UDP server replies."""
    until = time.monotonic() + seconds
    with place.client.entered():
        client = socket.socket(type=socket.SOCK_DGRAM)
    with client:
        client.settimeout(0.2)
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                client.sendto(request, (lab.SERVER_ADDRESS, port))
                if client.recv(100):
                    return
            time.sleep(0.02)
    raise lab.Failure(f"no reply; output: {place.output()}")


def seconds_per_million(result):
    return result["server_seconds"] / max(result["replied"], 1) * 1e6


def measure(place, server, log, kind, port, request):
    """One round of one server."""
    place.start(server.command, server.environment, log)
    await_reply(place, port, request)
    highest, limited = maximum(place, kind, port)
    overload = place.observe_quietly(lambda: flood(place, kind, port, OVERLOAD, 0.6))
    easy = place.observe_quietly(lambda: flood(place, kind, port, EASY, 0.5))
    lone = place.observe_quietly(lambda: flood(place, kind, port, LONE, 1.0))
    return {
        "maximum": highest,
        "overload": overload["steady_rate"],
        "goodput": overload["steady_rate"] / max(highest, 1),
        "cpu": seconds_per_million(overload),
        "cpu_easy": seconds_per_million(easy),
        "p50": lone["p50_us"] or None,
        "p99": lone["p99_us"] or None,
        "resident": place.server_memory()[0],
        "generator_limited": limited,
        "foreign": max(overload["foreign"], easy["foreign"], lone["foreign"]),
    }


def average(results, name, key):
    return report.median(report.values_of(results.get(name, []), key))
