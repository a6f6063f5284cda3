"""The samples of /metrics as a dictionary."""
import re

from lib.http_client import fetch

SERVICES = ["daytime/tcp", "daytime/udp", "time/tcp", "time/udp", "ntp/udp", "http/tcp"]
REASONS = ["denied", "limited", "ceiling", "loop", "invalid", "unsynchronised", "failed"]
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')


def series(name, **labels):
    return name, frozenset(labels.items())


def metrics(port):
    """Every sample of /metrics by its series; a duplicate series is an error."""
    reply = fetch(port, "/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for line in reply.body.decode().splitlines():
        if not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            key = series(name, **dict(re.findall(r'([a-z]+)="([^"]*)"', labels or "")))
            assert key not in found, line
            found[key] = float(value)
    return found


def value(found, name, **labels):
    return found[series(f"timeserver_{name}", **labels)]
