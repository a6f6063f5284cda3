"""Requests cause no allocation."""
import contextlib
import os
import pathlib
import socket

import pytest

from lib.daytime_client import free_port, is_daytime, query
from lib.environment import compile_shim, INSTRUMENTED, wait_until
from lib.testbed import directives

SHIM = pathlib.Path(__file__).with_name("lib") / "shim_allocations.c"
REQUEST = b"\x23" + bytes(39) + b"12345678"


def gets_reply(client, request, port):
    client.sendto(request, ("127.0.0.1", port))
    with contextlib.suppress(TimeoutError):
        return client.recv(100)
    return None


def query_every_protocol(ports, rounds):
    """Sends requests of every protocol in turn. A flood of another test may push a datagram out of the
    kernel's backlog, which all network namespaces share."""
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        for _ in range(rounds):
            for name, request in [("ntp", REQUEST), ("daytime/udp", b""), ("time/udp", b"")]:
                assert any(gets_reply(client, request, ports[name]) for _ in range(10))
            assert is_daytime(query(ports["daytime/tcp"])) and len(query(ports["time/tcp"])) == 4


@pytest.mark.skipif(INSTRUMENTED, reason="instruments have an allocator of their own")
@pytest.mark.skipif(not os.access("/usr/bin/cc", os.X_OK), reason="needs cc")
def test_no_request_causes_an_allocation(testbed):
    library, counter = testbed.root / "shim.so", testbed.root / "shim.so.state"
    compile_shim(library, SHIM)
    counter.write_bytes(bytes(24))
    ports = {name: free_port() for name in
             ["ntp", "daytime/udp", "time/udp", "daytime/tcp", "time/tcp"]}
    lines = [f"listen {name} {port}" for name, port in ports.items()]
    options = directives(*lines, "clock local", "ratelimit off")
    daemon = testbed.start(*options, env={"LD_PRELOAD": str(library)})

    def allocations():
        return int.from_bytes(counter.read_bytes()[:8], "little")

    wait_until(lambda: allocations() > 0, what="the shim to count")
    query_every_protocol(ports, 20)  # the C library allocates at the first request of each worker
    before = allocations()
    query_every_protocol(ports, 2000)
    assert allocations() == before, f"{allocations() - before} allocations for 10,000 requests"
    assert daemon.alive()
    print(f"{before} allocations until the first replies, 0 for 10,000 more requests")
