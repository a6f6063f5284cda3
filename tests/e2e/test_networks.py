"""Requests over links to other hosts: broadcasts, own networks and their limits, routing tables."""
import contextlib
import json
import socket
import struct
import subprocess
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port
from lib.environment import fewer, longer, needs_private, wait_until
from lib.neighbour import ip, neighbour, set_network_option
from lib.socket_activation import activate
from lib.testbed import directives
from lib.udp_client import forged_datagram

pytestmark = needs_private("a link to another host")
SERVICES = ["daytime/udp", "time/udp", "ntp"]
GROUPS = ["10.9.0.255", "255.255.255.255", "224.0.0.1", "ff02::1"]


@pytest.fixture
def lan():
    """Our addresses and those of the neighbour end with 1 and 2."""
    with neighbour() as lan:
        lan.address("10.9.0.1/24", "fd00:9::1/64", far=["10.9.0.2/24", "fd00:9::2/64"])
        yield lan


def figures(testbed):
    return json.loads(testbed.server("--signal", "status", "--json").out)


def request_of(service):
    return ntp.request() if service == "ntp" else b""


def ask(client, host, port, service, receiver=None):
    """Sends a request each second, since datagrams can be lost, until the reply comes to client, or to
    receiver. Returns the address it came from."""
    receiver = receiver or client
    receiver.settimeout(1)
    for _ in range(longer(10)):
        client.sendto(request_of(service), (host, port))
        with contextlib.suppress(TimeoutError):
            return receiver.recvfrom(2048)[1][0]
    raise TimeoutError(f"no reply of {service} from {host} port {port}")


def expect_silence(testbed, lan, ports, groups=GROUPS):
    """Requests to groups get no reply, and those to one address do."""
    clients = []
    with contextlib.ExitStack() as stack:
        for group in groups:
            for service, port in ports.items():
                own = "fd00:9::2" if ":" in group else "10.9.0.2"
                client = stack.enter_context(lan.udp_socket(own))
                client.sendto(request_of(service), (group, port))
                clients.append((group, service, client))
        wait_until(lambda: figures(testbed)["dropped"]["loop"] >= len(clients),
                   what=f"{len(clients)} drops; there are {figures(testbed)['dropped']}")
        for group, service, client in clients:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                pytest.fail(f"a request to {group} by {service} got {client.recv(2048)}")
            host = "fd00:9::1" if ":" in group else "10.9.0.1"
            assert ask(client, host, ports[service], service) == host
    wait_until(lambda: figures(testbed)["replies"] >= len(clients), what="the last reply to be counted")


@pytest.mark.parametrize("workers", [1, 8])
def test_a_request_to_a_broadcast_or_multicast_address_gets_no_reply(testbed, lan, workers):
    """With eight workers the kernel gives each of them a copy."""
    ports = {service: free_port() for service in SERVICES}
    testbed.start(*directives(*(f"listen {service} {port}" for service, port in ports.items()),
                              "clock local", f"workers {workers}"))
    expect_silence(testbed, lan, ports)


