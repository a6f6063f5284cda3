"""timeclient with --check, --wait and --watch."""
import os
import re
import signal
import struct
import time

import pytest

from lib.daytime_client import json_lines
from lib.environment import CLIENT, longer, needs_program, wait_until
from lib.fake_servers import ntp_reply, ntp_server, tcp_server, UdpServer
from lib.process import read_back
from lib.testbed import directives
from lib.tmux import Tmux


pytestmark = pytest.mark.usefixtures("only_the_client")


# --check, with several samples, since a busy machine can delay one

CHECK = ["--check", "-n", "3", "-i", "0.1"]


@pytest.mark.parametrize("ahead, options, state, code", [
    (0, [], "OK", 0), (0.5, [], "WARNING", 1), (-0.5, [], "WARNING", 1), (1.5, [], "CRITICAL", 2),
    (-90, [], "CRITICAL", 2), (0.5, ["-W", "0.6"], "OK", 0), (0.5, ["-W", "0.2", "-C", "0.4"], "CRITICAL", 2),
    (0.5, ["--warning=10", "--critical=20"], "OK", 0)])
def test_check(testbed, ahead, options, state, code):
    with ntp_server(ahead) as server:
        result = testbed.client(*CHECK, *options, f"ntp://{server.name}")
    assert (result.code, result.err) == (code, "")
    warning, critical = ([word for word in options if re.fullmatch(r"[\d.]+|--.*=.*", word)] + [0, 0])[:2]
    limits = [str(given).partition("=")[2] or str(given) for given in (warning or "0.1", critical or "1")]
    assert re.fullmatch(
        rf"TIME {state}: ntp://{server.name} offset -?\d+\.\d+ s, bound 0\.\d+ s, stratum 2 \| "
        rf"'offset ntp://{server.name}'=-?\d+\.\d+s;-{limits[0]}:{limits[0]};-{limits[1]}:{limits[1]} "
        rf"'bound ntp://{server.name}'=0\.\d+s\n", result.out), result.out


def test_check_with_a_bound_above_critical(testbed):
    with ntp_server(root_dispersion=2 << 16) as server:
        result = testbed.client(*CHECK, "-W", "0.9", f"ntp://{server.name}")
    assert (result.code, result.err) == (3, "") and result.out.startswith("TIME UNKNOWN: "), result


SECOND_SCHEMES = [("time", "tcp"), ("time", "udp"), ("daytime", "tcp"), ("daytime", "udp")]


@pytest.mark.parametrize("name, transport", SECOND_SCHEMES)
def test_check_in_every_phase_of_the_second(testbed, port, name, transport):
    """A correct server is OK, although a reply in whole seconds is off by up to half a second."""
    testbed.start(*directives(f"listen {name}/{transport} {port}", "ratelimit off"))
    target = f"{name}{'+udp' * (transport == 'udp')}://127.0.0.1:{port}"
    for phase in range(10):
        time.sleep((phase / 10 - time.time()) % 1)
        result = testbed.client(*CHECK, "-C", "9", target, env={"TZ": "UTC0"})
        assert (result.code, result.err) == (0, "") and result.out.startswith("TIME OK"), (phase, result)
        low, high = re.search(r"'=(-?[\d.]+)s;-([\d.]+):", result.out).groups()
        assert abs(float(low)) <= float(high) and float(high) >= 0.6, result


def time_server(ahead):
    """Time over UDP."""
    return UdpServer(lambda request: [struct.pack("!I", int(time.time()) + ahead + 2208988800)])


@pytest.mark.parametrize("ahead, options, state, code", [
    (3, [], "CRITICAL", 2), (-3, [], "CRITICAL", 2), (3, ["-W", "1", "-C", "9"], "WARNING", 1),
    (3, ["-W", "5", "-C", "9"], "OK", 0), (0, ["-W", "0.1", "-C", "0.4"], "UNKNOWN", 3),
    (3600, ["--expect", "3600"], "OK", 0), (-3600, ["--expect=-3600"], "OK", 0),
    (3600, ["--expect", "3597"], "CRITICAL", 2)])
