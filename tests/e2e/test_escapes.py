"""Text of other processes and of file names reaches a terminal, a page and a log as printable ASCII."""
import json
import os
import re
import socket
import threading

import pytest

from lib.control import connect_control
from lib.environment import needs_private
from lib.http_client import fetch, start_web
from lib.neighbour import ip, neighbour
from lib.testbed import directives

EVIL = "\x1b]0;x\x07\x1b[2J\u009b31m\x7f\r\u202e\n!"
SHOWN = r"\x1b]0;x\x07\x1b[2J\xc2\x9b31m\x7f\r\xe2\x80\xae"


def evil(value):
    """The same JSON with EVIL in each text."""
    if isinstance(value, dict):
        return {name + EVIL * (name == "denied"): evil(member) for name, member in value.items()}
    if isinstance(value, list):
        return [evil(item) for item in value]
    return value + EVIL if isinstance(value, str) else value


class FakeDaemon:
    """A process at the control socket that gives the same reply to each request."""

    def __init__(self, path, reply):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(str(path))
        self.socket.listen()
        self.reply, self.stopped = json.dumps(reply, ensure_ascii=False).encode(), False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            peer, _ = self.socket.accept()
            with peer:
                if self.stopped:
                    return
                if peer.recv(1000):
                    peer.send(self.reply)

    def close(self, path):
        self.stopped = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as last:
            last.connect(str(path))
        self.thread.join()
        self.socket.close()


@pytest.fixture
def status(testbed, port):
    """The status of a daemon that has ended."""
    daemon = testbed.start(*directives(f"listen ntp {port}", "clock local"))
    with connect_control(testbed) as control:
        control.send(b'{"version":1,"command":"status"}')
        found = json.loads(control.recv(1 << 18))
    daemon.stop()
    return found


@pytest.fixture
def pretend(testbed):
    """Starts a daemon that gives this reply."""
    path, started = testbed.pidfile.with_suffix(".sock"), []

    def start(reply):
        started.append(FakeDaemon(path, reply))
    yield start
    for daemon in started:
        daemon.close(path)


def is_printable(text):
    return not re.search(r"[^\n -~]", text)


def test_a_status(testbed, status, pretend):
    """A text cannot begin a line of its own, either."""
    pretend(evil(status) | {"warnings": [EVIL], "top_clients": [{"network": EVIL, "share": 0.5}]})
    result = testbed.signal("status")
    assert (result.code, result.err) == (0, "") and is_printable(result.out)
    assert f"state: serving{SHOWN}" in result.out and f"warning: {SHOWN}" in result.out
    assert f"denied{SHOWN}" in result.out and "\n!" not in result.out


def test_a_status_as_json(testbed, status, pretend):
    reply = evil(status)
    pretend(reply)
    result = testbed.server("--signal", "status", "--json")
    assert (result.code, result.err) == (0, "") and is_printable(result.out)
    assert json.loads(result.out) == reply and result.out.count("\n") == 1


@pytest.mark.parametrize("words", [["-s", "status"], ["-s", "status", "--json"], ["-s", "reload"], ["--upgrade"]])
@pytest.mark.parametrize("text", [EVIL, EVIL + "\nsecond line\n"])
def test_a_refusal(testbed, pretend, words, text):
    pretend({"version": 1, "status": 1, "text": text})
    result = testbed.server(*words)
    assert result.code == 1 and is_printable(result.out + result.err), result
    assert r"\x1b[2J" in result.err or words == ["--upgrade"]


def test_warnings_of_a_reload(testbed, pretend):
    pretend({"version": 1, "status": 0, "text": f"timeserver: {EVIL}\n"})
    result = testbed.signal("reload")
    assert result.code == 0 and f"timeserver: {SHOWN}\n" in result.err and is_printable(result.err)


def test_a_failure_on_the_terminal(testbed):
    """A start, a test and a command that fail, with escapes in a file name and in a word."""
    path = testbed.dir / "\x1b[2J\x07" / "t.pid"
    for words in (["-p", path], ["-s", "stop", "-p", path], ["-s", "status", "-p", path], ["-t", "-c", path],
                  ["-o", f"pidfile {path}"], ["-o", "user \x1b[2J\x07"]):
        result = testbed.server(*words, pidfile=False)
        assert result.code != 0 and r"\x1b[2J\x07" in result.err, result
        assert is_printable(result.out + result.err)


def test_names_of_files_on_the_terminal(testbed):
    """Of a zone that cannot be read, and of a valid configuration."""
    zone = testbed.dir / "zone\x1b[2J\x07"
    os.mkfifo(zone)
    result = testbed.server(env={"TZ": str(zone)})
    assert result.code == 1 and r"zone\x1b[2J\x07: Is a FIFO" in result.err and is_printable(result.err)
    result = testbed.server("-t", "-c", testbed.config("clock local\n", "\x1b[2J\x07"))
    assert result.code == 0 and r"/\x1b[2J\x07: valid configuration" in result.out and is_printable(result.out)


@needs_private("an interface of its own")
def test_the_name_of_an_interface(testbed, port):
    """A name with other characters than usual ones is shown as the interface's number."""
    name = '<b>&"\x1b\u00e9'
    with neighbour("odd"):
        index = socket.if_nametoindex("odd0")
        ip("link set odd0 down")
        testbed.run("ip", "link", "set", "odd0", "name", name)
        try:
            assert socket.if_nametoindex(name) == index
            testbed.run("ip", "link", "set", name, "up")
            testbed.run("ip", "addr", "add", "fe80::7/64", "dev", name, "nodad")
            start_web(testbed, port, f"listen daytime/tcp [fe80::7%{index}]:{port}")
            shown = f"[fe80::7%{index}]:{port}"
            assert f"daytime/tcp {shown}" in testbed.status()["listen"]
            assert shown in [listen["address"] for listen in json.loads(fetch(port, "/status.json").body)["listen"]]
            assert shown.encode() in fetch(port, "/status").body
            assert not re.search(rb'<b>&|&lt;b|\x1b', fetch(port, "/status").body + fetch(port, "/metrics").body)
        finally:
            testbed.run("ip", "link", "set", name, "down")
            testbed.run("ip", "link", "set", name, "name", "odd0")