def test_nor_on_an_inherited_socket_of_both_families(testbed, lan, port):
    """The kernel gives it no IPv4 multicast."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as inherited:
        inherited.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        inherited.bind(("::", port))
        server = activate(testbed, [inherited], "-n", "-o", "clock local", names="ntp")
        wait_until(lambda: testbed.signal("status").code == 0 and server.alive())
        expect_silence(testbed, lan, {"ntp": port}, [group for group in GROUPS if group != "224.0.0.1"])


@pytest.mark.parametrize("address, code", [
    ("10.9.0.255", 1), ("255.255.255.255", 78), ("224.0.1.1", 78), ("[ff02::101]", 78)])
def test_a_listener_at_such_an_address_is_an_error(testbed, lan, port, address, code):
    """Only the kernel knows that the first one is a broadcast address."""
    failed = testbed.server("-n", "-o", f"listen ntp {address}:{port}", "-o", "clock local")
    assert failed.code == code and failed.out == ""
    assert failed.err in (
        f"timeserver: cannot listen on udp {address}:{port}: Cannot assign requested address\n",
        f"option:1: listen: '{address}:{port}': expected the address of one host, not a broadcast or"
        " multicast address\n")


@pytest.mark.parametrize("service", SERVICES)
def test_a_reply_over_a_link_comes_from_the_address_of_the_request(testbed, lan, port, service):
    """Over lo the kernel replies from there in any case; over a link from the first address that it finds."""
    lan.address("10.9.0.3/24", "10.8.0.1/32", "fd00:9::3/64", "fd00:8::1/128")
    with lan.inside():
        ip(f"route add 10.8.0.0/16 dev {lan.far}", f"route add fd00:8::/32 dev {lan.far}")
    testbed.start(*directives(f"listen {service} {port}", "clock local", "ratelimit off"))
    for host in ["10.9.0.1", "10.9.0.3", "10.8.0.1", "fd00:9::1", "fd00:9::3", "fd00:8::1"]:
        with lan.udp_socket("fd00:9::2" if ":" in host else "10.9.0.2") as client:
            assert ask(client, host, port, service) == host


def test_a_request_to_an_anycast_address_gets_its_reply_from_there(testbed, lan, port):
    """The address of all routers of a network: RFC 4291, section 2.6.1."""
    set_network_option(f"ipv6/conf/{lan.near}/forwarding", 1)
    testbed.start(*directives(f"listen ntp {port}", "clock local"))
    with lan.udp_socket("fd00:9::2") as client:
        assert ask(client, "fd00:9::", port, "ntp") == "fd00:9::"


DEVICES = 500


def addresses_of(prefix):
    """250 addresses of an IPv4 /24, or 500 of an IPv6 /64."""
    if ":" in prefix:
        return [f"{prefix}{number:x}" for number in range(0x100, 0x100 + DEVICES)]
    return [f"{prefix}{number}" for number in range(2, 2 + DEVICES // 2)]


@pytest.mark.flood
@pytest.mark.parametrize("prefixes", [("10.9.0.", "fd00:9::"), ("198.51.100.", "2001:db8:9::")],
                         ids=["private", "connected"])
@pytest.mark.parametrize("line", ["clock local", "ratelimit interval 1 burst 8"],
                         ids=["default", "ratelimit"])
def test_500_devices_of_a_network_that_ask_at_once_all_get_replies(testbed, prefixes, line):
    """As when the power comes back: by NTP, Time and Daytime, within two seconds, over IPv4 and IPv6. Two
    devices share each IPv4 address."""
    ports = {service: free_port() for service in SERVICES}
    expected = {(prefix, service): DEVICES for prefix in prefixes for service in SERVICES}
    found = dict.fromkeys(expected, 0)
    with contextlib.ExitStack() as stack:
        lan = stack.enter_context(neighbour())
        four, six = prefixes
        lan.address(f"{four}1/24", f"{six}1/64", far=[
            f"{six}ffff:2/64", *(f"{address}/24" for address in addresses_of(four)),
            *(f"{address}/64" for address in addresses_of(six))])
        lan.learn([f"{four}2", f"{six}ffff:2"], [f"{four}1", f"{six}1"])
        ip(f"route add {four}0/25 via {four}2 dev {lan.near} onlink",
           f"route add {four}128/25 via {four}2 dev {lan.near} onlink",
           f"route add {six}/112 via {six}ffff:2 dev {lan.near}")
        testbed.start(*directives(*(f"listen {service} {port}" for service, port in ports.items()),
                                  *{"clock local", line}))
        devices = [(prefix, stack.enter_context(lan.udp_socket(address)))
                   for prefix in prefixes for address in addresses_of(prefix) * (1 + ("." in prefix))]
        began = time.monotonic()
        for number, (prefix, device) in enumerate(devices):
            while time.monotonic() - began < number * 1.8 / len(devices):
                time.sleep(0.001)
            for service, port in ports.items():
                device.sendto(request_of(service), (f"{prefix}1", port))
        seconds = time.monotonic() - began
        until = time.monotonic() + longer(5)
        for prefix, device in devices:
            with contextlib.suppress(TimeoutError, BlockingIOError):
                for _ in SERVICES:
                    device.settimeout(max(until - time.monotonic(), 0))
                    port = device.recvfrom(2048)[1][1]
                    found[prefix, next(name for name in SERVICES if ports[name] == port)] += 1
    assert found == expected, f"in {seconds:.1f} s"
    print(f"{len(devices)} devices asked by 3 protocols in {seconds:.1f} s")
    assert testbed.status()["limited"] == "0"


def flood(client, host, port, count):
    """Sends requests in small groups, so that the kernel's queue has room for all."""
    for number in range(count):
        client.sendto(b"", (host, port))
        if number % 50 == 0:
            time.sleep(0.002)


