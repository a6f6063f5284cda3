"""clock follow: replies show the state of the followed server."""
import contextlib
import socket
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port, is_daytime
from lib.environment import needs_private, not_instrumented, wait_until
from lib.followed import Followed
from lib.neighbour import nodad
from lib.ntp import wait_for_state
from lib.peers import chronyd, CHRONYD, LIBRARIES, needs_peer
from lib.process import read_back
from lib.udp_client import query_udp, reply_over_udp


@pytest.fixture
def followed():
    with Followed() as server:
        yield server


def start(testbed, port, server, *more):
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow 127.0.0.1:{server.port}", *more)
    wait_until(lambda: ntp.query(port)[0].leap == 0, what="synchronisation")


def test_replies_have_the_fields_of_a_server_on_this_host(testbed, port, followed):
    """A server on this host is taken for the program that keeps this clock: same stratum, same source."""
    followed.first, followed.root_delay = 0x64, 0x1234
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow 127.0.0.1:{followed.port}")
    _, reply = wait_for_state(port, 1, 3, bytes([192, 0, 2, 1]))
    assert reply.root_delay == 0x1234 and reply.root_dispersion >= 0x200
    followed.first = 0xa4
    wait_for_state(port, 2, 3, bytes([192, 0, 2, 1]))


@pytest.mark.parametrize("changes, reference", [
    ({"first": 0xe4}, b"INIT"), ({"stratum": 16}, b"INIT"), ({"stratum": 0}, b"INIT"),
    ({"root_delay": 0x30000}, b"INIT"),
    ({"root_dispersion": 0x10001}, b"INIT"), ({"offset": 1.0}, b"STEP"),
    ({"offset": -3600.0}, b"STEP")],
    ids=["leap", "stratum 16", "stratum 0", "root delay", "root dispersion", "ahead", "behind"])
def test_an_unusable_server_unsynchronises_the_clock(testbed, port, followed, changes, reference):
    """Within a second; and the clock is synchronised again when the server has recovered."""
    start(testbed, port, followed)
    before = {name: getattr(followed, name) for name in changes}
    for name, value in changes.items():
        setattr(followed, name, value)
    seconds, _ = wait_for_state(port, 3, 0, reference)
    print(f"{seconds:.2f} s until replies had leap 3")
    for name, value in before.items():
        setattr(followed, name, value)
    wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))


def test_a_server_without_valid_replies_is_lost_after_32_seconds(testbed):
    """As timeserver.conf(5) says; what is no reply to a request counts as none."""
    changes = [{"silent": True}, {"origin": 12345}, {"origin": 0}, {"first": 0x23}]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Followed()) for _ in changes]
        ports = [free_port() for _ in changes]
        for number, (server, port) in enumerate(zip(servers, ports)):
            testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow 127.0.0.1:{server.port}",
                          "-o", f"pidfile {testbed.dir}/{number}.pid", pidfile=False)
        for port in ports:
            wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))
        began = time.monotonic()
        for server, change in zip(servers, changes):
            vars(server).update(change)
        for port in ports:
            wait_until(lambda: ntp.query(port)[0].leap == 3, 60, what="the loss")
            assert time.monotonic() - began > 20
        print(f"{time.monotonic() - began:.2f} s until all replies had leap 3")


def test_an_unusable_server_is_noticed_within_a_second(testbed, port, followed):
    """The best of three, because the machine is busy with other tests."""
    start(testbed, port, followed)
    best = []
    for _ in range(3):
        followed.stratum = 16
        best.append(wait_for_state(port, 3, 0, b"INIT")[0])
        followed.stratum = 3
        wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))
    assert min(best) < 1


def test_a_round_trip_of_more_than_a_second_is_named(testbed, port, followed):
    followed.delay = 1.2
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow 127.0.0.1:{followed.port}")
    wait_until(lambda: testbed.status()["clock"] == f"not synchronised: 127.0.0.1:{followed.port} replies"
               " after more than a second", what="the reason")
    followed.delay = 0.0
    wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))


