"""The exact output of timeclient: lines, tables, colours, languages, widths."""
import contextlib
import decimal
import fcntl
import os
import pty
import re
import struct
import termios
import time

import pytest

from lib.daytime_client import json_lines
from lib.environment import CLIENT, locale, longer, needs_program, SANITIZED, wait_until
from lib.fake_servers import ntp_server, tcp_server, UdpServer
from lib.process import read_back, read_within
from lib.tmux import Tmux


pytestmark = pytest.mark.usefixtures("only_the_client")

LANGUAGES = [("C", None), ("de_DE", "UTF-8"), ("de_DE", "ISO-8859-1"), ("ja_JP", "UTF-8"),
             ("en_US", "UTF-8")]
RED, BOLD, PLAIN = "\x1b[31m", "\x1b[1m", "\x1b[0m"


def speaking(language):
    name, charmap = language
    return {"LANG": "C", "LC_ALL": "C"} if charmap is None else locale(name, charmap)


def on_terminal(testbed, columns, *arguments, **env):
    """The output on a terminal with this number of columns, without CR."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    popen, _, err = testbed.popen([CLIENT, *arguments], stdout=slave, env=env)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while piece := read_within(master, 65536, 20):
            shown += piece
    os.close(master)
    assert popen.wait(longer(5)) in (0, 1) and read_back(err) == ""
    return shown.decode().replace("\r\n", "\n")


def blur(text):
    """Replaces times and spans below a second, which vary."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?", "TIME", text)
    text = re.sub(r"\d+(\.\d+)? (ms|us|µs)", "SPAN", text)
    return re.sub("(?<=SPAN) (ahead|behind)", " OFF", text)


@contextlib.contextmanager
def three_servers():
    """Two servers that agree, and a falseticker."""
    with ntp_server() as one, ntp_server() as other, ntp_server(3600) as false:
        yield [f"ntp://{server.name}" for server in (one, other, false)]


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: f"{language[0]}.{language[1]}")
def test_line_in_five_languages(testbed, language):
    """English words and decimal points everywhere; ASCII if the character set lacks ±."""
    with ntp_server(-60) as server:
        result = testbed.client("--utc", f"ntp://{server.name}", env=speaking(language))
    sign = "±" if language[1] == "UTF-8" else "+/-"
    assert result.code == 0 and re.fullmatch(
        rf"ntp://{server.name}  TIME UTC  your clock is (60|59)\.\d+ s ahead, {re.escape(sign)} SPAN"
        r"  stratum 2, leap none\n", blur(result.out))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: f"{language[0]}.{language[1]}")
def test_json_in_five_languages(testbed, language):
    with ntp_server() as server:
        result = testbed.client("-j", f"ntp://{server.name}", env=speaking(language))
    assert json_lines(result.out)[0]["ok"] is True


@pytest.mark.skipif(SANITIZED, reason="the C library's newlocale leaks a copy of LOCPATH")
def test_format_in_the_users_language(testbed):
    with ntp_server() as server:
        for language, days in [(("C", None), "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"),
                               (("de_DE", "UTF-8"), "(Mon|Diens|Donners|Frei|Sams|Sonn)tag|Mittwoch")]:
            out = testbed.client("--format", "%A!", f"ntp://{server.name}", env=speaking(language)).out
            assert re.match(rf"ntp://{server.name}  ({days})!  your clock is ", out), out


