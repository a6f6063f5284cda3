"""Under a service manager: no forking, sd_notify, watchdog, inherited sockets, another user."""
import contextlib
import os
import pathlib
import signal
import socket
import statistics
import time

import pytest

from lib.daytime_client import is_daytime, query, serves
from lib.environment import (as_nobody, longer, needs_private, needs_program, NOBODY, not_instrumented,
                             not_wrapped, wait_until)
from lib.process import read_back, read_within
from lib.socket_activation import activate

BIND_SERVICE = 1 << 10


def ntp_replies(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.sendto(b"\x23" + bytes(47), ("127.0.0.1", port))
        try:
            return len(client.recv(100)) == 48
        except OSError:
            return False


class Manager:
    """A service manager that listens at NOTIFY_SOCKET."""

    def __init__(self, path, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(longer(5))
        self.socket.bind(path)
        self.environment = {"NOTIFY_SOCKET": name}

    def next(self):
        """The variables of the next message."""
        text = self.socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def waiting(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                yield self.next()


@pytest.fixture(params=["path", "abstract"])
def manager(request, testbed):
    name = str(testbed.dir / "notify") if request.param == "path" else f"@{testbed.token}"
    manager = Manager(name.replace("@", "\0"), name)
    yield manager
    manager.socket.close()


def microseconds():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_start_reload_and_stop_are_notified(testbed, port, manager):
    config = testbed.config(f"listen daytime/tcp {port}\n")
    server = testbed.foreground("-c", config, env=manager.environment)
    ready = manager.next()
    assert ready["READY"] == "1" and ready["STATUS"] == f"serving daytime on tcp {port}"
    assert is_daytime(query(port)), "it serves when it says READY"
    assert os.getsid(server.pid) == os.getsid(0) and server.popen.poll() is None

    before = microseconds()
    assert testbed.signal("reload").code == 0
    reloading = manager.next()
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= microseconds()
    assert manager.next()["READY"] == "1"

    config.write_text("nonsense\n")
    assert testbed.signal("reload").code == 78
    assert [manager.next().get("RELOADING"), manager.next().get("READY")] == ["1", "1"]

    server.stop()
    assert manager.next()["STOPPING"] == "1" and server.popen.returncode == 0
    lines = server.log().splitlines()
    assert lines and all(line.startswith("<") for line in lines), "each line has a level for the journal"


def test_a_failed_start_is_never_ready(testbed, port, manager):
    with socket.create_server(("", port)):
        result = testbed.server("-o", f"listen daytime/tcp {port}", env=manager.environment)
    assert result.code == 1 and list(manager.waiting()) == []
    assert result.err.endswith(f"cannot listen on tcp {port}: Address already in use\n")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["/nowhere/at/all", "@no-such-socket", "nonsense", "",
                                  "/" + "x" * 200])
def test_an_unusable_notify_socket_is_ignored(testbed, port, name):
    server = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}", env={"NOTIFY_SOCKET": name})
    wait_until(lambda: serves(port), what="a reply")
    server.stop()
    assert server.popen.returncode == 0


@not_instrumented("the delay")
def test_a_manager_that_reads_nothing_delays_no_reply(testbed, port):
    """Its queue is full. Reloads succeed."""
    manager = Manager(f"\0{testbed.token}", f"@{testbed.token}")
    server = testbed.foreground("-o", f"listen daytime/tcp {port}", env=manager.environment)
    wait_until(lambda: serves(port))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"STATUS=full", f"\0{testbed.token}")
    for _ in range(3):
        server.signal(signal.SIGHUP)
        began = time.monotonic()
        assert is_daytime(query(port)) and time.monotonic() - began < 0.5
    manager.socket.close()


@not_instrumented("the pace")
def test_watchdog(testbed, port):
    """A message at half the interval, so that one may be late."""
    manager = Manager(f"\0{testbed.token}", f"@{testbed.token}")
    testbed.foreground("-o", f"listen daytime/tcp {port}",
                       env=manager.environment | {"WATCHDOG_USEC": "400000"})
    assert manager.next()["READY"] == "1"
    moments = []
    while len(moments) < 5:
        if manager.next().get("WATCHDOG") == "1":
            moments.append(time.monotonic())
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:])]
    assert 0.15 < statistics.median(gaps) < 0.3, gaps
    manager.socket.close()


