"""The control socket: the JSON status, the text of --signal status, and requests."""
import contextlib
import fcntl
import ipaddress
import json
import re
import socket
import subprocess
import threading
import time

import pytest

from lib import ntp
from lib.control import connect_control
from lib.daytime_client import free_port, is_daytime, query, serves
from lib.environment import longer, needs_private, USER, wait_until
from lib.http_client import fetch
from lib.ntp import query_from
from lib.testbed import directives
from lib.web_metrics import REASONS, SERVICES

PROTOCOLS = [service.replace("ntp/udp", "ntp").replace("http/tcp", "http") for service in SERVICES]
KEYS = {"version": int, "program": str, "process": int, "user": int, "confined": str, "started": str,
        "uptime": int, "upgraded": bool, "workers": int, "clock": dict, "listen": list, "protocols": dict, "dropped": dict,
        "replies": int, "own_limited": int, "kod_sent": int, "unstamped": dict, "connections": dict,
        "per_worker": list, "response_time": dict, "transmit_stamp_error": dict, "http": dict, "status": int, "state": str,
        "top_clients": list, "warnings": list, "executable": str, "source": str}
CLOCK = {"source": str, "synchronised": bool, "stratum": int, "leap": int, "reason": type(None),
         "root_delay": float, "root_dispersion": float, "root_distance": float}
HTTP = {"requests": int, "connections": int, "starts": int, "crashes": int, "response_time": dict}
MALFORMED = {"version": 1, "status": 2, "text": "malformed request"}


def start(testbed, *lines):
    return testbed.start(*directives(*lines))


def status_of(testbed):
    """The JSON status, which is one line."""
    result = testbed.server("--signal", "status", "--json")
    assert result.code == 0 and result.err == "", result
    assert result.out.count("\n") == 1 and result.out.endswith("}\n")
    return json.loads(result.out)


def types_of(found):
    return {name: type(value) for name, value in found.items()}


def send_request(testbed, request):
    """Sends a request; returns the reply, after which the connection ends."""
    with connect_control(testbed) as connection:
        connection.send(request)
        reply = connection.recv(1 << 18)
        assert connection.recv(1 << 18) == b"" and b"\n" not in reply
    return json.loads(reply)


@pytest.fixture
def served(testbed, port):
    """A daemon after valid requests: 6 of NTP, 4 of Time, 3 of Daytime and 2 of HTTP, and 1 invalid."""
    web = free_port()
    daemon = start(testbed, f"listen ntp 127.0.0.1:{port}", f"listen daytime/tcp 127.0.0.1:{port}",
                   f"listen time/tcp 127.0.0.1:{web}", f"listen http 127.0.0.2:{web}", "clock local",
                   "workers 2")
    query_from("127.0.0.1", port, 5)
    assert all(len(query(web)) == 4 for _ in range(4)) and all(is_daytime(query(port)) for _ in range(3))
    with socket.create_connection(("127.0.0.2", web)) as connection:
        connection.settimeout(longer(5))
        connection.sendall(b"GET /time.json HTTP/1.1\r\n\r\nGET /no HTTP/1.0\r\n\r\n")
        while connection.recv(4096):
            pass
    with ntp.udp_socket() as client:
        client.sendto(b"not an NTP request", ("127.0.0.1", port))
    query_from("127.0.0.1", port, 1)
    wait_until(lambda: status_of(testbed)["connections"]["open"] == 0, what="all connections to end")
    return daemon, port, web


