"""The web process during reloads and upgrades, and invalid hosts."""
import contextlib
import ctypes
import errno
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess

import pytest

from lib.control import reload, reloaded
from lib.daytime_client import free_port, listening_ports, refuses, serves
from lib.environment import fewer, needs_private, needs_program, not_instrumented, not_wrapped, wait_until
from lib.http_client import send_raw, start_web, status_code
from lib.socket_activation import activate
from lib.testbed import directives
from lib.web_metrics import metrics, value
from lib.web_process import serves_http, web_process_of

PIDFD_GETFD = 438  # a system call that this Python has no name for
libc = ctypes.CDLL(None, use_errno=True)


def keep(connection):
    """Sends requests until a reply keeps the connection open, which the current web process does.
    Returns the number of requests."""
    kept, count = False, 0
    while not kept:
        connection.request("GET", "/time.json")
        reply = connection.getresponse()
        reply.read()
        kept = not reply.will_close
        count += 1
    return count


def test_a_reload_closes_a_persistent_connection_after_a_reply(testbed, port):
    """The reply after the reload says "Connection: close", so that no request is lost; each is
    counted, by the old process or the new one."""
    start_web(testbed, port)
    connection, replies, closed = http.client.HTTPConnection("127.0.0.1", port, 5), 0, 0
    for _ in range(fewer(20)):
        replies += keep(connection)
        reloading, _, _ = testbed.popen(testbed.command("--signal", "reload"))
        while reloading.poll() is None or closed == 0:
            connection.request("GET", "/time.json")
            reply = connection.getresponse()
            replies += reply.status == 200 and "receive" in json.loads(reply.read())
            closed += reply.will_close
        assert closed == 1
        closed = 0
    connection.close()
    print(f"{fewer(20)} reloads: {replies} replies, none lost on a persistent connection")
    found = metrics(port)
    assert value(found, "http_requests_total", path="/time.json", code="2xx") == replies
    assert value(found, "http_crashes_total") == 0
    wait_until(lambda: value(metrics(port), "http_connections") == 1, what="all other connections to end")


@pytest.mark.parametrize("stays", [True, False], ids=["http stays", "http goes"])
def test_a_reload_kills_a_hanging_web_process(testbed, port, stays):
    """Soon after the reload, and without HTTP its port is free then."""
    ntp_port = free_port()
    lines = f"listen daytime/tcp {ntp_port}\nclock local\n"
    http = f"listen http 127.0.0.1:{port}\n"
    daemon = testbed.start("-c", testbed.config(lines + http))
    with web_process_of(daemon) as web:
        web.signal(signal.SIGSTOP)
        testbed.config(lines + http * stays)
        assert testbed.signal("reload").code == 0
        wait_until(lambda: not web.alive(), what="the web process to end")
    if stays:
        assert serves_http(port) and value(metrics(port), "http_crashes_total") == 0
    else:
        socket.create_server(("127.0.0.1", port)).close()
    assert serves(ntp_port)


def block(listener):
    listener.setblocking(True)


def shut_down(listener):
    listener.shutdown(socket.SHUT_RDWR)