def test_require_sync_silences_daytime_when_the_clock_is_lost(testbed, followed):
    ports = [free_port(), free_port()]
    testbed.start("-o", f"listen ntp {ports[0]}", "-o", f"listen daytime/udp {ports[1]}",
                  "-o", "require-sync", "-o", "ratelimit off",
                  "-o", f"clock follow 127.0.0.1:{followed.port}")
    wait_for_state(ports[0], 0, 3, bytes([192, 0, 2, 1]))
    assert is_daytime(reply_over_udp(ports[1]))
    followed.stratum = 16
    wait_for_state(ports[0], 3, 0, b"INIT")
    assert query_udp(ports[1]) is None


def test_a_server_can_be_followed_by_name(testbed, port, followed):
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow localhost:{followed.port}")
    wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))


def test_a_reload_keeps_the_clock_state(testbed, port, followed):
    """While the source is the same, no reply says leap 3."""
    start(testbed, port, followed)
    for _ in range(5):
        assert testbed.signal("reload").code == 0
        assert ntp.query(port)[0].leap == 0


@needs_private("addresses of this host")
@pytest.mark.parametrize("host", ["10.9.0.2", "fd09::2"])
def test_a_server_on_any_address_of_this_host_is_on_this_host(testbed, port, host):
    """10.9.0.2 is the second address of its network, so the kernel would not send from it."""
    for address in ("10.9.0.1/24", "10.9.0.2/24", "fd09::2/64"):
        assert testbed.run("ip", "address", "replace", address, "dev", "lo", *nodad(address).split()).code == 0
    try:
        with Followed(host) as server:
            testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow {f'[{host}]' if ':' in host else host}:{server.port}")
            wait_for_state(port, 0, 3, bytes([192, 0, 2, 1]))
    finally:
        for address in ("10.9.0.2/24", "10.9.0.1/24", "fd09::2/64"):
            testbed.run("ip", "address", "delete", address, "dev", "lo")


@pytest.mark.parametrize("host, listen, own", [
    ("127.0.0.1", "*", True), ("[::1]", "*", True), ("localhost", "*", True), ("127.9.9.9", "*", True),
    ("0.0.0.0", "127.0.0.1", True), ("localhost", "127.0.0.1", True), ("127.0.0.2", "127.0.0.1", False),
    ("192.0.2.1", "*", False), (socket.gethostname(), "*", True)])
def test_a_daemon_that_would_follow_itself_is_named(testbed, port, host, listen, own):
    """By --test, with the line; a name is looked up."""
    if own and "." not in host and "[" not in host:
        try:
            socket.gethostbyname(host)
        except OSError:
            pytest.skip(f"the name {host} is not known here")
    config = testbed.config(f"clock follow {host}:{port}\nlisten ntp {listen}:{port}\n")
    result = testbed.server("--test", "-c", config)
    error = (f"{config}:1: clock: {host}:{port} is this daemon itself, by listen ntp {listen}:{port}:"
             " expected another server\n")
    assert (result.code, result.err) == ((78, error) if own else (0, ""))


@needs_peer(CHRONYD)
@not_instrumented("the pace")
@needs_private("a /run of its own")
@pytest.mark.parametrize("limit", ["ratelimit", "ratelimit interval 1 burst 8"])
def test_the_clock_stays_synchronised_beside_a_chronyd_that_limits_its_rate(testbed, port, limit):
    """At each of 60 looks in 15 s; and when it is killed, the next requests show it."""
    source = free_port()
    popen, _, err = testbed.popen(chronyd(testbed, "local stratum 5", f"port {source}", "allow", limit),
                                  env=LIBRARIES)
    wait_until(lambda: "starting" in read_back(err), what="chronyd to start")
    testbed.start("-o", f"listen ntp {port}", "-o", f"clock follow 127.0.0.1:{source}")
    wait_until(lambda: ntp.query(port)[0].leap == 0, what="synchronisation")
    looks = []
    for _ in range(60):
        looks.append(ntp.query(port)[0])
        time.sleep(0.25)
    popen.kill()
    popen.wait()
    began = time.monotonic()
    assert [look.leap for look in looks] == [0] * 60
    assert max(look.root_dispersion for look in looks) < 0.01 * 65536
    wait_until(lambda: ntp.query(port)[0].leap == 3, 20, what="the loss")
    print(f"{time.monotonic() - began:.2f} s until replies had leap 3")
