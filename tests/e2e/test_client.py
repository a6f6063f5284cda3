"""timeclient: all kinds of replies, messages, exit status, JSON."""
import contextlib
import datetime
import os
import re
import socket
import struct
import time

import pytest

from lib.daytime_client import free_port, json_lines
from lib.environment import CLIENT, locale, longer, needs_private, wait_until
from lib.fake_servers import silent_server, tcp_server, TcpServer
from lib.isolate import mounted, MS_BIND
from lib.process import read_back


LINE = "Sun Nov 22 19:15:08 2026"
NIST = "61366 26-11-22 19:15:08 00 0 0 895.3 UTC(NIST) *"


pytestmark = pytest.mark.usefixtures("only_the_client")


@pytest.mark.parametrize("reply, text", [
    (f"{LINE}\r\n", LINE), (f"{LINE}\n", LINE), (f"{LINE}\r", LINE), (LINE, LINE),
    (f"{LINE}\n\r", LINE),
    (f"\n{NIST} \n", f"{NIST} "), ("22 NOV 2026 19:15:08 UTC\r\n", "22 NOV 2026 19:15:08 UTC"),
    (f"{LINE}\r\n\r\n", LINE), ("x\n", "x"), ("y" * 256 + "\r\n", "y" * 256)],
    ids=["CRLF", "LF", "CR", "no line end", "LFCR", "NIST", "xinetd", "empty line after", "short",
         "256"])
def test_replies_of_real_servers(testbed, reply, text):
    with tcp_server(reply.encode()) as server:
        assert tuple(testbed.client(server.target)) == (0, f"Server Message: {text}\n", "")


@pytest.mark.parametrize("reply, problem", [
    (b"", "empty reply"), (b"\r\n", "empty reply"), (b"\n\n\r\n", "empty reply"),
    (b"\x00\xff\x7f\x80\r\n", r'reply is not text: "\x00\xff\x7f\x80"'),
    (b"tab\there\n", r'reply is not text: "tab\there"'),
    ("späte Uhr\n".encode(), r'reply is not text: "sp\xc3\xa4te Uhr"'),
    (b"\x1b[2J\x07\n", r'reply is not text: "\x1b[2J\x07"'),
    (b"one\r\ntwo\r\n", r'reply has several lines: "one\r\ntwo"'),
    (b"a\n\nb", r'reply has several lines: "a\n\nb"'),
    (b"back\\slash\n\xff", r'reply is not text: "back\slash\n\xff"'),
    (b"z" * 257, f'reply is too long: "{"z" * 64}..."'),
    (b"z" * 100000, f'reply is too long: "{"z" * 64}..."'),
    (b"\xff" * 65 + b"\n", f'reply is not text: "{chr(92)}{(chr(92)).join(["xff"] * 64)}..."')],
    ids=["nothing", "CRLF alone", "line ends alone", "binary", "tab", "UTF-8", "escapes",
         "two lines", "empty line within", "backslash", "257", "100000", "cut after 64"])
def test_invalid_replies_are_shown_escaped(testbed, reply, problem):
    with tcp_server(reply) as server:
        assert tuple(testbed.client(server.target)) == (1, "", f"timeclient: {server.target}: {problem}\n")


def test_reply_in_pieces(testbed):
    with tcp_server(f"{LINE}\r\n".encode(), interval=0.005) as server:
        assert testbed.client(server.target).out == f"Server Message: {LINE}\n"


@pytest.mark.parametrize("text", [f"{LINE}\r\n", f"\n{NIST}\n"], ids=["plain", "NIST"])
def test_server_that_never_closes(testbed, text):
    """A complete line is accepted within 200 ms."""
    with tcp_server(text.encode(), close=False) as server:
        result = testbed.client(server.target)
    assert result.code == 0 and result.out == f"Server Message: {text.strip()}\n"
    assert result.seconds < longer(4)


def test_server_that_never_replies(testbed):
    """The default timeout is 5 seconds."""
    with silent_server() as server:
        result = testbed.client(server.target)
    assert tuple(result) == (1, "", f"timeclient: {server.target}: timed out after 5 s\n")
    assert 4.9 < result.seconds < longer(5.6)


@pytest.mark.parametrize("option, shown", [(["-w", "0.3"], "0.3"), (["--timeout", "1"], "1"),
                                           (["--timeout=0.05"], "0.05")])
def test_timeout_is_a_total(testbed, option, shown):
    """Bytes that trickle in do not extend it."""
    with tcp_server(b"Sun Nov 22 19:15:08 2026 and so on for long", interval=0.2) as server:
        result = testbed.client(*option, server.target)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"timeclient: {server.target}: timed out after {shown} s")
    assert float(shown) <= result.seconds < longer(float(shown) + 0.5)


def test_incomplete_line_from_server_that_never_closes(testbed):
    with tcp_server(LINE.encode(), close=False) as server:
        result = testbed.client("-w", "0.3", server.target)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"timeclient: {server.target}: timed out after 0.3 s")