def test_limits_of_an_own_network_are_counted_and_logged(testbed, lan, port):
    """One line by the timer, not one for each request. An address that an interface gets later makes its
    network an own one, too."""
    logged = "requests of own networks over their limit: "
    server = testbed.foreground("-n", *directives(f"listen daytime/udp {port}"))
    wait_until(lambda: testbed.signal("status").code == 0)

    def own_limited():
        return figures(testbed)["own_limited"]
    with lan.udp_socket("10.9.0.2") as client:
        flood(client, "10.9.0.1", port, 200)
        limited = wait_until(own_limited)
        wait_until(lambda: logged in server.log(), 20, "a log line")
        flood(client, "10.9.0.1", port, 200)
        wait_until(lambda: own_limited() > limited)
    limited = own_limited()
    assert 100 < limited == figures(testbed)["dropped"]["limited"]
    lan.address("198.51.100.1/24", far=["198.51.100.2/24"])
    with lan.udp_socket("198.51.100.2") as client:
        def is_own():
            flood(client, "198.51.100.1", port, 50)
            return own_limited() > limited
        wait_until(is_own, 20, "the new network")
    assert server.log().count(logged) == 1


def forge(sender, port, seconds, rate):
    """Sends requests from random addresses of other networks. Returns the number, and the seconds."""
    began, count = time.monotonic(), 0
    while (spent := time.monotonic() - began) < seconds:
        while count < spent * rate:
            source = socket.inet_ntoa(struct.pack("!I", 0x0b000000 + (count * 2654435761 & 0xffffff)))
            sender.sendto(forged_datagram((source, 5000), ("10.9.0.1", port)), ("10.9.0.1", 0))
            count += 1
        time.sleep(0.001)
    return count, time.monotonic() - began