def test_check_of_time(testbed, ahead, options, state, code):
    with time_server(ahead) as server:
        result = testbed.client(*CHECK, *options, f"time+udp://{server.name}")
    assert (result.code, result.err) == (code, "") and result.out.startswith(f"TIME {state}: "), result


@pytest.mark.parametrize("ahead, expected, code", [
    (3600, "3600", 0), (-3600, "-3600", 0), (0.5, "0.5", 0), (-7.25, "-7.250", 0), (0, "0", 0),
    (3600, "-3600", 2), (0, "3600", 2), (3600.5, "3600", 1)])
def test_check_of_a_host_that_is_off_on_purpose(testbed, ahead, expected, code):
    """The output and the performance data show the offset and the range that is right."""
    with ntp_server(ahead) as server:
        result = testbed.client(*CHECK, "--expect", expected, f"ntp://{server.name}")
    assert (result.code, result.err) == (code, ""), result
    limits = [f"{float(expected) + limit:.9f}".rstrip("0").rstrip(".") for limit in (-0.1, 0.1, -1, 1)]
    assert "'=%ss;%s:%s;%s:%s 'bound" % (
        re.search(r"'offset \S+'=(-?[\d.]+)s", result.out)[1], *limits) in result.out
    shown = f", expected {float(expected):g} s, bound " if float(expected) else " s, bound "
    assert shown in result.out and ("expected" in result.out) == (expected != "0"), result


@pytest.mark.parametrize("text", ["", "x", "1e3", "--1", "+1", "31536001", "-31536001", "-"])
def test_check_usage_of_expect(testbed, text):
    result = testbed.client("--check", f"--expect={text}", "127.0.0.1")
    assert tuple(result) == (3, "", f"timeclient: --expect '{text}': expected seconds from -31536000 to 31536000\n"
                             "Try 'timeclient --help'.\n")


def test_check_without_offset(testbed, port):
    with tcp_server(b"tea | time\r\n") as tea:
        result = testbed.client("--check", tea.target)
        assert tuple(result) == (
            3, f"TIME UNKNOWN: daytime://{tea.target} no offset: tea / time |\n", "")
    result = testbed.client("--check", f"ntp://127.0.0.1:{port}")
    assert tuple(result) == (2, f"TIME CRITICAL: ntp://127.0.0.1:{port} Connection refused |\n", "")


def test_check_reports_the_worst_state(testbed, port):
    with ntp_server() as good, ntp_server(0.5) as bad, tcp_server(b"tea time\n") as tea:
        targets = [f"ntp://{good.name}", f"ntp://{bad.name}", tea.target]
        assert testbed.client(*CHECK, *targets[:2]).code == 1
        assert testbed.client(*CHECK, targets[0], tea.target).code == 3
        assert testbed.client(*CHECK, *targets).code == 1
        result = testbed.client(*CHECK, *targets, f"ntp://127.0.0.1:{port}")
    assert result.code == 2 and result.out.count("\n") == 1 and result.out.count("|") == 1
    assert result.out.count("; ") == 3


def test_check_usage_error_is_unknown(testbed):
    for words in (["--check", "-W", "x"], ["-W", "x", "--check"], ["--check", "-W", "2"],
                  ["--check", "gopher://x"], ["--check", "--watch"]):
        result = testbed.client(*words)
        assert (result.code, result.out) == (3, "") and result.err.startswith("timeclient: ")


# --wait

def test_wait_for_server_to_start(testbed, port):
    """The query is repeated until the server replies."""
    popen, out, _ = testbed.popen([CLIENT, "--wait", "10", "-i", "0.1", f"127.0.0.1:{port}"])
    time.sleep(0.5)
    assert popen.poll() is None
    testbed.listen(port)
    assert popen.wait(longer(5)) == 0
    assert read_back(out).startswith("Server Message: ")


def test_wait_for_synchronisation(testbed):
    fields = {"leap": 3, "stratum": 0}
    with UdpServer(lambda request: [ntp_reply(request, **fields)]) as server:
        popen, out, _ = testbed.popen([CLIENT, "--wait", "20", "-i", "0.1", f"ntp://{server.name}"])
        wait_until(lambda: len(server.requests) > 2, what="three requests")
        assert popen.poll() is None
        fields.clear()
        assert popen.wait(longer(5)) == 0
    assert "stratum 2" in read_back(out)