def test_connection_reset(testbed):
    def reset(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    with TcpServer(reset) as server:
        assert tuple(testbed.client(server.target)) == (
            1, "", f"timeclient: {server.target}: Connection reset by peer\n")


def test_connection_refused(testbed, port):
    for target in (f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert tuple(testbed.client(target)) == (1, "", f"timeclient: {target}: Connection refused\n")


@needs_private("the default port to be free")
def test_default_target_refused(testbed):
    assert tuple(testbed.client()) == (1, "", "timeclient: 127.0.0.1:5050: Connection refused\n")


@needs_private("low ports")
def test_default_ports(testbed):
    for target, place in [("daytime://127.0.0.1", "127.0.0.1:13"), ("::1", "[::1]:5050"),
                          ("daytime://127.0.0.1:99", "127.0.0.1:99"),
                          ("daytime://[::1]", "[::1]:13")]:
        assert testbed.client(target).err == f"timeclient: {place}: Connection refused\n"


def test_unknown_name(testbed):
    result = testbed.client("-w", "3", "no-such-host.invalid:13")
    assert (result.code, result.out) == (1, "") and result.err.count("\n") == 1
    assert result.err.startswith("timeclient: no-such-host.invalid:13: ")


@needs_private("a hosts file of its own")
@pytest.mark.parametrize("options, wanted", [(["-4"], "four"), (["-6"], "six")])
def test_families(testbed, options, wanted):
    """A name with two addresses, and a different server at each."""
    hosts = testbed.config("127.0.0.1 both.example\n::1 both.example\n", "hosts")
    with mounted(hosts, "/etc/hosts", flags=MS_BIND), tcp_server(b"four\n") as four:
        with tcp_server(b"six\n", "::1", four.port):
            target = f"both.example:{four.port}"
            assert testbed.client(*options, target).out == f"Server Message: {wanted}\n"
    result = testbed.client("-6", "127.0.0.1:13")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("timeclient: 127.0.0.1:13: ")


@needs_private("a hosts file of its own")
def test_next_address_is_tried(testbed):
    """IPv6 refuses the connection, IPv4 replies."""
    hosts = testbed.config("::1 both.example\n127.0.0.1 both.example\n", "hosts")
    with mounted(hosts, "/etc/hosts", flags=MS_BIND), tcp_server(b"four\n") as four:
        result = testbed.client("-j", f"both.example:{four.port}")
    assert json_lines(result.out)[0]["address"] == "127.0.0.1" and result.code == 0


def test_order_of_targets(testbed, port):
    with tcp_server(b"slow\n", delay=0.3) as slow, tcp_server(b"fast\n") as fast:
        result = testbed.client(slow.target, f"127.0.0.1:{port}", fast.target)
    assert tuple(result) == (1, "Server Message: slow\nServer Message: fast\n",
                             f"timeclient: 127.0.0.1:{port}: Connection refused\n")


def test_targets_share_one_timeout(testbed):
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(silent_server()).target for _ in range(20)]
        result = testbed.client("-w", "1", *targets)
    messages = [f"timeclient: {target}: timed out after 1 s" for target in targets]
    assert result.err.splitlines() == messages
    assert result.code == 1 and 1 <= result.seconds < longer(1.7)


def test_100_targets_at_once(testbed):
    with tcp_server(b"x\n", delay=0.1) as server:
        result = testbed.client(*[server.target] * 100)
    assert result.code == 0 and result.out == "Server Message: x\n" * 100 and server.count == 100


def test_json_of_a_reply(testbed):
    before, line = datetime.datetime.now(datetime.timezone.utc), "Mon Nov 23 19:15:08 2015"
    with tcp_server(f"{line}\r\n".encode(), delay=0.1) as server, tcp_server(b"six\n", "::1") as six:
        result = testbed.client("--json", server.target, f"daytime://{six.target}")
    after = datetime.datetime.now(datetime.timezone.utc)
    first, second = json_lines(result.out)
    assert result.code == 0 and result.err == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first["local_time"])
    assert before < datetime.datetime.fromisoformat(first.pop("local_time")) < after
    assert 0.1 <= first.pop("delay") < 5
    assert first.pop("server_time") == "2015-11-23T19:15:08.000000Z" and first.pop("offset") < 0
    assert 0.55 <= first.pop("error_bound") < 3
    assert first == {"schema": 1, "target": server.target, "scheme": "daytime", "host": "127.0.0.1",
                     "port": server.port, "address": "127.0.0.1", "ok": True, "text": line}
    assert (second["host"], second["address"], second["port"]) == ("::1", "::1", six.port)


