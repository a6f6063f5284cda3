"""timeclient and link-local addresses, on a link to another network namespace."""
import socket

import pytest

from lib.daytime_client import json_lines
from lib.environment import needs_private
from lib.fake_servers import ntp_server
from lib.isolate import mounted, MS_BIND
from lib.neighbour import neighbour
from lib.testbed import directives

pytestmark = [pytest.mark.usefixtures("only_the_client"), needs_private("a network of two")]

HERE, THERE = "fe80::2", "fe80::1"
LINES = ["listen ntp *:123", "listen daytime/tcp *:5050", "listen time/udp *:37", "clock local"]


@pytest.fixture
def link(testbed):
    """The interface zone0, at whose other end a timeserver serves at fe80::1. Gives its index."""
    with neighbour("zone") as other:
        other.address(f"{HERE}/64", far=[f"{THERE}/64"])
        with other.inside():
            testbed.start(*directives(*LINES))
        yield str(socket.if_nametoindex("zone0"))


@pytest.mark.parametrize("target", [
    "ntp://[fe80::1%zone0]", "ntp://[fe80::1%INDEX]", "ntp://[fe80::1%25zone0]", "ntp://[fe80::1%25INDEX]:123",
    "NTP://[FE80::1%25zone0]/", "ntp://fe80::1%zone0", "Time+UDP://[fe80::1%zone0]:37/", "fe80::1%zone0",
    "[fe80::1%INDEX]:5050", "daytime://[fe80::1%25zone0]:5050/"])
def test_every_form_of_a_zone(testbed, link, target):
    [sample] = json_lines(testbed.client("-j", "-w", "10", target.replace("INDEX", link), timeout=15).out)
    assert sample["ok"] and "rejected" not in sample, sample
    assert sample["address"] == "fe80::1%zone0"


def test_the_address_of_this_host(testbed, link):
    """It is reached by the loopback interface, but has the zone of its own interface."""
    with ntp_server(host="::") as server:
        [sample] = json_lines(testbed.client("-j", f"ntp://[{HERE}%zone0]:{server.port}").out)
    assert sample["ok"] and sample["address"] == f"{HERE}%zone0", sample


@pytest.mark.parametrize("target, problem", [
    ("ntp://[fe80::1]", "link-local address without a zone: expected the interface after it, such as fe80::1%eth0"),
    ("fe80::1", "link-local address without a zone: expected the interface after it, such as fe80::1%eth0"),
    ("ntp://[fe80::1%zone9]", "no interface zone9"), ("ntp://[fe80::1%4711]", "no interface 4711"),
    ("fe80::1%lo:13", "an IPv6 address needs brackets before a port, such as [fe80::1%eth0]:13"),
    ("ntp://[2001:db8::1%lo]", "invalid host: only a link-local address has a zone")])
def test_zones_that_cannot_be_used(testbed, target, problem):
    """An error before anything is sent."""
    assert tuple(testbed.client(target)) == (
        2, "", f"timeclient: target '{target}': {problem}\nTry 'timeclient --help'.\n")


@pytest.mark.parametrize("more, code", [("", 1), ("127.0.0.1 lab.example\n", 0)])
def test_a_name_for_an_address_without_zone(testbed, port, more, code):
    """Another address of the name is used."""
    hosts = testbed.config(f"fe80::1 lab.example\n{more}", "hosts")
    testbed.start(*directives(f"listen ntp {port}", "clock local"))
    with mounted(hosts, "/etc/hosts", flags=MS_BIND):
        result = testbed.client("-j", "-n", "2", "-i", "0.01", f"ntp://lab.example:{port}")
    [sample] = json_lines(result.out)
    assert result.code == code and sample.get("error") == (None if code == 0 else "link-local address without a zone")
    assert sample.get("address") == (None if code else "127.0.0.1") and sample["samples"]["queries"] == 2