def test_wait_gives_up(testbed, port):
    result = testbed.client("--wait", "0.5", "-i", "0.1", f"ntp://127.0.0.1:{port}")
    assert tuple(result) == (1, "", f"timeclient: 127.0.0.1:{port}: Connection refused\n")
    assert 0.3 < result.seconds < longer(4)


def test_wait_needs_one_reply(testbed, port):
    with ntp_server() as server:
        result = testbed.client("--wait", "10", f"ntp://127.0.0.1:{port}", f"ntp://{server.name}")
    assert result.code == 0 and result.seconds < longer(5)
    assert result.err == f"timeclient: 127.0.0.1:{port}: Connection refused\n"


def test_wait_time_limits(testbed):
    with UdpServer(lambda request: []) as silent, ntp_server() as good:
        result = testbed.client("--wait", "0.6", f"ntp://{silent.name}")
        assert tuple(result) == (1, "", f"timeclient: {silent.name}: timed out\n")
        assert 0.6 <= result.seconds < longer(4)
        result = testbed.client("--wait", "60", "-q", f"ntp://{good.name}", f"ntp://{silent.name}")
        assert result.code == 0 and result.seconds < longer(5)


def test_check_as_an_argument(testbed, port):
    result = testbed.client("--format", "--check", f"127.0.0.1:{port}")
    assert result.code == 1 and result.out == ""
    assert testbed.client("-w", "x", "--", "--check").code == 2


@pytest.mark.parametrize("words, message", [
    (["-W", "1"], "--warning requires --check"), (["-C", "9"], "--critical requires --check"),
    (["--watch", "-W", "1"], "--warning requires --check"),
    (["--expect", "-9"], "--expect requires --check"), (["--dry-run"], "--dry-run requires --set"), (["--trust-one"], "--trust-one requires --set"),
    (["--max-offset", "1"], "--max-offset requires --set"),
    (["--set", "step", "-j"], "--json and --set cannot be used together"),
    (["--wait", "1", "--watch"], "--wait and --watch cannot be used together"),
    (["--wait", "1", "--set", "step"], "--wait and --set cannot be used together"),
    (["--check", "--dry-run", "-W", "1"], "--dry-run requires --set"),
    (["--set", "step", "-W", "1", "--dry-run"], "--warning requires --check"),
    (["--wait", "1", "-n", "2"], "--wait and --count cannot be used together"),
    (["--set", "slew", "--watch"], "--set and --watch cannot be used together")])
def test_conflicting_options(testbed, words, message):
    """--help overrides any conflict."""
    code = 3 if "--check" in words else 2
    assert tuple(testbed.client(*words)) == (code, "", f"timeclient: {message}\nTry 'timeclient --help'.\n")
    assert testbed.client("--help", *words).code == 0


# --watch

def test_watch_through_a_pipe(testbed):
    """One line or one object per sample."""
    with ntp_server() as server, tcp_server(b"tea time\n") as tea:
        words = ["--watch", "-n", "3", "-i", "0.01", f"ntp://{server.name}", tea.target]
        result = testbed.client(*words)
        assert result.code == 0 and result.out.count("Server Message: tea time\n") == 3
        assert result.out.count(f"ntp://{server.name}  ") == 3 and result.out.count("\n") == 6
        samples = json_lines(testbed.client("-j", *words).out)
    assert sorted(one["scheme"] for one in samples) == ["daytime"] * 3 + ["ntp"] * 3
    assert all(one["ok"] and "samples" not in one for one in samples)


def test_watch_without_replies(testbed, port):
    result = testbed.client("--watch", "-n", "2", "-i", "0.01", f"ntp://127.0.0.1:{port}")
    assert tuple(result) == (1, "", f"timeclient: 127.0.0.1:{port}: Connection refused\n" * 2)


