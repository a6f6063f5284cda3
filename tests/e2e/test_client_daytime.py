"""timeclient and Daytime texts in the forms of other systems."""
import time

import pytest

from lib.daytime_client import json_lines
from lib.fake_servers import close_gracefully, ntp_server, tcp_server, TcpServer, UdpServer

pytestmark = pytest.mark.usefixtures("only_the_client")

UNKNOWN = "text without a zone that can be told"


def sample_of(testbed, text, **env):
    """The JSON object for the reply that text() gives after the client has connected."""
    def serve(connection):
        connection.sendall(text())
        close_gracefully(connection)
    with TcpServer(serve) as server:
        return json_lines(testbed.client("-j", server.target, env=env).out)[0]


def within_bound(sample):
    """The text is made while the client waits, so this is true at any speed."""
    return abs(sample["offset"]) <= sample["error_bound"]


@pytest.mark.parametrize("zone", ["UTC0", "EST5", "PDT7", "GMT0", "HERE-3"])
@pytest.mark.parametrize("options", [[], ["-R"], ["+%a %b %e %r %Z %Y"], ["-Iseconds"],
                                     ["+%a %e %b %T %Z %Y"], ["+%a %d %b %Y %r %Z"]], ids=" ".join)
def test_texts_of_date(testbed, zone, options):
    """The real date(1), in zones that have a well-known name and in that of this host."""
    def text():
        return testbed.run("date", *options, env={"TZ": zone, "LC_ALL": "C"}).out.encode()
    assert within_bound(sample_of(testbed, text, TZ="HERE-3"))


@pytest.mark.parametrize("form, end", [
    ("%-I:%M:%S %p %m/%d/%Y", b"\n\0"), ("%H:%M:%S %d.%m.%Y", b"\n\0"), ("%H:%M:%S %d/%m/%Y", b"\r\n"),
    ("%A, %B %d, %Y %H:%M:%S-UTC", b"\r\n"), ("%d %b %y %H:%M:%S UTC", b"\r\n"), ("%d-%b-%y %H:%M:%S-GMT", b"\0")])
def test_forms_of_other_systems(testbed, form, end):
    """Windows and the examples of RFC 867, with a NUL at the end."""
    def text():
        return time.strftime(form, time.gmtime()).encode() + end
    assert within_bound(sample_of(testbed, text, TZ="UTC0"))


def test_nul_at_the_end_by_udp(testbed):
    with UdpServer(lambda request: [b"22 NOV 2026 19:15:08 UTC\r\n\0"]) as server:
        result = testbed.client(f"daytime+udp://{server.name}")
    assert tuple(result) == (0, "Server Message: 22 NOV 2026 19:15:08 UTC\n", "")


@pytest.mark.parametrize("text", ["Thu Nov 26 15:03:50 IST 2026", "22 NOV 2026 19:15:08 CEST"])
def test_unknown_zone(testbed, text):
    """The reply is valid, and every output that shows an offset says why there is none."""
    with tcp_server(f"{text}\r\n".encode()) as server, ntp_server() as other:
        url, target = f"daytime://{server.target}", f"{server.target}"
        [sample] = json_lines(testbed.client("-j", target).out)
        assert sample["ok"] and sample["zone_unknown"] is True and "offset" not in sample
        assert tuple(testbed.client(target)) == (0, f"Server Message: {text}\n", "")
        assert tuple(testbed.client("--utc", target)) == (
            0, f"Server Message: {text}\n", f"timeclient: {target}: no offset: {UNKNOWN}\n")
        assert testbed.client("--utc", "-q", target).err == ""
        assert tuple(testbed.client("--check", target)) == (
            3, f"TIME UNKNOWN: {url} no offset, {UNKNOWN}: {text} |\n", "")
        result = testbed.client("--set", "step", "--trust-one", "--dry-run", target)
        assert (result.code, result.err) == (1, f"timeclient: clock not set: no target gave an offset: {UNKNOWN}\n")
        [sample] = json_lines(testbed.client("-j", f"ntp://{other.name}").out)
        assert "zone_unknown" not in sample


def test_text_of_another_zone(testbed):
    """A text without a zone that is an hour off."""
    def text():
        return time.ctime(time.time() + 3600).encode() + b"\n"
    sample = sample_of(testbed, text, TZ="UTC0")
    assert sample["zone_unknown"] is True and "offset" not in sample
