"""HTTP clients: curl, htpdate, slowhttptest, and faulty or hostile clients."""
import calendar
import contextlib
import http.client
import json
import re
import time
import types

import pytest

from lib import ntp
from lib.daytime_client import assert_prompt, connect, free_port
from lib.environment import longer, needs_program, not_instrumented
from lib.http_client import (connections_of, DEADLINE, fetch, is_closed, PAGES, send_raw, start_web,
                             status_code)
from lib.peers import needs_peer, PEERS

HTPDATE = f"{PEERS}/usr/sbin/htpdate"
SECURITY = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store"}
VARIABLE = {"Date", "Content-Length"}  # may differ between replies


def curl(testbed, *arguments):
    """The output of curl; -q ignores the configuration of the user."""
    result = testbed.run("curl", "-q", "-sS", "--noproxy", "*", "--max-time", "10", *arguments)
    assert result.code == 0 and result.err == "", result
    return result.out


def split_head(text):
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.splitlines()
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def seconds_of(date):
    return calendar.timegm(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT"))


@needs_program("curl")
def test_curl_gets_the_time_as_text(testbed, port):
    start_web(testbed, port)
    status, headers, body = split_head(curl(testbed, "-i", f"http://127.0.0.1:{port}/"))
    assert status == 200 and headers["Content-Type"].startswith("text/plain"), headers
    print(f"curl: {body!r}")
    match = re.search(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", body)
    assert match and re.search(r"UTC|Z\b", body), body
    shown = time.strptime(f"{match[1]} {match[2]}", "%Y-%m-%d %H:%M:%S")
    assert abs(calendar.timegm(shown) - time.time()) < 2
    assert len(body) < 200 and body.endswith("\n")


@needs_program("curl")
def test_a_browser_gets_a_page(testbed, port):
    start_web(testbed, port)
    accept = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    status, headers, body = split_head(curl(testbed, "-i", "-H", accept, f"http://127.0.0.1:{port}/"))
    assert status == 200 and headers["Content-Type"].startswith("text/html"), headers
    assert body.lower().startswith("<!doctype html>") and "Accept" in headers["Vary"]


@needs_program("curl")
def test_curl_gets_the_headers_of_a_head_request(testbed, port):
    start_web(testbed, port)
    status, headers, body = split_head(curl(testbed, "-I", f"http://127.0.0.1:{port}/"))
    assert status == 200 and body == "" and int(headers["Content-Length"]) > 0
    assert abs(seconds_of(headers["Date"]) - time.time()) < 2


@needs_peer(HTPDATE)
@pytest.mark.parametrize("old", [[], ["-0"]], ids=["HTTP/1.1", "HTTP/1.0"])
def test_htpdate_agrees(testbed, port, old):
    start_web(testbed, port)
    result = testbed.run(HTPDATE, "-q", "-d", "-4", "-n", *old, f"http://127.0.0.1:{port}", timeout=30)
    output = result.out + result.err
    print(f"htpdate: {output.strip().splitlines()[-1] if output.strip() else 'no output'}")
    assert result.code == 0, result
    assert all(abs(float(offset)) <= 1 for offset in re.findall(r"[Oo]ffset:? (-?[\d.]+)", output)), output
    assert re.search(r"No time correction needed|[Oo]ffset", output), output


@needs_program("curl")
def test_health_for_a_load_balancer(testbed, port):
    start_web(testbed, port)
    code = ["-o", "/dev/null", "-w", "%{http_code}"]
    assert curl(testbed, *code, f"http://127.0.0.1:{port}/healthz") == "200"
    assert testbed.run("curl", "-q", "-sf", f"http://127.0.0.1:{port}/healthz").code == 0


def test_health_of_a_clock_that_is_not_synchronised(testbed, port):
    start_web(testbed, port, clock=f"follow 127.0.0.1:{free_port()}")
    reply = fetch(port, "/healthz")
    print(f"/healthz: {reply.body.decode()!r}")
    assert reply.status == 503 and len(reply.body.split()) >= 2
    assert fetch(port, "/").status == 200, "the page shows that itself"


def test_health_of_the_system_clock(testbed, port):
    """HTTP agrees with NTP about the clock of this machine."""
    ntp_port = free_port()
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}", clock="system")
    synchronised = ntp.query(ntp_port)[0].leap != 3
    assert fetch(port, "/healthz").status == (200 if synchronised else 503)


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/favicon.ico"])
def test_head_is_get_without_body(testbed, port, path):
    start_web(testbed, port)
    got, head = fetch(port, path), fetch(port, path, "HEAD")
    assert got.status == head.status and got.headers.keys() == head.headers.keys()
    for name in set(got.headers.keys()) - VARIABLE:
        assert got.headers[name] == head.headers[name]
    assert got.body and int(got.headers["Content-Length"]) == len(got.body)
    assert abs(int(head.headers["Content-Length"]) - len(got.body)) <= 40 and head.body == b""
    raw = send_raw(port, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert raw.endswith(b"\r\n\r\n") and raw.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_refused(testbed, port, method):
    """Also a method that libevent does not know."""
    start_web(testbed, port)
    for path in PAGES:
        reply = send_raw(port, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        if method == "BREW":
            assert status_code(reply) in (400, 405, 501, None)
            continue
        assert status_code(reply) == 405, reply[:200]
        assert re.search(rb"(?im)^Allow: GET, HEAD\r$", reply), reply[:300]
        assert reply.endswith(b"\r\n\r\nMethod not allowed: use GET or HEAD.\n"), reply


@pytest.mark.parametrize("path", ["/nothing", "/status/", "/time.json/x", "/../etc/passwd", "/%2e%2e/",
                                  "/cgi-bin/", "/METRICS", "//", "/%00"])
def test_unknown_paths(testbed, port, path):
    start_web(testbed, port)
    reply = fetch(port, path)
    assert reply.status in ((400, 404) if path in ("//", "/%00") else (404,))
    assert reply.body == b"Not found.\n" or reply.status == 400


def check_policy(policy, is_page):
    """What no default covers is refused, too. A page may load what was built in, and ask this server."""
    found = dict(directive.split(" ", 1) for directive in policy.split("; "))
    wanted = {"default-src": "'none'", "frame-ancestors": "'none'"}
    if is_page:
        for name in ("script-src", "style-src"):
            words = found.pop(name).split()
            assert words and all(re.fullmatch("'sha256-[A-Za-z0-9+/]{43}='", word) for word in words), policy
        wanted |= {"base-uri": "'none'", "form-action": "'none'", "connect-src": "'self'", "img-src": "data:"}
    assert found == wanted


def test_security_headers_of_every_reply(testbed, port):
    start_web(testbed, port)
    for path, method in [*((path, "GET") for path in [*PAGES, "/nothing"]), ("/", "POST"),
                         ("/nothing", "HEAD"), ("/time.json", "PUT")]:
        reply = fetch(port, path, method, body="x" * 1000 if method in ("POST", "PUT") else None)
        assert {name: reply.headers[name] for name in SECURITY} == SECURITY, (path, method)
        check_policy(reply.headers["Content-Security-Policy"], is_page=reply.headers.get_content_type() == "text/html")
        assert not re.search(r"libevent|[0-9]\.[0-9]", reply.headers.get("Server", "")), "no versions"
        assert reply.headers["Set-Cookie"] is None


def test_json_is_valid(testbed, port):
    start_web(testbed, port)
    for path in ("/time.json", "/cgi-bin/json?1.5", "/status.json?again"):
        reply = fetch(port, path)
        assert reply.headers["Content-Type"].startswith("application/json"), path
        assert isinstance(json.loads(reply.body), dict)


HUGE = b"x" * 65536
REFUSED = {
    "header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + HUGE + b"\r\n\r\n", {400, 413, 431, None}),
    "headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 11000 + b"\r\n", {400, 413, 431, None}),
    "path": (b"GET /" + HUGE + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400, 413, 414, 431, None}),
    "body": (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
             {200}),
    "posted body": (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
                    {405}),
    "huge body": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n" + HUGE,
                  {405, 413, None}),
    "chunks": (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\nhello\r\n0\r\n\r\n", {400, 405, 411, 413, 501}),
    "length below zero": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                          {400, 405, 413, None}),
    "length that is none": (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", {400, 413, None}),
    "zeros": (b"\0" * 1000 + b"\r\n\r\n", {400, None}),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + b"\1" * 200 + b"\r\n\r\n", {400, None}),
    "words": (b"hello\r\n\r\n", {400, 501, None}),
    "no version": (b"GET /\r\n\r\n", {400, None}),
    "another version": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", {400, 505, None}),
    "a header without a colon": (b"GET / HTTP/1.1\r\nnonsense\r\n\r\n", {400, None}),
    "a proxy's request": (b"CONNECT example.net:443 HTTP/1.1\r\nHost: example.net:443\r\n\r\n",
                          {400, 404, 405, 501, None}),
    "a bad URL": (b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "no URL": (b"GET  HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "an unknown method": (b"BREW / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {405, 501}),
    "a lower-case method": (b"get / HTTP/1.0\r\n\r\n", {400, 405, 501}),
    "an expectation": (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 5\r\n\r\nhello", {405, 417}),
    "a large body to expect": (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n",
                               {405, 413, 417}),
    "a long chunk": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"FFFF\r\n" + HUGE, {400, 405, 413, None}),
    "a bad chunk": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", {400, 405, 413, None}),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n", {400}),
    "a host of markup": (b"GET / HTTP/1.1\r\nHost: <b>x</b>\r\nConnection: close\r\n\r\n", {400}),
    "a host of control characters": (b"GET / HTTP/1.1\r\nHost: x\x1b[2J\r\nConnection: close\r\n\r\n", {400}),
    "a bad port": (b"GET / HTTP/1.1\r\nHost: x:y\r\nConnection: close\r\n\r\n", {400}),
    "a bad host in a URL": (b"GET http://a%3cb/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400}),
}


def assert_safe_headers(reply):
    """Also those that evhttp writes by itself have the headers of every reply, each once."""
    lines = reply.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    for name, value in SECURITY.items():
        assert [line for line in lines if line.lower().startswith(f"{name.lower()}:")] == [f"{name}: {value}"], reply
    [policy] = [line for line in lines if line.startswith("Content-Security-Policy: ")]
    assert "default-src 'none'" in policy and "unsafe" not in policy, policy


def test_100_continue_is_left_alone(testbed, port):
    start_web(testbed, port)
    with connect(port) as connection, connection.makefile("rb") as stream:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 5\r\n\r\n")
        assert [stream.readline(), stream.readline()] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
        connection.sendall(b"hello")
        reply = stream.read()
    assert status_code(reply) == 405
    assert_safe_headers(reply)


@pytest.mark.parametrize("host", ["x", "time.example:8037", "192.0.2.1", "[fe80::1%25eth0]:80", "[::1]", "LOCALHOST."])
def test_hosts_that_are_served(testbed, port, host):
    start_web(testbed, port)
    assert fetch(port, "/status.json", Host=host).status == 200
    host = host.replace("%25eth0", "")  # libevent refuses a zone in a URL
    assert status_code(send_raw(port, f"GET http://{host}/ HTTP/1.0\r\n\r\n".encode())) == 200


@pytest.mark.parametrize("version, ours", [("1.0", "1.0"), ("1.1", "1.1"), ("1.7", "1.1"), ("1.-5", "1.0"),
                                           ("-1.1", "1.0"), ("0.9", "1.0")])
def test_the_version_of_a_reply_is_ours(testbed, port, version, ours):
    """Not that of the request, which libevent reads as any numbers."""
    start_web(testbed, port)
    reply = send_raw(port, f"GET /time.json HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert reply.startswith(f"HTTP/{ours} 200 OK\r\n".encode()), reply[:50]


@pytest.mark.parametrize("what", REFUSED)
def test_malformed_requests_are_refused(testbed, port, what):
    """At once, and the next client is served."""
    data, statuses = REFUSED[what]
    daemon = start_web(testbed, port)
    began = time.monotonic()
    reply = send_raw(port, data)
    print(f"{what}: {status_code(reply)}")
    assert status_code(reply) in statuses, reply[:300]
    assert time.monotonic() - began < longer(3), "refused at once, not by the deadline"
    assert b"hello" not in reply.partition(b"\r\n\r\n")[2], "the reply repeats nothing of the request"
    if reply:
        assert_safe_headers(reply)
    assert fetch(port, "/healthz").status == 200 and daemon.alive()
    assert b'timeserver_http_starts_total 1\n' in fetch(port, "/metrics").body


def test_a_malformed_request_after_another_is_refused(testbed, port):
    """On the same connection, with the headers of every reply."""
    start_web(testbed, port)
    reply = send_raw(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n")
    first, second = re.split(rb"(?=HTTP/1\.\d \d{3} )", reply)[1:]
    assert (status_code(first), status_code(second)) == (200, 400), reply
    assert_safe_headers(first)
    assert_safe_headers(second)


def test_an_error_does_not_repeat_the_path(testbed, port):
    """A browser could run a script in it."""
    start_web(testbed, port)
    reply = fetch(port, "/<script>alert(1)</script>")
    assert reply.status in (400, 404) and b"script" not in reply.body


def parse_replies(stream, count):
    """Parses a number of replies from a stream."""
    for _ in range(count):
        reply = http.client.HTTPResponse(types.SimpleNamespace(makefile=lambda _: stream))
        stream.close, close = lambda: None, stream.close
        reply.begin()
        yield reply.status, reply.headers, reply.read()
        stream.close = close


def test_pipelined_requests_get_replies_in_order(testbed, port):
    """20 requests in one segment."""
    start_web(testbed, port)
    paths = ["/time.json", "/nothing", "/healthz", "/metrics"] * 5
    requests = [f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths]
    with connect(port) as connection, connection.makefile("rb") as stream:
        connection.sendall("".join(requests).encode())
        found = [(status, headers.get_content_type()) for status, headers, _
                 in parse_replies(stream, len(paths))]
    wanted = [(fetch(port, path).status, fetch(port, path).headers.get_content_type())
              for path in paths]
    assert found == wanted


def test_keep_alive_and_connection_close(testbed, port):
    start_web(testbed, port)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        for _ in range(3):
            connection.request("GET", "/time.json")
            assert connection.getresponse().read()
            assert connection.sock, "kept"
    for head in ("GET / HTTP/1.0\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"):
        assert status_code(send_raw(port, f"{head}\r\n".encode())) == 200, "and closed"


SLOW = {"sends nothing": (b"", b""), "a byte a second": (b"", b"GET / HTTP/1.1\r\nHost: x\r\n"),
        "stops in a header": (b"GET / HTTP/1.1\r\nHost: ", b""),
        "headers without end": (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 100),
        "stops after a reply": (b"GET /time.json HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        "a body of a byte a second": (b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\n", b"y" * 99)}


def dribble(connections, second):
    """Sends the next byte on each connection that has one left."""
    for what, connection in connections.items():
        rest = SLOW[what][1]
        with contextlib.suppress(OSError):
            connection.send(rest[second:second + 1] if second < len(rest) else b"")


def measure_delays(port, ntp_port):
    """The seconds until replies of the page and of NTP."""
    began = time.monotonic()
    assert fetch(port, "/").status == 200
    between = time.monotonic()
    assert ntp.query(ntp_port)[0].stratum == 10
    return between - began, time.monotonic() - between


@not_instrumented("the delay")
def test_slow_clients_time_out_and_delay_no_reply(testbed, port):
    """Clients of several kinds at once, each within 10 seconds."""
    ntp_port, ended, delays, second = free_port(), {}, [], 0
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}")
    with contextlib.ExitStack() as stack:
        connections = {what: stack.enter_context(connect(port)) for what in SLOW}
        began = time.monotonic()
        for what, connection in connections.items():
            connection.sendall(SLOW[what][0])
        while len(ended) < len(SLOW) and time.monotonic() - began < DEADLINE + 2:
            if time.monotonic() - began > second:
                dribble(connections, second)
                second += 1
            delays += measure_delays(port, ntp_port)
            ended |= {what: time.monotonic() - began for what, connection in connections.items()
                      if what not in ended and is_closed(connection)}
            time.sleep(0.05)
    print(", ".join(f"{what}: {seconds:.1f} s" for what, seconds in ended.items()))
    assert ended.keys() == SLOW.keys() and max(ended.values()) < DEADLINE + 1.5
    assert_prompt(delays)


ATTACKS = {"slowloris": ["-H", "-i", "1"], "slow body": ["-B", "-i", "1"],
           "slow read": ["-X", "-n", "1", "-z", "5", "-k", "10"]}


@needs_program("slowhttptest")
@not_instrumented("the pace")
@pytest.mark.parametrize("attack", ATTACKS)
def test_slowhttptest_delays_no_reply(testbed, port, attack):
    """300 connections. The page and NTP are served meanwhile."""
    ntp_port, delays, most = free_port(), [], 0
    daemon = start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}")
    popen, _, _ = testbed.popen(["slowhttptest", *ATTACKS[attack], "-c", "300", "-r", "300", "-l", "8",
                                 "-u", f"http://127.0.0.1:{port}/"])
    try:
        deadline = time.monotonic() + 14
        while popen.poll() is None and time.monotonic() < deadline:
            delays += measure_delays(port, ntp_port)
            most = max(most, connections_of(port))
            time.sleep(0.05)
    finally:
        popen.kill()
        popen.wait()
    print(f"{attack}: up to {most} connections at a time")
    assert_prompt(delays)
    assert len(delays) > 8 and (most > 100 or attack != "slowloris")
    assert daemon.alive() and b"\ntimeserver_http_starts_total 1\n" in fetch(port, "/metrics").body