def test_status_as_json(testbed, served):
    """Every key and its type, and every counter."""
    daemon, port, web = served
    status = status_of(testbed)
    assert types_of(status) == KEYS and types_of(status["clock"]) == CLOCK
    assert types_of(status["http"]) == HTTP and status["unstamped"] == {"requests": 0, "replies": 0}
    wanted = {"version": 1, "process": daemon.pid, "user": USER, "workers": 2, "own_limited": 0, "kod_sent": 0,
              "upgraded": False, "status": 0, "state": "serving",
              "program": testbed.server("--version", pidfile=False).out.split()[1]}
    assert {name: status[name] for name in wanted} == wanted
    counts = {"ntp": (7, 6), "time/tcp": (4, 4), "daytime/tcp": (3, 3), "http": (2, 2)}
    assert {name: tuple(count.values()) for name, count in status["protocols"].items()} == {
        name: counts.get(name, (0, 0)) for name in PROTOCOLS}
    assert status["dropped"] == {reason: int(reason == "invalid") for reason in REASONS}
    assert len(status["per_worker"]) == 2 and sum(status["per_worker"]) == 14
    assert sorted((each["protocol"], each["address"]) for each in status["listen"]) == sorted([
        ("ntp", f"127.0.0.1:{port}"), ("daytime/tcp", f"127.0.0.1:{port}"),
        ("time/tcp", f"127.0.0.1:{web}"), ("http", f"127.0.0.2:{web}")])
    assert status["http"] | {"response_time": 0, "connections": 0} == {
        "requests": 2, "connections": 0, "starts": 1, "crashes": 0, "response_time": 0}
    assert status["http"]["response_time"]["count"] == 2


def test_the_clock_and_the_time_in_json(testbed, served):
    status = status_of(testbed)
    clock = status["clock"]
    assert (clock["source"], clock["synchronised"], clock["stratum"], clock["leap"]) == (
        "local", True, 10, 0)
    distance = clock["root_delay"] / 2 + clock["root_dispersion"]
    assert abs(clock["root_distance"] - distance) < 1 / 32768 and 0 < distance < 0.1
    started = time.strptime(status["started"], "%Y-%m-%dT%H:%M:%SZ")
    assert 0 <= status["uptime"] < 60
    age = time.time() - time.mktime(started) + time.timezone
    assert abs(age - status["uptime"]) < 3, status["started"]


@pytest.mark.parametrize("name", ["response_time", "transmit_stamp_error"])
def test_histograms_in_json(testbed, port, name):
    """Some NTP replies are sampled. The buckets are cumulative."""
    start(testbed, f"listen ntp 127.0.0.1:{port}", "clock local", "workers 1")

    def found():
        query_from("127.0.0.1", port, 50)
        histogram = status_of(testbed)[name]
        return histogram["count"] > 0 and histogram
    histogram = wait_until(found, what="a sampled reply")
    bounds = [bucket["le"] for bucket in histogram["buckets"]]
    counts = [bucket["count"] for bucket in histogram["buckets"]]
    assert len(bounds) == 17 and bounds[:-1] == sorted(bounds[:-1]) and bounds[-1] is None
    assert counts == sorted(counts) and counts[-1] == histogram["count"]
    assert 0 <= histogram["sum"] < histogram["count"] * 0.1


def test_the_clock_is_null_if_no_protocol_needs_its_state(testbed, port):
    """Daytime sends the time of the system clock, whatever its state."""
    testbed.listen(port)
    assert status_of(testbed)["clock"] is None and "clock" not in testbed.status()


def test_an_unsynchronised_clock_has_a_reason(testbed, port):
    start(testbed, f"listen ntp 127.0.0.1:{port}", f"clock follow 127.0.0.1:{free_port()}")
    clock = status_of(testbed)["clock"]
    assert not clock["synchronised"] and clock["leap"] == 3 and len(clock["reason"].split()) > 1
    assert clock["source"].startswith("follow 127.0.0.1:")
    assert testbed.status()["clock"] == f"not synchronised: {clock['reason']}"


