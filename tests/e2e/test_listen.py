"""Addresses that this machine does not have yet."""
import pytest

from lib import ntp
from lib.control import reload, start_with_file
from lib.daytime_client import free_port, serves
from lib.environment import needs_private, wait_until
from lib.neighbour import ip, neighbour
from lib.web_process import serves_http


def warning(protocol, address):
    return f"listen {protocol} {address}: this machine does not have the address (yet)"


@pytest.fixture(params=["198.51.100.7", "2001:db8:7::7"])
def absent(request):
    yield request.param
    ip(f"address flush to {request.param}")


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@needs_private("a network of its own")
@pytest.mark.parametrize("protocol, works", [
    ("daytime/tcp", lambda port, host: serves(port, host)),
    ("ntp", lambda port, host: ntp.query(port, host)[0].stratum == 10),
    ("http", lambda port, host: serves_http(port, host=host))], ids=["daytime/tcp", "ntp", "http"])
def test_it_is_served_as_soon_as_it_is_there(testbed, port, absent, protocol, works):
    """Until then the start, the log and the status warn of it. It may go and come back."""
    place = endpoint(absent, port)
    daemon = testbed.start("-o", f"listen {protocol} {place}", "-o", "clock local", "-o", "workers 2")
    assert daemon.result.err == f"timeserver: {warning(protocol, place)}\n"
    for _ in range(2):
        assert testbed.status()["warning"] == warning(protocol, place)
        ip(f"address add {absent} dev lo")
        wait_until(lambda: "warning" not in testbed.status(), what="the end of duplicate address detection")
        assert works(port, absent)
        ip(f"address delete {absent} dev lo")


@needs_private("a network of its own")
def test_while_duplicate_address_detection_runs(testbed, port):
    """The address is tentative for a second or more."""
    host = "2001:db8:8::8"
    with neighbour("dad"):
        ip(f"address add {host}/64 dev dad0")
        testbed.start("-o", f"listen ntp [{host}]:{port}", "-o", "clock local")
        wait_until(lambda: "warning" not in testbed.status(), 20, "the address")
        assert ntp.query(port, host)[0].stratum == 10


def test_a_reload_warns_too(testbed, port):
    """On standard error and in the log; it succeeds."""
    config, place = testbed.config(f"listen daytime/tcp {port}\n"), f"192.0.2.1:{port}"
    server = testbed.foreground("-n", "-c", config)
    wait_until(lambda: serves(port))
    line = f"timeserver: {warning('ntp', place)}\n"
    code, out, err = reload(testbed, f"listen daytime/tcp {port}", f"listen ntp {place}", "clock local")
    assert (code, out, err) == (0, f"timeserver: process {server.pid} reloaded\n", line)
    assert line in server.log() and serves(port)


def test_a_present_address_has_no_warning(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp 127.0.0.1:{port} [::1]:{port}",
                             f"listen ntp *:{free_port()}", "clock local")
    assert daemon.result.err == "" and "warning" not in testbed.status()


@needs_private("a network of its own")
def test_an_interface_that_comes_later(testbed, port):
    """The start fails with a status after which systemd tries again; not so with another error."""
    words = ["-o", f"listen ntp [fe80::7%late0]:{port}", "-o", "clock local"]
    lacking = f"option:1: listen: [fe80::7%late0]:{port}: this machine does not have interface late0 (yet)\n"
    assert tuple(testbed.server(*words)) == (1, "", lacking)
    result = testbed.server(*words, "-o", "nonsense")
    assert (result.code, result.err) == (78, lacking + "option:3: nonsense: unknown directive\n")
    result = testbed.server("-o", "listen ntp [fe80::x%late0]")
    assert result.code == 78 and "expected ADDRESS" in result.err
    with neighbour("late"):
        ip("link set late0 down")
        testbed.start(*words)
        assert testbed.status()["warning"] == warning("ntp", f"[fe80::7%late0]:{port}")
        ip("link set late0 up", "address add fe80::7/64 dev late0")
        wait_until(lambda: "warning" not in testbed.status(), 20, "the address")
        assert ntp.query(port, "fe80::7%late0")[0].stratum == 10
