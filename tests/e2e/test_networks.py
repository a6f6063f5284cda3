"""Requests over links to other hosts: broadcasts and routing tables."""
import contextlib
import json
import socket
import subprocess
import time

import pytest

from lib import ntp
from lib.daytime_client import free_port
from lib.environment import longer, needs_private, wait_until
from lib.neighbour import ip, neighbour, set_network_option
from lib.socket_activation import activate
from lib.testbed import directives

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


def ask(client, host, port, service):
    """Sends a request and waits for the reply. Returns the address it came from."""
    client.settimeout(longer(5))
    client.sendto(request_of(service), (host, port))
    return client.recvfrom(2048)[1][0]


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
    assert figures(testbed)["replies"] == len(clients)


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
    """The kernel knows the first one."""
    failed = testbed.server("-n", "-o", f"listen ntp {address}:{port}", "-o", "clock local")
    assert failed.code == code and failed.out == ""
    assert failed.err in (
        f"timeserver: cannot listen on udp {address}:{port}: Cannot assign requested address\n",
        f"option:1: listen: '{address}:{port}': expected the address of one host, not a broadcast or"
        " multicast address\n")


def test_a_request_to_an_anycast_address_gets_its_reply_from_there(testbed, lan, port):
    """The address of all routers of a network: RFC 4291, section 2.6.1."""
    set_network_option(f"ipv6/conf/{lan.near}/forwarding", 1)
    testbed.start(*directives(f"listen ntp {port}", "clock local"))
    with lan.udp_socket("fd00:9::2") as client:
        assert ask(client, "fd00:9::", port, "ntp") == "fd00:9::"


@pytest.mark.parametrize("client, far", [("10.7.7.7", "10.9.1.2"), ("fd00:7::7", "fd00:9:1::2")])
@pytest.mark.parametrize("rule", [True, False], ids=["own table", "main table"])
def test_the_interface_of_a_reply(testbed, lan, port, client, far, rule):
    """A network that is reached by another interface in the main table. With a routing table of its own
    for the interface of the request the reply leaves by that, without by the other one."""
    six = ":" in client
    options, length = (["-6"], 128) if six else ([], 32)
    with neighbour("wan") as wan:
        wan.address("10.9.1.1/24", "fd00:9:1::1/64",
                    far=["10.9.1.2/24", "fd00:9:1::2/64", f"{client}/{length}"])
        lan.address(far=[f"{client}/{length}"])
        near = "fd00:9:1::1" if six else "10.9.1.1"
        ip(f"route add {client} via {'fd00:9::2' if six else '10.9.0.2'} dev {lan.near}", options=options)
        if rule:
            ip(f"rule add oif {wan.near} table 100",
               f"route add {client} via {far} dev {wan.near} table 100", options=options)
        try:
            testbed.start(*directives(f"listen ntp {port}", "clock local"))
            with wan.udp_socket(client) as asked, lan.udp_socket() if not six else \
                    lan.udp_socket(family=socket.AF_INET6) as other:
                other.bind((client, asked.getsockname()[1]))
                with wan.inside():
                    ip(f"route add {near} dev {wan.far} src {client} metric 1", options=options)
                asked.sendto(ntp.request(), (near, port))
                receiver = asked if rule else other
                receiver.settimeout(longer(5))
                assert receiver.recvfrom(100)[1][0] == near
        finally:
            if rule:
                ip(f"rule del oif {wan.near} table 100", options=options)


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