def expected_text(status):
    """The text form of a JSON status."""
    lines = [f"{name}: {status[name]}" for name in ("process", "state", "uptime", "user", "confined",
                                                    "workers")]
    lines[2] += " s"
    lines.append("clock: synchronised, stratum {stratum}, leap {leap}".format(**status["clock"]))
    lines += ["listen: {protocol} {address}".format(**each) for each in status["listen"]]
    protocols = status["protocols"]
    lines.append(f"replies: {sum(each['replies'] for each in protocols.values())}")
    assert status["replies"] == sum(each["replies"] for each in protocols.values())
    lines += [f"{name}: {each['replies']} of {each['requests']}" for name, each in protocols.items()
              if each["requests"]]
    lines += [f"{reason}: {count}" for reason, count in status["dropped"].items()]
    lines += [f"own limited: {status['own_limited']}", f"kod sent: {status['kod_sent']}"]
    lines.append("connections: {open} of {max}".format(**status["connections"]))
    return lines + [f"top client: {each['network']} {100 * each['share']:.0f} %"
                    for each in status["top_clients"]]


def test_the_text_shows_the_figures_of_the_json(testbed, served):
    def both():
        before, text, after = status_of(testbed), testbed.signal("status").out, status_of(testbed)
        return before["uptime"] == after["uptime"] and (before, text)
    status, text = wait_until(both, what="three statuses within a second")
    assert text.splitlines() == expected_text(status) and len(status["top_clients"]) == 1


@pytest.mark.parametrize("words", [[], ["--signal", "stop"], ["--signal", "reload"], ["--test"],
                                   ["--version"], ["--upgrade"]])
def test_json_requires_signal_status(testbed, port, words):
    """It is refused before anything else happens."""
    daemon = testbed.listen(port)
    result = testbed.server("--json", *words)
    assert (result.code, result.out) == (2, "") and result.err == (
        "timeserver: --json needs --signal status\nTry 'timeserver --help'.\n")
    assert daemon.alive() and serves(port)


def test_status_without_a_daemon_is_an_error(testbed):
    assert tuple(testbed.server("--signal", "status", "--json")) == (
        1, "", f"timeserver: not running (pid file {testbed.pidfile})\n")


@pytest.mark.parametrize("more", ["", "\n", " \n", ',"more":[1]'])
def test_status_at_the_socket(testbed, port, more):
    """With or without a line end, and with members that a later version may add."""
    testbed.listen(port)
    tail = f"{more}}}" if more.startswith(",") else f"}}{more}"
    status = send_request(testbed, b'{"version":1,"command":"status"' + tail.encode())
    assert status.keys() == KEYS.keys() and (status["version"], status["status"]) == (1, 0)


def test_reload_at_the_socket(testbed, port):
    """The reply comes after the reload, and has its errors."""
    added = free_port()
    config = testbed.config(f"listen daytime/tcp {port}\n")
    testbed.start("-c", config)
    config.write_text(f"listen daytime/tcp {port} {added}\n")
    assert send_request(testbed, b'{"command":"reload","version":1}') == {"version": 1, "status": 0, "text": ""}
    assert serves(added)
    config.write_text('nonsense "\xe4\\\n')
    reply = send_request(testbed, b'{"version":1,"command":"reload"}')
    assert reply["status"] == 78 and f"{config}:1: " in reply["text"]
    assert serves(port) and serves(added)


@pytest.mark.parametrize("request_", [
    {"version": 0, "command": "status"}, {"version": 2, "command": "status"},
    {"version": "1", "command": "status"}, {"version": 1.0, "command": "status"},
    {"version": None, "command": "status"}, {"command": "status"}, {"version": 1, "command": "Status"},
    {"version": 1, "command": ""}, {"version": 1, "command": "status\0"},
    {"version": 1, "command": ["status"]}, {"version": 1, "command": "stop"}], ids=json.dumps)
def test_malformed_requests_are_refused(testbed, port, request_):
    """The connection ends. "stop" is a signal, not a request."""
    daemon = testbed.listen(port)
    assert send_request(testbed, json.dumps(request_).encode()) == MALFORMED
    assert serves(port) and daemon.alive() and testbed.status()["process"] == str(daemon.pid)


def test_a_connection_takes_one_request(testbed, port):
    """It ends after the reply."""
    testbed.listen(port)
    line = b'{"version":1,"command":"status"}'
    with connect_control(testbed) as connection:
        connection.send(line)
        assert json.loads(connection.recv(1 << 18))["state"] == "serving"
        assert connection.recv(1 << 18) == b""
        with pytest.raises(BrokenPipeError):
            connection.send(line)
    assert testbed.status()["state"] == "serving"


