"""No pid file and no control socket, where nothing can be written."""
import os
import signal

import pytest

from lib.daytime_client import free_port, is_daytime, query, serves
from lib.environment import needs_private, needs_program, wait_until
from lib.testbed import directives
from lib.web_process import children_of, serves_http

# A mount namespace in which nothing is writable, and a process 1 of its own.
READ_ONLY = ["unshare", "--mount", "--pid", "--fork", "--", "sh", "-c",
             'findmnt -rno TARGET | while read -r place; do mount -o remount,bind,ro "$place" || true; done; '
             'touch "$0" 2>/dev/null && exit 99; exec "$@"']


@pytest.mark.parametrize("words", [["-p", "none"], ["-o", "pidfile none"]], ids=" ".join)
def test_the_foreground_needs_no_pid_file(testbed, port, words):
    config = testbed.config(f"listen daytime/tcp {port}\n")
    daemon = testbed.foreground("-n", "-c", config, *words, pidfile=False, cwd=testbed.dir)
    wait_until(lambda: serves(port))
    assert testbed.files() == ["t.conf"] and not [
        target for target in daemon.descriptors().values() if str(testbed.dir) in target]
    config.write_text(f"listen daytime/tcp {port}\npidfile {testbed.pidfile}\n")
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "reloaded: " in daemon.log(), what="the reload")
    assert is_daytime(query(port)) and testbed.files() == ["t.conf"]
    daemon.stop()
    assert daemon.popen.returncode == 0


def test_the_dump_of_none(testbed):
    dump = testbed.server("-T", "-p", "none", pidfile=False).out
    assert "pidfile none\n" in dump
    assert testbed.server("-T", "-c", testbed.config(dump), pidfile=False).out == dump


def test_a_reload_says_that_none_takes_effect_later(testbed, port):
    config = testbed.config(f"listen daytime/tcp {port}\npidfile {testbed.pidfile}\n")
    testbed.start("-c", config, pidfile=False)
    config.write_text(f"listen daytime/tcp {port}\npidfile none\n")
    assert testbed.signal("reload").err == "timeserver: pidfile none: takes effect at the next start\n"


@pytest.mark.parametrize("words, reason", [
    ([], "only with --foreground, since nothing could stop a daemon"),
    (["--upgrade"], "--upgrade cannot find the daemon"),
    (["--upgrade", "-n"], "--upgrade cannot find the daemon"),
    (["-s", "stop"], "--signal cannot find the daemon"),
    (["-s", "reload"], "--signal cannot find the daemon"),
    (["-s", "status"], "--signal cannot find the daemon")], ids=str)
def test_what_needs_a_pid_file(testbed, words, reason):
    result = testbed.server("-p", "none", *words, pidfile=False, cwd=testbed.dir)
    assert tuple(result) == (2, "", f"timeserver: pidfile none: {reason}\n") and testbed.files() == []


def test_a_file_of_that_name(testbed, port):
    testbed.start("-o", f"listen daytime/tcp {port}", "-p", "./none", pidfile=False, cwd=testbed.dir)
    assert testbed.files() == ["none", "none.sock"]
    assert testbed.server("-p", "./none", "-s", "stop", pidfile=False, cwd=testbed.dir).code == 0


@needs_private("mounts and PID namespaces")
@needs_program("findmnt")
@pytest.mark.parametrize("words", [["-p", "none"], []], ids=["none", "default"])
@pytest.mark.parametrize("user", [["-u", "root"], []], ids=["root", "default"])
def test_process_1_of_a_container_without_a_writable_file(testbed, port, words, user):
    """By default it says that it goes on without a pid file."""
    web = free_port()
    daemon = testbed.foreground(
        *words, *user, *directives(f"listen daytime/tcp {port}", f"listen http 127.0.0.1:{web}"),
        before=[*READ_ONLY, testbed.dir / "x"], pidfile=False)
    wait_until(lambda: serves(port) or daemon.popen.poll() is not None, 20)
    assert serves(port) and serves_http(web), daemon.log()
    assert ("Read-only file system: serving without a pid file and a control socket\n" in daemon.log()) == (
        not words)
    assert testbed.files() == []
    server, = children_of(daemon)
    os.kill(server, signal.SIGHUP)
    wait_until(lambda: "reloaded: " in daemon.log(), what="the reload")
    assert "takes effect at the next start" not in daemon.log()
    os.kill(server, signal.SIGTERM)
    assert daemon.wait() == 0