def test_no_watchdog_for_another_process(testbed, port):
    manager = Manager(f"\0{testbed.token}", f"@{testbed.token}")
    server = testbed.foreground("-o", f"listen daytime/tcp {port}", env=manager.environment | {
        "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())})
    assert manager.next()["READY"] == "1"
    time.sleep(0.2)
    assert list(manager.waiting()) == [] and server.alive()
    manager.socket.close()


def served_by(listener):
    return serves(*reversed(listener.getsockname()[:2]))


@pytest.mark.parametrize("names", [None, "daytime/tcp", "other", "", "::"])
def test_an_inherited_socket_is_served(testbed, names):
    """The built-in listener is not opened. The next server can inherit the same socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = activate(testbed, [listener], "-o", "clock system", names=names)
        wait_until(lambda: served_by(listener), what="a reply")
        assert len(testbed.status()["listen"]) == 1 and os.getsid(server.pid) == os.getsid(0)
        assert testbed.signal("reload").code == 0
        assert served_by(listener)
        server.stop()
        again = activate(testbed, [listener], "-o", "clock system")
        wait_until(lambda: served_by(listener), what="a reply of the next server")
        again.stop()


def test_inherited_sockets_and_listen_lines(testbed, port):
    """A line with the address of an inherited socket uses it, another line opens its own, and a socket
    without a line serves Daytime."""
    with socket.create_server(("127.0.0.1", 0)) as first, \
            socket.create_server(("::1", 0), family=socket.AF_INET6) as second:
        line = f"listen daytime/tcp 127.0.0.1:{first.getsockname()[1]} 127.0.0.1:{port}"
        server = activate(testbed, [first, second], "-o", line, names="a:daytime/tcp")
        wait_until(lambda: serves(port), what="a reply")
        assert served_by(first) and served_by(second) and len(testbed.status()["listen"]) == 3
        server.stop()


def test_sockets_for_another_process_are_not_used(testbed, port):
    """LISTEN_PID is another process: they are closed, and it becomes a daemon as usual."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = activate(testbed, [listener], "-o", f"listen daytime/tcp {port}", env={"OFF": "1"},
                          start=testbed.server)
        assert result.code == 0 and serves(port)
        number = listener.getsockname()[1]
    with socket.create_server(("127.0.0.1", number)):
        pass


def test_an_inherited_socket_that_was_shut_down_listens_again(testbed, port):
    """The service manager keeps a socket that a web process had damaged before the daemon ended."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.shutdown(socket.SHUT_RDWR)
        server = activate(testbed, [listener], "-o", "clock system")
        wait_until(lambda: serves(port), what="a reply")
        server.stop()


def test_an_inherited_udp_socket_that_was_shut_down_is_an_error(testbed, port):
    """Nothing repairs it; served, it would take a whole core and give no reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", port))
        with contextlib.suppress(OSError):  # ENOTCONN, and it is shut down
            bound.shutdown(socket.SHUT_RDWR)
        server = activate(testbed, [bound], "-o", "clock system")
        assert server.wait() == 1
        assert server.log().endswith("inherited descriptor 3: was shut down: restart its socket unit\n")


def test_an_inherited_socket_that_is_a_connection_listens_at_all_addresses(testbed, port):
    """As a web process can make one by MSG_FASTOPEN: its own address is then that of one interface."""
    with socket.create_server(("127.0.0.1", 0)) as peer, socket.create_server(("", port)) as listener:
        listener.shutdown(socket.SHUT_RDWR)
        listener.connect(peer.getsockname())
        assert listener.getsockname()[0] == "127.0.0.1"
        server = activate(testbed, [listener], "-o", f"listen daytime/tcp 0.0.0.0:{port}")
        wait_until(lambda: serves(port, "127.0.0.2"), what="a reply")
        assert len(testbed.status()["listen"]) == 1
        server.stop()


@pytest.mark.parametrize("address", ["", "127.0.0.1"])
def test_an_inherited_udp_socket_that_was_connected_receives_from_all(testbed, port, address):
    """As an attacker in the daemon can leave it to the next one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as damaged:
        damaged.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        damaged.bind((address, port))
        damaged.connect(("127.0.0.2", 9))
        server = activate(testbed, [damaged], "-o", "clock local", names="ntp")
        wait_until(lambda: ntp_replies(port), what="a reply")
        assert damaged.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16) == b"lo\0"
        server.stop()


@pytest.mark.parametrize("kind", ["file", "unix", "not listening"])
def test_an_inherited_descriptor_that_is_not_a_listener_is_an_error(testbed, kind):
    with contextlib.ExitStack() as stack:
        if kind == "file":
            thing = stack.enter_context(open("/dev/null"))
        else:
            family = {"unix": socket.AF_UNIX, "not listening": socket.AF_INET}[kind]
            thing = stack.enter_context(socket.socket(family))
        result = activate(testbed, [thing], "-o", "clock system", start=testbed.server)
    assert tuple(result) == (1, "", "timeserver: inherited descriptor 3: "
                             "is neither a listening TCP socket nor a UDP socket\n")
    assert testbed.files() == []


@needs_private("a process namespace")
@needs_program("unshare")
@not_wrapped("process 1")
def test_as_process_1(testbed, port):
    """As in a container: it does not fork, and SIGTERM from outside stops it."""
    outer, _, err = testbed.popen(["unshare", "--pid", "--fork", "--mount-proc",
                                   *testbed.command("-o", f"listen daytime/tcp {port}")])
    wait_until(lambda: serves(port), what="a reply")
    assert testbed.pidfile.read_text() == "1\n"
    inner = next(pid for pid in testbed.processes() if pid != outer.pid)
    assert os.path.exists(f"/proc/{inner}") and len(testbed.processes()) == 2
    wait_until(lambda: "serving" in read_back(err), what="a log at standard error")
    os.kill(inner, signal.SIGTERM)
    assert outer.wait(5) == 0 and testbed.files() == []


@needs_private("root, to give up its rights")
@pytest.mark.parametrize("how", ["option", "directive", "foreground"])
def test_it_changes_to_the_configured_user(testbed, how):
    """It keeps the low port, the capability for others, and no group. Its files belong to the user."""
    words = {"option": ["--user", "nobody"], "directive": ["-o", "user nobody"],
             "foreground": ["-n", "-u", "nobody"]}[how]
    command = [*words, "-o", "listen daytime/tcp 13"]
    pathlib.Path("/run/timeserver").mkdir(exist_ok=True)
    begin = testbed.foreground if how == "foreground" else testbed.start
    daemon = begin(*command, pidfile=False, extra_groups=[0, 4, 27])
    wait_until(lambda: serves(13), what="a reply")
    for field in ("Uid", "Gid"):
        assert daemon.status(field).split() == [str(NOBODY)] * 4
    assert daemon.status("Groups").split() in ([str(NOBODY)], [])
    for field, expected in [("CapPrm", BIND_SERVICE), ("CapEff", BIND_SERVICE), ("CapAmb", 0), ("CapInh", 0)]:
        assert int(daemon.status(field), 16) == expected
    assert os.stat("/run/timeserver/timeserver.sock").st_uid == NOBODY
    testbed.pidfile = pathlib.Path("/run/timeserver/timeserver.pid")
    assert testbed.signal("status", **as_nobody()).out.startswith(f"process: {daemon.pid}\n")
    assert testbed.signal("reload", **as_nobody()).code == 0
    assert testbed.signal("stop", **as_nobody()).code == 0
    assert os.listdir("/run/timeserver") == []


@needs_private("root, to give up its rights")
def test_starts_as_root_and_as_a_user_in_turn(testbed, port):
    """The directory belongs to nobody then. Root and nobody can start again in turn."""
    for words in (["-u", "nobody"], ["-u", "root"], [], ["-u", "nobody"]):
        testbed.start("-o", f"listen daytime/tcp {port}", *words, pidfile=False)
        assert testbed.server("-s", "stop", pidfile=False).code == 0


@not_wrapped("the list of descriptors")
def test_no_descriptor_is_inherited_in_the_foreground(testbed, port):
    reader, writer = os.pipe()
    server = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}", pass_fds=[writer],
                                cwd=testbed.dir)
    os.close(writer)
    wait_until(lambda: serves(port))
    assert read_within(reader, 1) == b"" and os.readlink(server.proc("cwd")) == "/"
    os.close(reader)


def test_a_full_pipe_as_log_delays_no_reply(testbed, port):
    """In the foreground, with the pipe as standard error."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    server = testbed.foreground("-n", "-o", f"listen daytime/tcp {port}", stderr=writer)
    os.close(writer)
    wait_until(lambda: serves(port), what="a reply")
    for _ in range(10):
        assert testbed.signal("reload").code == 0
    assert is_daytime(query(port))
    os.close(reader)
    assert testbed.signal("reload").code == 0, "the pipe is closed"
    assert server.alive() and is_daytime(query(port))


def test_both_programs_have_the_same_version(testbed):
    server, client = testbed.server("-V", pidfile=False), testbed.client("-V")
    assert server.out.split()[1] == client.out.split()[1]