def test_idle_connections_make_room_for_new_ones(testbed, port):
    """Eight may be open: the one that came first is closed."""
    testbed.listen(port)
    with contextlib.ExitStack() as stack:
        def connect():
            with contextlib.suppress(BlockingIOError):  # eight wait to be accepted
                return stack.enter_context(connect_control(testbed))
            return None
        connections = [wait_until(connect) for _ in range(12)]
        for connection in connections[:4]:
            assert connection.recv(100) == b""
        assert testbed.status()["state"] == "serving"
        for connection in connections[6:]:
            connection.send(b'{"version":1,"command":"status"}')
            assert json.loads(connection.recv(1 << 18))["state"] == "serving"


@needs_private("addresses of its own")
def test_top_clients_by_network(testbed, port):
    """In descending order of requests, on the control socket and not on the web."""
    subprocess.run(["ip", "addr", "add", "2001:db8:5::1/128", "dev", "lo", "nodad"], check=True)
    web = free_port()
    start(testbed, f"listen ntp {port}", f"listen daytime/tcp {port}", f"listen http 127.0.0.1:{web}",
          "clock local")
    assert status_of(testbed)["top_clients"] == []
    requests = {"127.1.1.0/24": 300, "127.2.3.0/24": 150, "2001:db8:5::/48": 100, "127.4.0.0/24": 50}
    for network, count in requests.items():
        host = str(ipaddress.ip_network(network)[1])
        query_from(host, port, count, host if ":" in host else "127.0.0.1")
    status = status_of(testbed)
    shares = {client["network"]: client["share"] for client in status["top_clients"]}
    print(", ".join(f"{network}: {share:.3f}" for network, share in shares.items()))
    assert list(shares) == list(requests)
    for network, count in requests.items():
        assert abs(shares[network] - count / 600) < 0.01
    assert 0.99 < sum(shares.values()) < 1.001
    assert re.findall("^top client: (.*)$", testbed.signal("status").out, re.MULTILINE) == [
        "127.1.1.0/24 50 %", "127.2.3.0/24 25 %", "2001:db8:5::/48 17 %", "127.4.0.0/24 8 %"]
    assert "top_clients" not in json.loads(fetch(web, "/status.json").body)


HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b\u00e9\r\n"


@contextlib.contextmanager
def false_daemon(testbed, reply):
    """A process that holds the pid file and sends reply to each request."""
    testbed.pidfile.write_text("1\n")
    path = testbed.pidfile.with_suffix(".sock")
    with open(testbed.pidfile, "r+b") as file, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 2)
        listener.bind(str(path))
        listener.listen()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        if connection.recv(1000):
                            connection.send(json.dumps(reply).encode())
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink()


@pytest.mark.parametrize("words", [["-s", "status"], ["-s", "status", "--json"], ["-s", "reload"], ["--upgrade"]])
@pytest.mark.parametrize("status", [0, 1])
def test_what_a_daemon_sends_is_printed_as_printable_text(testbed, words, status):
    """It may be one of another user, or be taken over: no escape sequence reaches the terminal."""
    reply = {"status": status, "text": f"{HOSTILE}{HOSTILE}"}
    if "status" in words:
        reply |= {"state": HOSTILE, "warnings": [HOSTILE], "protocols": {HOSTILE: {"requests": 1, "replies": 1}},
                  "clock": {"stratum": 0, "leap": 3, "reason": HOSTILE}}
    with false_daemon(testbed, reply):
        result = testbed.server(*words)
    text = result.out + result.err
    assert text and re.fullmatch(r"[ -~\n]*", text), text
    if status == 0 and "--json" in words:
        assert json.loads(result.out) == reply
    elif "reload" not in words or status != 0:
        assert "\\x1b]0;title\\x07\\x1b[2J\\xc2\\x9b" in text