def shut_down_twice(listener):
    listener.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def connect(listener):
    """Makes an outgoing connection of it, and returns the other end."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(BlockingIOError):
            listener.sendto(b"x", socket.MSG_FASTOPEN, other.getsockname())
        return other.accept()[0]


damages = pytest.mark.parametrize("damage", [shut_down, shut_down_twice, block, connect])


def damaged(web, damage):
    """Damages a listener of a web process; what damage() returns."""
    words = web.proc("cmdline").read_text().rstrip("\0").split("\0")
    taken = libc.syscall(PIDFD_GETFD, os.pidfd_open(web.pid), int(words[-1]), 0)
    assert taken >= 0, os.strerror(ctypes.get_errno())
    with socket.socket(fileno=taken) as listener:
        return damage(listener)


@needs_private("root")
@not_wrapped("descriptors")
@damages
def test_a_damaged_listener_is_restored(testbed, port, damage):
    """A compromised web process could do this to the listener that it shares with its successor."""
    daemon = start_web(testbed, port)
    with web_process_of(daemon) as web:
        _ = damaged(web, damage)
        assert not (serves_http(port) and serves_http(port))
        web.kill()
    wait_until(lambda: serves_http(port), what="a reply of the next web process")
    assert all(serves_http(port) for _ in range(5))


@needs_private("root")
@not_wrapped("descriptors")
@damages
@pytest.mark.parametrize("inherited", [False, True], ids=["own", "inherited"])
def test_a_reload_and_an_upgrade_restore_a_damaged_listener(testbed, port, damage, inherited):
    """A compromised web process of an older program, or where nothing filters its calls, could have
    damaged it."""
    with contextlib.ExitStack() as stack:
        if inherited:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", port)))
            old = activate(testbed, [listener], "-o", "clock local", names="http")
            wait_until(lambda: serves_http(port), what="HTTP")
        else:
            old = start_web(testbed, port)
        web = stack.enter_context(web_process_of(old))
        held = [damaged(web, damage)]
        assert testbed.signal("reload").code == 0 and all(serves_http(port) for _ in range(5))
        web = stack.enter_context(web_process_of(old))
        held.append(damaged(web, damage))
        new = testbed.start("--upgrade", *directives(f"listen http 127.0.0.1:{port}", "clock local"))
        old.wait_gone()
        assert all(serves_http(port) for _ in range(5)) and len(held) == 2
        new.stop()


def environment_of(process):
    return process.proc("environ").read_bytes().split(b"\0")[:-1]


@not_instrumented("the environment")
def test_the_web_process_gets_no_secret_of_the_environment(testbed, port):
    """Only what the loader needs to find the same libraries."""
    daemon = testbed.start(*directives("clock local", f"listen http 127.0.0.1:{port}"),
                           env={"TOKEN": "secret", "LD_LIBRARY_PATH": "/nowhere", "LD_LIBRARY": "no"})
    with web_process_of(daemon) as web:
        assert environment_of(web) == [b"LD_LIBRARY_PATH=/nowhere"]
    assert b"TOKEN=secret" in environment_of(daemon)


@needs_private("root")
@pytest.mark.parametrize("own, expected", [(0, 10), (12, 12)])
def test_the_web_process_has_a_lower_priority(testbed, port, own, expected):
    """So that pages delay no reply. A priority that is lower already stays."""
    more = own - os.getpriority(os.PRIO_PROCESS, 0)
    daemon = testbed.start(*directives("clock local", f"listen http 127.0.0.1:{port}"), before=["nice", "-n", more])
    with web_process_of(daemon) as web:
        found = [os.getpriority(os.PRIO_PROCESS, process.pid) for process in (daemon, web)]
    if found[0] != own:
        pytest.skip("needs the right to raise a priority")
    assert found == [own, expected]


@not_instrumented("the sandbox")
@needs_program("strace")
@pytest.mark.parametrize("call, restriction, error", [
    ("landlock_restrict_self", "cannot restrict its paths", errno.ENOMEM),
    ("prctl", "cannot restrict its system calls", errno.ENOMEM),
    ("prctl", "cannot restrict its system calls", errno.EPERM),
    ("prctl", "cannot restrict its system calls", errno.EINVAL)])
def test_a_web_process_that_cannot_be_confined_does_not_start(testbed, port, call, restriction, error):
    """The kernel has the restriction, but fails; the daemon got it. strace counts the calls of each process: the first prctl of a
    web process names it."""
    if "paths" not in testbed.server("--version").out or "system calls" not in testbed.server("--version").out:
        pytest.skip("needs Landlock and seccomp")
    inject = f"inject={call}:error={errno.errorcode[error]}:when={2 if call == 'prctl' else 1}"
    failed = testbed.server(*directives(f"listen http 127.0.0.1:{port}", "clock local"),
                            before=["strace", "-D", "-f", "-o", testbed.root / "trace", "-e", inject])
    reason = f"timeserver: cannot start the web process: {restriction}: {os.strerror(error)}\n"
    assert tuple(failed) == (1, "", reason)
    assert testbed.files() == [] and port not in listening_ports()


@not_instrumented("threads")
@needs_private("another user")
def test_a_failed_replacement_leaves_the_current_web_process(testbed, port):
    """The user is limited to four threads, all of which are in use."""
    user = random.randrange(1 << 17, 1 << 30)
    os.chown(testbed.dir, user, user)
    config = testbed.config(f"listen http 127.0.0.1:{port}\nclock local\nworkers 1\n")
    server = testbed.foreground("-n", "-c", config, before=["prlimit", "--nproc=4:4"], user=user, group=user,
                                extra_groups=[])
    wait_until(lambda: serves_http(port), what="the first reply")
    with web_process_of(server) as web:
        result = testbed.signal("reload")
        words = (r"cannot start the web process: .*: HTTP is unchanged, retrying\n")
        assert result.code == 1 and re.fullmatch(f"timeserver: {words}", result.err), result
        wait_until(lambda: re.search(words + ".*reloaded: serving", server.log()), what="the log record")
        assert web.alive() and serves_http(port)


@contextlib.contextmanager
def others_of(user, count):
    """Other processes of a user, which count against its limit."""
    others = [subprocess.Popen(["sleep", "300"], user=user, group=user, extra_groups=[]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def start_limited(testbed, *lines):
    """A daemon of a user who may have 8 threads; it has 3 without the web process. Returns it and the
    user."""
    user = random.randrange(1 << 17, 1 << 30)
    os.chown(testbed.dir, user, user)
    config = testbed.config("".join(f"{line}\n" for line in ("clock local", "workers 1", *lines)))
    return testbed.foreground("-n", "-c", config, before=["prlimit", "--nproc=8:8"], user=user, group=user,
                              extra_groups=[]), user


@not_instrumented("threads")
@needs_private("another user")
def test_a_reload_that_adds_http_in_vain_changes_nothing(testbed, port):
    """The web process cannot be started: the user has no process left."""
    old, new = free_port(), free_port()
    ntp = f"listen ntp 127.0.0.1:{old}"
    server, user = start_limited(testbed, ntp, f"listen daytime/tcp 127.0.0.1:{old}")
    wait_until(lambda: serves(old))
    lines = (ntp, "clock local", "workers 1", f"listen daytime/tcp 127.0.0.1:{new}", f"listen http 127.0.0.1:{port}")
    with others_of(user, 5):
        code, out, err = reload(testbed, *lines)
        assert code == 1 and out == "" and re.fullmatch("timeserver: cannot start the web process: .*\n", err), err
        assert serves(old) and not serves(new) and refuses(port)
        assert "reload failed: the current configuration stays in effect" in server.log()
        assert testbed.status()["listen"] == [f"ntp 127.0.0.1:{old}", f"daytime/tcp 127.0.0.1:{old}"]
    assert reload(testbed, *lines) == reloaded(server)
    assert serves(new) and not serves(old) and serves_http(port)


@not_instrumented("threads")
@needs_private("another user")
def test_http_is_refused_while_there_is_no_web_process(testbed, port):
    """It ends, and cannot be started again: browsers do not wait without end."""
    server, user = start_limited(testbed, f"listen http 127.0.0.1:{port}")
    wait_until(lambda: serves_http(port), what="the first reply")
    with web_process_of(server) as web, others_of(user, 5):
        web.kill()
        wait_until(lambda: refuses(port), 20, "the refusal")
        assert all(testbed.signal("status").code == 0 and refuses(port) for _ in range(5))
        assert reload(testbed, "clock local", "workers 1", f"listen http 127.0.0.1:{port}", "deny 192.0.2.1")[0] == 1
        wait_until(lambda: refuses(port), 20, "the refusal after the reload")
    wait_until(lambda: serves_http(port), 20, "the next web process")


@not_instrumented("threads")
@needs_private("another user")
def test_an_upgrade_while_http_is_refused(testbed, port):
    """The new process takes over the listener, and can start a web process."""
    server, user = start_limited(testbed, f"listen http 127.0.0.1:{port}")
    wait_until(lambda: serves_http(port), what="the first reply")
    with web_process_of(server) as web, others_of(user, 5):
        web.kill()
        wait_until(lambda: refuses(port), 20, "the refusal")
        testbed.start("--upgrade", "-c", testbed.dir / "t.conf")
        assert server.wait() == 0 and all(serves_http(port) for _ in range(10))


@pytest.mark.parametrize("host", [b"x\xe4", b"<b>", b'"', b"a b", b""])
@pytest.mark.parametrize("path", [b"/cgi-bin/json", b"/status", b"/"])
def test_an_invalid_host_is_not_repeated(testbed, port, path, host):
    """It is refused; an empty one is as none."""
    start_web(testbed, port)
    reply = send_raw(port, b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nAccept: text/html\r\n"
                     b"Connection: close\r\n\r\n")
    assert status_code(reply) == (400 if host else 200) and b"<b>" not in reply and b"x\xe4" not in reply
    if path == b"/cgi-bin/json" and not host:
        assert json.loads(reply.partition(b"\r\n\r\n")[2])["id"] == "timeserver"


@pytest.mark.parametrize("host", ["h\udce4.example", 'a"b', "a\\b", "a/b"])
def test_an_invalid_host_cannot_be_followed(testbed, host):
    result = testbed.server("-t", "-o", f"clock follow {host}")
    assert result.code == 78 and "expected HOST[:PORT]" in result.err


@pytest.mark.parametrize("mode", [[], ["-t"]])
@pytest.mark.parametrize("last, place", [("127.0.1.1:{}", 66), ("*:{}", 65)])
def test_more_than_64_addresses_of_http(testbed, port, mode, last, place):
    lines = ["clock local", *(f"listen http 127.0.0.{i}:{port}" for i in range(1, place - 1))]
    lines.append("listen http " + last.format(port + 1))
    result = testbed.server(*mode, *directives(*lines))
    assert (result.code, result.err) == (
        78, f"option:{place}: listen: {last.format(port + 1)}: too many addresses for http (more than 64)\n")
    assert testbed.processes() == []


def count_listeners(port):
    """The number of listeners at a port, IPv4 and IPv6."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{name}", encoding="ascii")]
    return sum(line[1].endswith(f":{port:04X}") and line[3] == "0A" for line in lines)


@not_instrumented("the number of threads")
def test_many_workers_and_one_web_process(testbed, port):
    """HTTP has one listener for each address, also where other protocols have many shards, and after
    reloads and upgrades."""
    words = ["-c", testbed.config(f"listen ntp {free_port()}\nlisten http *:{port}\nclock local\nworkers 40\n")]
    testbed.start(*words)
    wanted = count_listeners(port)
    assert wanted in (1, 2)
    for change in (lambda: testbed.signal("reload"), lambda: testbed.server("--upgrade", *words)) * 2:
        result = change()
        assert result.code == 0, result
        assert count_listeners(port) == wanted and all(serves_http(port) for _ in range(20))