def test_time_zones(testbed):
    with ntp_server() as server:
        for options, zone in [([], "CET|CEST"), (["--utc"], "UTC")]:
            out = testbed.client(*options, f"ntp://{server.name}", env={"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}).out
            assert re.search(rf"\d\d:\d\d:\d\d\.\d{{6}} ({zone})  ", out), out


def test_time_resolution(testbed):
    with tcp_server(struct.pack("!I", int(time.time()) + 2208988800)) as server:
        out = testbed.client(f"time://{server.target}").out
    assert re.fullmatch(rf"time://{server.target}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC  your clock is"
                        r" \S+ \S+ (ahead|behind), \+/- [56]\d0 ms\n", out)


def test_daytime_is_verbatim(testbed):
    """Unless another format is requested and the text is a known date."""
    with tcp_server(b"22 NOV 2026 19:15:08 UTC\r\n") as known, tcp_server(b"tea time\r\n") as other:
        for options in ([], ["-n", "2", "-i", "0.01"]):
            assert testbed.client(*options, known.target, other.target).out == \
                "Server Message: 22 NOV 2026 19:15:08 UTC\nServer Message: tea time\n"
        lines = testbed.client("--format", "%H:%M", known.target, other.target).out.splitlines()
    assert lines[0].startswith(f"daytime://{known.target}  19:15  your clock is ")
    assert lines[1] == "Server Message: tea time"


def test_several_samples(testbed):
    with ntp_server() as server:
        out = blur(testbed.client("-n", "3", "-i", "0.01", f"ntp://{server.name}").out)
    assert out == (f"ntp://{server.name}  TIME UTC  your clock is SPAN OFF, +/- SPAN  stratum 2, leap"
                   " none  3 of 3 samples, spread SPAN\n")


UNITS = {"s": 1, "ms": 1000, "us": 10**6, "µs": 10**6}
FIGURES = r"([\d.]+) (s|ms|us|µs)(?: ahead| behind|),? +(?:bound|±|\+/-) ([\d.]+) (s|ms|us|µs)"


def shows_digits_of_bound(text):
    """Two digits of the bound, as many of the offset, and at least one such pair."""
    pairs = re.findall(FIGURES, text)
    for offset, unit, bound, bound_unit in pairs:
        bound = decimal.Decimal(bound) / UNITS[bound_unit]
        digits = f"{bound:f}".replace(".", "").strip("0")
        step = decimal.Decimal(1).scaleb(bound.adjusted() - (2 if digits == "1" else 1))
        shown = decimal.Decimal(offset) / UNITS[unit]
        decimals = len(offset.partition(".")[2])
        if len(digits) > 2 or shown % step or (decimals and decimal.Decimal(1).scaleb(-decimals) / UNITS[unit] < step):
            return False
    return pairs != []


@contextlib.contextmanager
def servers_of_any_bound():
    """From 0.1 ms to 5 s, and Time over UDP; all agree."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ntp_server(0.0004, root_dispersion=shorts))
                   for shorts in (7, 66, 655, 6554, 32768, 320000)]
        second = stack.enter_context(UdpServer(lambda request: [struct.pack("!I", int(time.time()) + 2208988800)]))
        yield [f"ntp://{server.name}" for server in servers] + [f"time+udp://{second.name}"]


@pytest.mark.parametrize("words", [
    ["-i", "0.01", "-n", "2"], ["--watch", "-n", "1"], ["--check", "-W", "5", "-C", "9"], ["--set", "step", "--dry-run"],
    ["--wait", "5"]], ids=" ".join)
def test_digits_of_offset_and_bound(testbed, words):
    with servers_of_any_bound() as targets:
        result = testbed.client(*words, *targets)
    assert result.code == 0 and result.err == ""
    for part in re.split("; |\n", result.out.partition(" |")[0].strip()):
        assert "stepp" in part or "would" in part or shows_digits_of_bound(part), part
    assert all(len(spread.replace(".", "").strip("0")) <= 2 for spread in re.findall("spread ([0-9.]+)", result.out))
    if "--set" in words:
        change = re.search(r"would step the clock by [+-](.*)", result.out)[1]
        assert f"your clock is {change} " in result.out


@pytest.mark.parametrize("columns", [40, 200])
def test_digits_in_the_table(testbed, columns):
    with servers_of_any_bound() as targets:
        shown = on_terminal(testbed, columns, *targets, LC_ALL="C.UTF-8", NO_COLOR="1")
    rows = [line for line in shown.splitlines() if "±" in line]
    assert len(rows) == len(targets) + 1 and all(map(shows_digits_of_bound, rows)), shown


@needs_program("tmux")
def test_digits_in_the_live_view(testbed):
    with servers_of_any_bound() as targets, Tmux(testbed, 200, 20) as tmux:
        tmux.type(f"{CLIENT} --watch -i 0.1 {' '.join(targets)}")
        wait_until(lambda: sum("±" in line for line in tmux.lines()) == len(targets), what="all targets")
        assert all(map(shows_digits_of_bound, tmux.lines())), tmux.lines()
        tmux("send-keys", "C-c")


def test_json_is_in_full(testbed):
    with ntp_server(0.25) as server:
        [sample] = json_lines(testbed.client("-j", f"ntp://{server.name}").out)
    assert any(len(repr(sample[name])) > 8 for name in ("offset", "error_bound", "delay")), sample


def test_falseticker_through_a_pipe(testbed):
    with three_servers() as targets:
        result = testbed.client(*targets)
        samples = json_lines(testbed.client("-j", *targets).out)
    assert result.code == 0
    assert [line.endswith("  falseticker") for line in result.out.splitlines()] == [False, False, True]
    assert [one["falseticker"] for one in samples] == [False, False, True]


def test_one_target_on_a_terminal(testbed):
    with ntp_server() as server:
        assert blur(on_terminal(testbed, 80, f"ntp://{server.name}")) == (
            f"ntp://{server.name}  TIME UTC  your clock is SPAN OFF, +/- SPAN  stratum 2, leap none\n")


def test_table(testbed, port):
    """Aligned, errors in red, and the agreement below it."""
    with three_servers() as targets, tcp_server(b"tea time\r\n") as tea:
        refused = f"ntp://127.0.0.1:{port}"
        shown = on_terminal(testbed, 200, *targets, f"daytime://{tea.target}", refused, LC_ALL="C.UTF-8")
    lines = shown.splitlines()
    starts = [plain.index(word) for plain, word in
              zip([re.sub(r"\x1b\[\d*m", "", line) for line in lines],
                  ["server", "stratum", "stratum", "stratum", "tea", "Connection"])]
    assert len(set(starts)) == 1
    assert lines[0].startswith(f"{BOLD}target") and lines[1].startswith(targets[0])
    assert lines[2].startswith(targets[1])
    assert f"{RED}{targets[2]}" in shown and f"stratum 2, falseticker{PLAIN}\n" in shown
    assert f"{RED}{refused}" in shown and f"Connection refused{PLAIN}\n" in shown
    assert blur(lines[-1]) == "2 of 3 agree: your clock is SPAN OFF, ± SPAN"


def test_no_majority(testbed):
    with ntp_server() as one, ntp_server(5) as other:
        shown = on_terminal(testbed, 120, f"ntp://{one.name}", f"ntp://{other.name}")
    assert shown.endswith("2 targets, no majority agrees\n")
    assert "falseticker" not in shown


@pytest.mark.parametrize("value", ["1", ""])
def test_no_color(testbed, value):
    with three_servers() as targets:
        shown = on_terminal(testbed, 200, *targets, NO_COLOR=value)
    assert ("\x1b" in shown) == (value == "")
    assert "falseticker" in shown


def test_no_colour_through_a_pipe(testbed):
    with three_servers() as targets:
        assert "\x1b" not in testbed.client(*targets).out


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_widths(testbed, columns):
    """Columns are omitted if there is no room; names and addresses are not truncated."""
    with three_servers() as targets:
        shown = blur(on_terminal(testbed, columns, *targets, NO_COLOR="1"))
    lines = shown.splitlines()
    assert all(any(target in line for line in lines) for target in targets)
    if columns == 40:
        assert lines[:3] == [targets[0], "  SPAN OFF, +/- SPAN", "  stratum 2"]
    else:
        assert ("delay" in lines[0]) == (columns == 200) and len(lines) == 5
        assert lines[1].startswith(f"{targets[0]}  ")


def test_long_name_is_not_truncated(testbed):
    name = "a" * 60 + "." + "b" * 60 + ".invalid"
    with ntp_server() as server:
        shown = on_terminal(testbed, 40, "-w", "3", f"ntp://{name}", f"ntp://{server.name}", NO_COLOR="1")
    assert f"ntp://{name}\n" in shown


def test_json_on_a_terminal(testbed):
    with three_servers() as targets:
        assert len(json_lines(on_terminal(testbed, 40, "-j", *targets))) == 3
