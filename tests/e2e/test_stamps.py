"""Kernels without time stamps of datagrams: the clock is read instead."""
import os
import pathlib
import signal
import time

import pytest

from lib import ntp
from lib.environment import BITS, compile_shim, GROUP, longer, needs_program, not_instrumented, USER, wait_until
from lib.socket_activation import activate
from lib.testbed import directives

SHIM = pathlib.Path(__file__).with_name("lib") / "shim_stamps.c"

# setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS)
RECEIVE_STAMPS = ["ENOPROTOOPT", "setsockopt:1=1:2=35"]

needs_64_bits = pytest.mark.skipif(BITS == 32, reason="with 32 bits the option is in the memory of socketcall(2)")
pytestmark = [not_instrumented("calls"), needs_program("cc")]


def unstamped(testbed):
    status = testbed.status()
    return {word: int(status.get(f"unstamped {word}", "0")) for word in ("requests", "replies")}


def test_usually_every_request_is_stamped(testbed, port):
    testbed.start(*directives(f"listen ntp {port}", "clock local"))
    for _ in range(20):
        ntp.query(port)
    assert unstamped(testbed) == {"requests": 0, "replies": 0}


def assert_stamped_by_clock(testbed, daemon, port):
    """The clock is read when a request is: that is counted, and the log says it once."""
    wait_until(lambda: "serving" in daemon.log(), what="the start")
    began = ntp.stamp(time.time())
    for _ in range(20):
        found = ntp.query(port)[0]
        assert began < found.receive < found.transmit, found
    assert unstamped(testbed) == {"requests": 20, "replies": 0}
    assert daemon.log().count("the kernel gives no receive stamps: receive times are less exact: ") == 1


@needs_64_bits
def test_a_kernel_without_receive_stamps(testbed, port, refusing):
    daemon = testbed.foreground("-n", *directives("clock local", "workers 2", f"listen ntp {port}"),
                                **refusing(*RECEIVE_STAMPS))
    assert_stamped_by_clock(testbed, daemon, port)


@needs_64_bits
def test_an_inherited_socket_without_receive_stamps(testbed, port, refusing):
    def start(*words, before, **more):
        return testbed.foreground(*words, before=[*refusing(*RECEIVE_STAMPS)["before"], *before], **more)
    with ntp.udp_socket(port=port) as held:
        daemon = activate(testbed, [held], *directives("clock local"), start=start)
        assert_stamped_by_clock(testbed, daemon, port)


def test_a_kernel_without_transmit_stamps(testbed, port):
    """No reply is lost, and the kernel is not asked again. Batches have their sample at either end."""
    library, refusals = testbed.root / "shim.so", testbed.config("", "refusals")
    os.chown(refusals, USER, GROUP)
    compile_shim(library, SHIM)
    daemon = testbed.foreground("-n", *directives("clock local", "workers 1", f"listen ntp {port}"),
                                env={"LD_PRELOAD": str(library), "REFUSALS": str(refusals)})
    wait_until(lambda: "serving" in daemon.log(), what="the start")
    with ntp.udp_socket(timeout=longer(5)) as client:
        for _ in range(20):
            daemon.signal(signal.SIGSTOP)  # so that the next requests are one batch
            wait_until(lambda: daemon.status("State").startswith("T"), what="a stop")
            for _ in range(10):
                client.sendto(ntp.request(), ("127.0.0.1", port))
            daemon.signal(signal.SIGCONT)
            for _ in range(10):
                found = ntp.parse(client.recv(100))
                assert 0 < found.receive <= found.transmit
    assert refusals.read_text() == "x"
    assert unstamped(testbed) == {"requests": 0, "replies": 200}
    assert daemon.log().count("the kernel gives no transmit stamps: transmit times are less exact") == 1