@pytest.mark.parametrize("workers", [1, 8])
def test_a_ceiling_for_all_networks_together(testbed, lan, workers):
    """A flood of Daytime and Time from random addresses. A client of an own network is served meanwhile,
    and one log line tells of the ceiling."""
    ports = {service: free_port() for service in ("daytime/udp", "time/udp")}
    ip(f"route add default via 10.9.0.2 dev {lan.near}")
    server = testbed.foreground("-n", *directives(
        *(f"listen {service} {port}" for service, port in ports.items()), "ratelimit-ceiling 100",
        f"workers {workers}"))
    wait_until(lambda: testbed.signal("status").code == 0)
    with lan.inside(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender, \
            lan.udp_socket("10.9.0.2") as client:
        began, sent, own = time.monotonic(), 0, 0
        for number in range(6):
            service = list(ports)[number % 2]
            sent += forge(sender, ports[service], 0.5, fewer(2000))[0]
            own += ask(client, "10.9.0.1", ports[service], service) == "10.9.0.1"
        wait_until(lambda: sum(one["requests"] for one in figures(testbed)["protocols"].values()) >= sent)
    seconds, found = time.monotonic() - began, figures(testbed)
    print(f"{sent} requests from random addresses, {found['replies']} replies in {seconds:.1f} s")
    assert own == 6 and found["dropped"]["ceiling"] > sent / 4
    assert 100 < found["replies"] <= 6 + 100 + 100 * seconds + workers
    assert found["dropped"]["ceiling"] + found["replies"] >= sent
    line = "requests of Daytime and Time over UDP over their ceiling: "
    wait_until(lambda: line in server.log(), 20, "a log line")
    assert server.log().count(line) == 1 and found["own_limited"] == 0


@pytest.mark.parametrize("client, far", [("10.7.7.7", "10.9.1.2"), ("fd00:7::7", "fd00:9:1::2")])
@pytest.mark.parametrize("listen, rule, own", [
    ("*", "oif {wan}", True), ("*", None, False), ("{near}", "oif {wan}", False), ("{near}", "from {near}", True)],
    ids=["rule for interface", "no rule", "one address, rule for interface", "one address, rule for it"])
def test_the_interface_of_a_reply(testbed, lan, port, client, far, listen, rule, own):
    """The main table has another interface for the network of the client. If the interface of the request
    has a routing table of its own, the reply leaves by that interface, else by the other. From a socket
    on one address it goes by the routing table for that address."""
    six = ":" in client
    options, length = (["-6"], 128) if six else ([], 32)
    with neighbour("wan") as wan:
        wan.address("10.9.1.1/24", "fd00:9:1::1/64",
                    far=["10.9.1.2/24", "fd00:9:1::2/64", f"{client}/{length}"])
        lan.address(far=[f"{client}/{length}"])
        near = "fd00:9:1::1" if six else "10.9.1.1"
        ip(f"route add {client} via {'fd00:9::2' if six else '10.9.0.2'} dev {lan.near}", options=options)
        if rule:
            rule = rule.format(wan=wan.near, near=near)
            ip(f"rule add {rule} table 100",
               f"route add {client} via {far} dev {wan.near} table 100", options=options)
        try:
            host = listen.format(near=f"[{near}]" if six else near)
            testbed.start(*directives(f"listen ntp {host}:{port}", "clock local"))
            with wan.udp_socket(client) as asked, lan.udp_socket() if not six else \
                    lan.udp_socket(family=socket.AF_INET6) as other:
                other.bind((client, asked.getsockname()[1]))
                with wan.inside():
                    ip(f"route add {near} dev {wan.far} src {client} metric 1", options=options)
                assert ask(asked, near, port, "ntp", asked if own else other) == near
        finally:
            if rule:
                ip(f"rule del {rule} table 100", options=options)


@pytest.fixture
def vrf():
    """A VRF of ours, if this kernel has it. Sockets outside of it get its datagrams."""
    made = subprocess.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"], capture_output=True)
    if made.returncode != 0:
        pytest.skip("this kernel has no VRF")
    set_network_option("ipv4/udp_l3mdev_accept", 1)
    ip("link set red up")
    yield "red"
    ip("link del red")
    set_network_option("ipv4/udp_l3mdev_accept", 0)


@pytest.mark.parametrize("service", SERVICES)
def test_replies_to_a_vrf_and_to_an_equal_network_outside_of_it(testbed, port, vrf, service):
    """Two links with the same addresses, one of them in the VRF."""
    with neighbour("red") as inside, neighbour("blue") as outside:
        ip(f"link set {inside.near} master {vrf}")
        for link in (inside, outside):
            link.address("10.9.0.1/24", "fd00:9::1/64", far=["10.9.0.2/24", "fd00:9::2/64"])
        testbed.start(*directives(f"listen {service} {port}", "clock local"))
        for link in (inside, outside):
            for near, far in [("10.9.0.1", "10.9.0.2"), ("fd00:9::1", "fd00:9::2")]:
                with link.udp_socket(far) as client:
                    assert ask(client, near, port, service) == near
    assert figures(testbed)["dropped"]["failed"] == 0