def test_json_of_errors(testbed, port):
    """Errors are in the objects, not on standard error."""
    with tcp_server(b'"quoted" \\ \xff\n') as odd:
        result = testbed.client("-j", f"127.0.0.1:{port}", odd.target)
    refused, binary = json_lines(result.out)
    assert (result.code, result.err) == (1, "")
    assert refused == {"schema": 1, "target": f"127.0.0.1:{port}", "scheme": "daytime",
                       "host": "127.0.0.1", "port": port, "ok": False,
                       "error": "Connection refused"}
    assert binary["ok"] is False and "text" not in binary
    assert binary["error"] == r'reply is not text: ""quoted" \ \xff"'


def test_json_in_a_locale_with_decimal_comma(testbed):
    german = locale("de_DE", "ISO-8859-1")
    with tcp_server(b"x\n") as server:
        result = testbed.client("-j", "-w", "2.5", server.target, env=german)
    assert json_lines(result.out)[0]["delay"] < 2


def test_quiet(testbed, port):
    with tcp_server(b"x\n") as server:
        assert tuple(testbed.client("-q", f"127.0.0.1:{port}", server.target)) == (
            1, "Server Message: x\n", "")
    assert testbed.client("--quiet", "--nonsense").err, "usage errors are still printed"


@pytest.mark.parametrize("words, message", [
    (["--nonsense"], "nonsense"), (["-w"], "w"), (["-w", "x", "127.0.0.1"], "'x'"),
    (["-w", "0", "127.0.0.1"], "'0'"), (["-w", "-1", "127.0.0.1"], "'-1'"),
    (["-w", "1e3", "127.0.0.1"], "'1e3'"), (["gopher://127.0.0.1"], "gopher"),
    (["127.0.0.1:0"], "127.0.0.1:0"), (["127.0.0.1:65536"], "65536"),
    (["127.0.0.1:"], "127.0.0.1:"), (["127.0.0.1:13x"], "13x"), ([""], "''"), ([":13"], ":13"),
    (["[::1"], "[::1"), (["[]:13"], "[]:13"),
    (["daytime://"], "daytime://"), (["a b"], "a b"), (["bad\x1b[2Jname"], r"\x1b[2J")])
def test_usage_errors(testbed, words, message):
    result = testbed.client(*words)
    assert (result.code, result.out) == (2, "") and result.seconds < longer(4)
    assert result.err.startswith("timeclient: ") and message in result.err and "--help" in result.err


def test_help_and_version(testbed):
    for word, start in [("--help", "Usage: timeclient [OPTION]... [TARGET]..."),
                        ("-h", "Usage: timeclient"),
                        ("--version", "timeclient "), ("-V", "timeclient ")]:
        code, out, err = testbed.client(word)
        assert (code, err) == (0, "") and out.startswith(start)
    for option in ["-4", "-6", "--timeout", "--json", "--quiet", "--version", "--help"]:
        assert option in testbed.client("--help").out


@pytest.mark.parametrize("words", [["TARGET"], ["-j", "TARGET"], ["--help"], ["--version"]],
                         ids=lambda words: words[0])
@pytest.mark.parametrize("output, reason", [("closed", "Bad file descriptor"),
                                            ("/dev/full", "No space left on device"),
                                            ("broken pipe", "Broken pipe")])
def test_output_errors(testbed, words, output, reason):
    with tcp_server(b"x\n") as server, contextlib.ExitStack() as stack:
        command = [CLIENT, *[server.target if word == "TARGET" else word for word in words]]
        if output == "closed":
            popen, _, err = testbed.popen(["sh", "-c", 'exec "$@" >&-', "sh", *command])
        elif output == "/dev/full":
            popen, _, err = testbed.popen(command, stdout=stack.enter_context(open("/dev/full", "w")))
        else:
            reader, writer = os.pipe()
            os.close(reader)
            popen, _, err = testbed.popen(command, stdout=writer)
            os.close(writer)
        assert popen.wait(longer(5)) == 1
    assert read_back(err) == f"timeclient: cannot write standard output: {reason}\n"


def test_replies_are_printed_at_once(testbed):
    """A slow target does not delay the output of the targets before it."""
    with tcp_server(b"fast\n") as fast, silent_server() as slow:
        popen, out, _ = testbed.popen([CLIENT, "-w", "6", fast.target, slow.target])
        began = time.monotonic()
        wait_until(lambda: read_back(out) == "Server Message: fast\n")
        assert time.monotonic() - began < longer(4) and popen.poll() is None
        assert popen.wait(longer(10)) == 1


def test_no_connection_is_left_after_timeout(testbed):
    """The process has ended with all its threads."""
    with silent_server() as server:
        began = time.monotonic()
        testbed.client("-w", "0.1", *[server.target] * 10)
        assert time.monotonic() - began < longer(4)
    assert testbed.processes() == []


def test_unreachable_target(testbed):
    """An address without a route: an error, at once or after the timeout."""
    result = testbed.client("-w", "0.5", f"192.0.2.1:{free_port()}")
    assert result.code == 1 and result.err.count("\n") == 1 and result.seconds < longer(4)
