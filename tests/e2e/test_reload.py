"""Reload: all or nothing, and nobody who is being served notices."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import threading

import pytest

from lib.control import connect_control, listener_of, reload, reloaded, start_with_file
from lib.daytime_client import free_port, is_daytime, query, receive_all, serves
from lib.environment import as_nobody, fewer, longer, needs_private, NOBODY, wait_until
from lib.isolate import mounted, MS_BIND


ZONES = pathlib.Path("/usr/share/zoneinfo")


@contextlib.contextmanager
def asked_all_the_time(port):
    """Clients that query one after the other; yields what they got: every answer has to be whole."""
    answers, errors, enough = [], [], threading.Event()

    def keep_asking():
        while not enough.is_set():
            try:
                answers.append(query(port))
            except OSError as error:
                errors.append(error)
    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert not errors and all(map(is_daytime, answers)), (errors[:3], len(errors), len(answers))


def test_added_and_removed_listeners(testbed, port):
    added = free_port()
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    kept = listener_of(daemon, port)
    assert reload(testbed, f"listen daytime/tcp {port} {added}") == reloaded(daemon)
    assert serves(port) and serves(added) and listener_of(daemon, port) == kept
    assert reload(testbed, f"listen daytime/tcp {added}") == reloaded(daemon)
    assert serves(added) and not serves(port)
    assert testbed.status()["listen"] == [f"daytime/tcp 0.0.0.0:{added}", f"daytime/tcp [::]:{added}"]


def test_the_signal_does_the_same(testbed, port):
    added = free_port()
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    testbed.config(f"listen daytime/tcp {added}\n")
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: serves(added) and not serves(port), what="the new listener")


def test_every_word_of_a_bad_file_is_told_and_nothing_changes(testbed, port):
    """To whoever asked, with status 78, and to the log."""
    config = testbed.config(f"listen daytime/tcp {port}\n")
    server = testbed.foreground("-n", "-c", config)
    wait_until(lambda: serves(port))
    code, out, err = reload(testbed, f"listen daytime/tcp {free_port()}", "listen daytime/tcp x",
                            "nonsense")
    problems = [f"{config}:2: listen: 'x': expected ADDRESS or [ADDRESS:]PORT, with ADDRESS an IPv4 "
                "or [IPv6] address or *, and PORT from 1 to 65535",
                f"{config}:3: nonsense: unknown directive"]
    assert (code, out, err.splitlines()) == (78, "", problems)
    assert serves(port) and len(testbed.status()["listen"]) == 2
    log = [line for line in server.log().splitlines() if str(config) in line]
    assert log == [f"timeserver: {line}" for line in problems]
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.log().count("3: nonsense") == 2, what="the log of another reload")
    assert reload(testbed, f"listen daytime/tcp {port}") == reloaded(server)


def test_more_errors_than_a_reply_has_room_for(testbed, port):
    """As many as it has, and how many there are more."""
    config = testbed.config(f"listen daytime/tcp {port}\n")
    server = testbed.foreground("-n", "-c", config)
    wait_until(lambda: serves(port))
    code, out, err = reload(testbed, *["nonsense"] * 6000)
    *lines, last = err.splitlines()
    assert (code, out) == (78, "") and 300 < len(lines) < 6000
    assert lines == [f"{config}:{i}: nonsense: unknown directive" for i in range(1, len(lines) + 1)]
    assert last == f"timeserver: {6000 - len(lines)} more errors"
    assert server.log().splitlines()[-2] == last and serves(port)


def test_a_file_that_is_gone_or_empty(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    config = testbed.dir / "t.conf"
    config.unlink()
    assert tuple(testbed.server("-s", "reload")) == (
        78, "", f"timeserver: cannot read {config}: No such file or directory\n")
    assert serves(port) and daemon.alive()


def test_a_listener_that_cannot_be_opened_changes_nothing(testbed, port):
    """Not even those that could be: all or nothing."""
    free, config = free_port(), testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.foreground("-n", "-c", config)
    wait_until(lambda: serves(port))
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        assert reload(testbed, f"listen daytime/tcp {free} {taken}") == (
            1, "", f"timeserver: cannot listen on tcp {taken}: Address already in use\n")
        assert serves(port) and not serves(free)
    assert f"\ntimeserver: cannot listen on tcp {taken}: " in daemon.log()
    assert reload(testbed, f"listen daytime/tcp {free} {taken}") == reloaded(daemon)
    assert serves(free) and serves(taken) and not serves(port)


@needs_private("an ordinary user, and low ports that need a right")
def test_a_low_port_that_root_did_not_open(testbed, port):
    """After the change to an ordinary user one that root opened stays, a new one is refused."""
    daemon = start_with_file(testbed, "listen daytime/tcp 13", "user nobody")
    os.chmod(testbed.dir, 0o755)
    assert reload(testbed, "listen daytime/tcp 13 37", "user nobody") == (
        77, "", "timeserver: cannot listen on tcp 37: Permission denied\n")
    assert reload(testbed, f"listen daytime/tcp 13 {port}", "user nobody") == reloaded(daemon)
    assert serves(13) and serves(port)


@pytest.mark.parametrize("narrow", ["127.0.0.1:{}", "127.0.0.1:{0} [::1]:{0}"])
def test_from_every_address_to_one_and_back(testbed, port, narrow):
    daemon = start_with_file(testbed, f"listen daytime/tcp *:{port}")
    for _ in range(3):
        assert reload(testbed, f"listen daytime/tcp {narrow.format(port)}") == reloaded(daemon)
        assert serves(port) and not serves(port, "127.0.0.2")
        assert serves(port, "::1") == ("::1" in narrow)
        assert reload(testbed, f"listen daytime/tcp *:{port}") == reloaded(daemon)
        assert serves(port) and serves(port, "127.0.0.2") and serves(port, "::1")


@needs_private("an ordinary user")
def test_from_every_address_to_one_and_back_as_an_ordinary_user(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp *:{port}", "user nobody")
    for _ in range(2):
        for place in (f"127.0.0.1:{port}", f"*:{port}"):
            assert reload(testbed, f"listen daytime/tcp {place}", "user nobody") == reloaded(daemon)
            assert serves(port)


def test_no_client_notices_20_reloads(testbed, port):
    """One listener stays, another comes and goes."""
    other = free_port()
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with asked_all_the_time(port) as answers:
        for number in range(fewer(20)):
            more = other if number % 2 == 0 else ""
            assert reload(testbed, f"listen daytime/tcp {port} {more}") == reloaded(daemon)
        wait_until(lambda: len(answers) > 20, what="answers")


def test_a_port_that_another_has_is_not_shared(testbed, port):
    """Whatever the other permits, and also where sockets of ours come and go."""
    daemon = start_with_file(testbed, f"listen daytime/tcp 127.0.0.1:{port}")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.2", port))
        other.listen()
        taken = reload(testbed, f"listen daytime/tcp 127.0.0.1:{port} 127.0.0.2:{port}")
        assert taken[0] == 1 and taken[2].endswith(
            f"cannot listen on tcp 127.0.0.2:{port}: Address already in use\n")
    assert reload(testbed, f"listen daytime/tcp {port}") == reloaded(daemon)


def test_connections_stay_open_across_a_reload(testbed, port):
    """Even when the listener that they came by goes away."""
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        assert is_daytime(receive_all(connection))
        assert reload(testbed, f"listen daytime/tcp {free_port()}") == reloaded(daemon)
        for _ in range(3):
            connection.sendall(b"still here")  # a reset would make the next one fail
            assert connection.recv(1) == b""
        connection.shutdown(socket.SHUT_WR)


@pytest.mark.skipif(not (ZONES / "Asia/Tokyo").exists(), reason="needs the zone files of tzdata")
@pytest.mark.parametrize("how", ["reload", "hang-up"])
def test_a_changed_zone_file_named_by_tz(testbed, port, how):
    zone = testbed.dir / "zone"
    zone.write_bytes((ZONES / "Etc/GMT+8").read_bytes())
    daemon = testbed.listen(port, env={"TZ": f":{zone}"})
    early = hour(port)
    (testbed.dir / "new").write_bytes((ZONES / "Etc/GMT-8").read_bytes())
    os.rename(testbed.dir / "new", zone)
    assert testbed.signal("reload").code == 0 if how == "reload" else not daemon.signal(signal.SIGHUP)
    wait_until(lambda: (hour(port) - early) % 24 in (16, 17), what="the time of the new zone")


@needs_private("an /etc/localtime of its own")
def test_a_changed_etc_localtime(testbed, port):
    def local(zone):
        return mounted(ZONES / zone, "/etc/localtime", flags=MS_BIND)
    with local("Etc/GMT+8"):
        testbed.listen(port, env={"TZ": None})
        early = hour(port)
    with local("Etc/GMT-8"):
        assert testbed.signal("reload").code == 0
        assert (hour(port) - early) % 24 in (16, 17)


def hour(port):
    return int(query(port)[11:13])


def test_an_included_file_is_read_again(testbed, port):
    added = free_port()
    inner = testbed.config("", "inner.conf")
    daemon = start_with_file(testbed, "include inner.conf", f"listen daytime/tcp {port}")
    inner.write_text(f"listen daytime/tcp {added}\n")
    assert tuple(testbed.signal("reload")) == reloaded(daemon)
    assert serves(added) and serves(port)


def test_a_relative_path_is_still_the_callers(testbed, port):
    added = free_port()
    testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.start("-c", "t.conf", cwd=testbed.dir)
    assert reload(testbed, f"listen daytime/tcp {added}") == reloaded(daemon)
    assert serves(added)


def test_options_stay_in_effect(testbed, port):
    """What the command line added is added again."""
    other, added = free_port(), free_port()
    testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.start("-c", testbed.dir / "t.conf", "-o", f"listen daytime/tcp {other}")
    assert reload(testbed, f"listen daytime/tcp {added}") == reloaded(daemon)
    assert serves(added) and serves(other) and not serves(port)


def test_a_storm_of_signals_and_requests(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with asked_all_the_time(port):
        reloads = [testbed.popen(testbed.command("-s", "reload")) for _ in range(fewer(10))]
        for _ in range(200):
            daemon.signal(signal.SIGHUP)
        for popen, _, _ in reloads:
            popen.wait(longer(10))
    descriptors = len(daemon.descriptors())
    assert tuple(testbed.signal("reload")) == reloaded(daemon)
    wait_until(lambda: len(daemon.descriptors()) <= descriptors, what="no descriptor more")


@pytest.mark.parametrize("request_", [
    b"nonsense", b"x" * 10000, b"\0", b"{}", b"[]", b'{"version":1}', b'{"version":1,"command":1}',
    b'{"version":2,"command":"reload"}', b'{"version":1,"command":"reload now"}',
    b'{"version":1,"version":1,"command":"reload"}', b"[" * 3000],
    ids=["nonsense", "long", "zero", "empty", "array", "no command", "a number", "another version",
         "almost", "twice", "deep"])
def test_the_control_socket_takes_no_nonsense(testbed, port, request_):
    daemon = start_with_file(testbed, f"listen daytime/tcp {port}")
    with connect_control(testbed) as connection:
        connection.send(request_)
        assert json.loads(connection.recv(1000)) == {
            "version": 1, "status": 2, "text": "malformed request"}
    with connect_control(testbed), connect_control(testbed):  # two that say nothing
        assert tuple(testbed.signal("reload")) == reloaded(daemon)
    assert is_daytime(query(port))


@needs_private("an ordinary user")
def test_the_control_socket_answers_its_own_user_only(testbed, port):
    """Not even when somebody has opened the file to all."""
    start_with_file(testbed, f"listen daytime/tcp {port}")
    path = testbed.pidfile.with_suffix(".sock")
    refused = f"timeserver: control socket {path}: Permission denied\n"
    assert tuple(testbed.signal("status", **as_nobody())) == (77, "", refused)
    path.chmod(0o666)
    assert tuple(testbed.signal("status", **as_nobody())) == (77, "", refused)
    assert tuple(testbed.signal("reload", **as_nobody())) == (77, "", refused)
    os.chown(path, NOBODY, NOBODY)
    assert testbed.status()["state"] == "serving", "root may always ask"


def test_status_tells_what_is_served(testbed, port):
    daemon = start_with_file(testbed, f"listen daytime/tcp 127.0.0.1:{port}")
    for _ in range(3):
        query(port)
    status = testbed.status()
    assert status["process"] == str(daemon.pid) and status["state"] == "serving"
    assert status["replies"] == "3" and status["listen"] == [f"daytime/tcp 127.0.0.1:{port}"]
    assert int(status["uptime"].split()[0]) < 60