def test_watch_ends_with_its_pipe(testbed):
    with ntp_server() as server:
        popen, out, err = testbed.popen(["sh", "-c", '"$@" | head -n 1', "sh", CLIENT, "--watch", "-i", "0.01",
                                         f"ntp://{server.name}"])
        assert popen.wait(longer(5)) == 0
    assert read_back(err) == "timeclient: cannot write standard output: Broken pipe\n"


@pytest.fixture
def watched(testbed):
    with ntp_server(0.002) as one, ntp_server(-0.002) as other:
        yield [f"ntp://{one.name}", f"ntp://{other.name}"]


@needs_program("tmux")
@pytest.mark.parametrize("columns", [40, 100, 200])
def test_live_view(testbed, port, watched, columns):
    """One line per target if there is room, with a graph; then the terminal is restored."""
    targets = [*watched, f"ntp://127.0.0.1:{port}"]
    with Tmux(testbed, columns, 20) as tmux:
        tmux.type(f"{CLIENT} --watch -i 0.05 {' '.join(targets)}")
        height = 2 if columns == 40 else 1

        def shown():
            lines = tmux.lines()
            return ["".join(lines[number * height:(number + 1) * height]) for number in range(3)]

        def is_measured(text):
            return "100 % lost" in text if "Conn" in text else re.search("[▁-█]", text)
        wait_until(lambda: "xxx" in "".join(tmux.lines()), what="three losses")
        wait_until(lambda: all(map(is_measured, shown())), what="graphs of the others")
        lines = tmux.lines()
        assert tmux.cursor() == ["0", "1"] and len(lines) == 3 * height
        for text, target in zip(shown(), targets):
            assert text.startswith(target), text
        assert len(max(lines, key=len)) <= columns
        tmux("send-keys", "C-c")
        wait_until(lambda: tmux.cursor() == ["1", "0"], what="the terminal to be as before")
        assert tmux.lines()[0] == "before"
        tmux.type("echo status $?")
        wait_until(lambda: "status 1" in tmux.lines(), what="the exit status")


@needs_program("tmux")
def test_live_view_resize_and_suspend(testbed, watched):
    """A new size is drawn at once; suspending restores the terminal, continuing draws again."""
    with Tmux(testbed, 100, 12) as tmux:
        tmux.type(f"{CLIENT} --watch -i 0.05 {' '.join(watched)}")
        wait_until(lambda: any("▁" in line for line in tmux.lines()), what="a sparkline")
        tmux("resize-window", "-x", 40, "-y", 12)
        wait_until(lambda: len(tmux.lines()) == 4, what="two lines a target")
        tmux("resize-window", "-x", 40, "-y", 4)
        wait_until(lambda: tmux.lines()[2:] == ["and 1 more"], what="the note about the target without room")
        tmux("send-keys", "C-z")
        wait_until(lambda: tmux.cursor() == ["1", "0"], what="the terminal to be as before")
        tmux.type("fg")
        wait_until(lambda: tmux.cursor() == ["0", "1"], what="the view to come back")
        tmux("send-keys", "C-c")
        wait_until(lambda: tmux.cursor() == ["1", "0"], what="the terminal to be as before")


@needs_program("tmux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_live_view_restores_terminal(testbed, watched, number):
    with Tmux(testbed, 100, 12) as tmux:
        tmux.type(f"{CLIENT} --watch -i 0.05 {' '.join(watched)} & echo $! >{testbed.root}/pid; fg")
        wait_until(lambda: any("▁" in line for line in tmux.lines()), what="a sparkline")
        os.kill(int((testbed.root / "pid").read_text()), number)
        wait_until(lambda: tmux.cursor() == ["1", "0"], what="the terminal to be as before")
        assert tmux.lines()[0] == "before"


@needs_program("tmux")
def test_live_view_with_count(testbed, watched):
    with Tmux(testbed, 100, 12) as tmux:
        tmux.type(f"{CLIENT} --watch -n 3 -i 0.01 {' '.join(watched)}; echo status $?")
        wait_until(lambda: "status 0" in tmux.lines(), what="the program to end")
        assert tmux.lines()[0] == "before"
