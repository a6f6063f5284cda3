"""timeclient and kiss-o'-death packets (RFC 5905 section 7.4), in every mode that repeats queries."""
import pytest

from lib.daytime_client import json_lines
from lib.environment import CLIENT, longer, needs_private, needs_program, wait_until
from lib.fake_servers import ntp_reply, UdpServer
from lib.isolate import mounted, MS_BIND
from lib.testbed import directives
from lib.tmux import Tmux

pytestmark = pytest.mark.usefixtures("only_the_client")

LOOPS = [["--wait", "60"], ["-n", "50"], ["--watch"], ["--watch", "-n", "50"], ["--watch", "-j"],
         ["--check", "-n", "50"], ["--set", "step", "--dry-run", "-n", "50"]]
loops = pytest.mark.parametrize("words", LOOPS, ids=" ".join)


def kiss_server(code, after=0, host="127.0.0.1", port=0):
    """Replies with a kiss of this code, after a number of good replies."""
    def replies(request):
        kiss = {"stratum": 0, "leap": 3, "reference_id": int.from_bytes(code, "big")}
        return [ntp_reply(request, **(kiss if len(server.requests) > after else {}))]
    server = UdpServer(replies, host, port)
    return server


@loops
@pytest.mark.parametrize("code", [b"DENY", b"RSTR"])
def test_denied_server_is_not_queried_again(testbed, code, words):
    """Nor are its earlier samples used. The error and the exit status say so."""
    with kiss_server(code, after=0 if "--wait" in words else 2) as server:
        result = testbed.client(*words, "-i", "0.01", f"ntp://{server.name}", timeout=15)
        assert len(server.requests) == (1 if "--wait" in words else 3)
    assert result.code == (2 if "--check" in words else 1)
    message = f"kiss-o'-death with code {code.decode()}: not queried again"
    if "--check" in words:
        assert tuple(result) == (2, f"TIME CRITICAL: ntp://{server.name} {message} |\n", "")
    elif "-j" in words:
        assert [one["ok"] for one in json_lines(result.out)] == [True, True, False] and message in result.out
    else:
        assert f"timeclient: {server.name}: {message}\n" in result.err
        assert result.out.count("\n") == (2 if "--watch" in words else 0)


@loops
def test_rate_doubles_the_interval(testbed, words):
    """Each time: the fourth query starts 0.6 + 1.2 + 2.4 seconds after the first one."""
    words = [{"50": "4", "60": "2.9"}.get(word, word) for word in words]
    if words[-1] in ("--watch", "-j"):
        words += ["-n", "4"]
    with kiss_server(b"RATE") as server:
        result = testbed.client(*words, "-i", "0.3", "-w", "0.3", f"ntp://{server.name}", timeout=15)
    if "--wait" in words:
        assert 1 < len(server.requests) <= 3
    else:
        assert result.seconds >= 4.2 and len(server.requests) <= 4
    assert "kiss-o'-death with code RATE" in result.out + result.err and "not queried" not in result.err


def test_other_codes_change_nothing(testbed):
    with kiss_server(b"INIT") as server:
        result = testbed.client("-n", "4", "-i", "0.3", "-w", "0.3", "-j", f"ntp://{server.name}")
    [sample] = json_lines(result.out)
    assert sample["samples"]["queries"] == 4
    assert result.seconds < 4.2, "as with RATE"
    assert sample["error"] == "kiss-o'-death with code INIT"


@pytest.mark.parametrize("code", [b"DENY", b"RATE"])
def test_a_forged_kiss_changes_nothing(testbed, code):
    """It does not have the transmit time of the request."""
    forged = {"origin": 1, "stratum": 0, "leap": 3, "reference_id": int.from_bytes(code, "big")}
    with UdpServer(lambda request: [ntp_reply(request, **forged)]) as server:
        result = testbed.client("-n", "6", "-i", "0.1", "-w", "0.05", f"ntp://{server.name}")
    assert len(server.requests) == 6 and result.seconds < longer(5)
    assert "timed out after 0.05 s" in result.err and "kiss" not in result.err


@needs_private("a hosts file of its own")
@pytest.mark.parametrize("other", ["good", "denies", "silent"])
def test_only_the_address_that_denies_is_left_out(testbed, other):
    """A name with two addresses: the other one is queried as before, until it denies access, too."""
    hosts = testbed.config("127.0.0.1 pool.example\n127.0.0.2 pool.example\n", "hosts")
    with mounted(hosts, "/etc/hosts", flags=MS_BIND), kiss_server(b"DENY") as denying:
        replies = {"good": lambda request: [ntp_reply(request)], "silent": lambda request: []}
        second = kiss_server(b"RSTR", 3, "127.0.0.2", denying.port) if other == "denies" else \
            UdpServer(replies[other], "127.0.0.2", denying.port)
        with second:
            result = testbed.client("-n", "5", "-i", "0.01", "-w", "0.3" if other == "silent" else "5", "-j",
                                    f"ntp://pool.example:{denying.port}", timeout=15)
    [sample] = json_lines(result.out)
    assert len(denying.requests) == 1
    assert (result.code, sample["ok"]) == ((0, True) if other == "good" else (1, False))
    assert sample["samples"]["queries"] == (4 if other == "denies" else 5)
    if other == "denies":
        assert sample["error"] == "kiss-o'-death with code RSTR: not queried again" and len(second.requests) == 4


@pytest.mark.parametrize("words", [["--wait", "60"], ["--watch", "-n", "1000"]], ids=" ".join)
def test_one_of_two_targets_denies(testbed, words):
    """The other target is queried as before."""
    with kiss_server(b"DENY") as denying, UdpServer(
            lambda request: [ntp_reply(request)] if len(server.requests) > 5 else []) as server:
        result = testbed.client(*words, "-i", "0.002", "-w", "0.02", *[
            f"ntp://{one.name}" for one in (denying, server)], timeout=30)
    assert len(denying.requests) == 1 and len(server.requests) > 5
    assert f"ntp://{server.name}  " in result.out
    assert result.code == (0 if "--wait" in words else 1)
    assert f"{denying.name}: kiss-o'-death with code DENY: not queried again\n" in result.err


@loops
def test_a_timeserver_that_denies(testbed, port, words):
    testbed.start(*directives(f"listen ntp {port}", "clock local", "deny 127.0.0.0/8", "ratelimit off"))
    result = testbed.client(*words, "-i", "0.01", f"ntp://127.0.0.1:{port}", timeout=15)
    assert result.code == (2 if "--check" in words else 1), result
    assert "kiss-o'-death with code DENY: not queried again" in result.out + result.err
    assert int(testbed.status()["ntp"].split()[-1]) <= 3


@needs_program("tmux")
@pytest.mark.parametrize("words", ["", " -n 5"])
def test_live_view_of_a_server_that_denies(testbed, words):
    """It ends, and the error stays on the terminal."""
    with kiss_server(b"DENY", after=2) as server, Tmux(testbed, 100, 12) as tmux:
        tmux.type(f"{CLIENT} --watch{words} -i 0.05 ntp://{server.name}; echo status $?")
        wait_until(lambda: "status 1" in tmux.lines(), 10, what="the end")
        assert f"timeclient: {server.name}: kiss-o'-death with code DENY: not queried again" in tmux.lines()
        assert len(server.requests) == 3
