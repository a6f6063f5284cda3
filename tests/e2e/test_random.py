"""Early at boot, before the kernel has random numbers: nothing waits for them."""
import os
import pathlib

import pytest

from lib import ntp
from lib.daytime_client import json_lines
from lib.environment import compile_shim, INSTRUMENTED, wait_until
from lib.fake_servers import ntp_server
from lib.testbed import directives

SHIM = pathlib.Path(__file__).with_name("lib") / "shim_random.c"

pytestmark = [
    pytest.mark.skipif(INSTRUMENTED, reason="instruments do not load behind a shim"),
    pytest.mark.skipif(not os.access("/usr/bin/cc", os.X_OK), reason="needs cc")]


@pytest.fixture
def early(testbed):
    """The environment of a program early at boot."""
    compile_shim(testbed.root / "shim.so", SHIM)
    return {"LD_PRELOAD": str(testbed.root / "shim.so")}


def nonces_of(server):
    return [data[40:48] for data, _ in server.requests]


def test_the_client_gets_replies_to_unguessable_requests(testbed, early):
    with ntp_server() as server:
        for _ in range(2):
            result = testbed.client("-j", "-n", "10", "-i", "0.001", f"ntp://{server.name}", env=early)
            [sample] = json_lines(result.out)
            assert result.code == 0 and sample["samples"]["replies"] == 10
    nonces = nonces_of(server)
    assert len(set(nonces)) == len(nonces) == 20
    for byte in range(8):
        assert len({nonce[byte] for nonce in nonces}) > 5, "each byte is random"


def test_a_daemon_serves_and_follows(testbed, port, early):
    with ntp_server() as server:
        testbed.start(*directives(f"listen ntp {port}", f"clock follow {server.name}"), env=early)
        wait_until(lambda: ntp.query(port)[0].stratum == 2, what="replies of the server")
        assert len(set(nonces_of(server))) == len(server.requests) > 0
