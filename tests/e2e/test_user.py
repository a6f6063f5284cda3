"""The user that a daemon of root becomes."""
import os
import pathlib
import pwd

import pytest

from lib import ntp
from lib.control import ntp_and_daytime, reload, reloaded, start_with_file
from lib.daytime_client import free_port, is_daytime, query, serves
from lib.environment import (longer, needs_private, needs_program, NOBODY, not_instrumented, STRANGER, USER,
                             wait_until)
from lib.isolate import MS_BIND, mounted
from lib.web_process import serves_http

pytestmark = needs_private("root")


def test_root_becomes_the_default_user(testbed, port):
    """With its groups, and the capability for low ports only."""
    daemon = testbed.listen(port, extra_groups=[0, 4, 27])
    entry = pwd.getpwuid(USER)
    assert testbed.status()["user"] == str(USER) != "0"
    for field, number in (("Uid", entry.pw_uid), ("Gid", entry.pw_gid)):
        assert daemon.status(field).split() == [str(number)] * 4
    assert daemon.status("Groups").split() == [str(entry.pw_gid)]
    assert f"user {entry.pw_name}\n" in testbed.server("-T").out
    assert testbed.signal("stop").code == 0 and testbed.files() == []


def test_root_stays_root_if_that_is_said(testbed, port):
    daemon = testbed.listen(port, "-o", "user root")
    assert testbed.status()["user"] == "0" and daemon.status("Uid").split() == ["0"] * 4
    assert "user root\n" in testbed.server("-T", "-o", "user root").out


def test_a_user_made_for_it_is_preferred(testbed, port):
    passwd = testbed.config(pathlib.Path("/etc/passwd").read_text() +
                            f"timeserver:x:{STRANGER}:{STRANGER}::/:/usr/sbin/nologin\n", "passwd")
    with mounted(passwd, "/etc/passwd", flags=MS_BIND):
        testbed.listen(port)
        assert testbed.status()["user"] == str(STRANGER)


def test_without_a_user_database(testbed, port):
    """As in a container that has the program only: nobody's number is used."""
    with mounted(testbed.config("", "passwd"), "/etc/passwd", flags=MS_BIND):
        testbed.listen(port)
        assert testbed.status()["user"] == str(NOBODY)


WARNING = 'running as root, since this container has no other user: configure "user root" to accept that\n'


@needs_program("unshare")
@not_instrumented("namespaces")
@pytest.mark.parametrize("how", ["namespace", "capabilities"])
def test_a_container_in_which_root_is_the_only_user(testbed, port, how):
    os.chown(testbed.dir, 0, 0)
    before = {"namespace": ["unshare", "--user", "--map-root-user"],
              "capabilities": ["setpriv", "--bounding-set=-setuid,-setgid"]}[how]
    daemon = testbed.listen(port, before=before)
    assert daemon.result.err == f"timeserver: {WARNING}"
    assert testbed.status()["user"] == "0" and testbed.signal("reload").code == 0
    assert testbed.signal("stop").code == 0 and testbed.files() == []
    assert testbed.listen(port, "-u", "root", before=before).result.err == ""


@needs_program("unshare")
@not_instrumented("namespaces")
def test_a_configured_user_that_the_container_does_not_have_fails_the_start(testbed, port):
    os.chown(testbed.dir, 0, 0)
    failed = testbed.listen_result(port, "-u", "nobody", before=["unshare", "--user", "--map-root-user"])
    assert failed.code in (1, 77) and failed.err.startswith("timeserver: cannot become user nobody: ")


@not_instrumented("rights")
def test_an_upgrade_from_a_daemon_that_runs_as_root(testbed, port):
    """Its sockets stay root's. The new daemon opens low ports, and more sockets by an upgrade only."""
    old = start_with_file(testbed, f"listen ntp {port}", "clock local", "workers 1", "user root")
    config = testbed.config(f"listen ntp {port}\nclock local\nworkers 2\n")
    new = testbed.start("-c", config, "--upgrade")
    old.wait_gone()
    assert testbed.status()["user"] == str(USER)
    assert reload(testbed, f"listen ntp {port}", "clock local", "listen daytime/tcp 13", "workers 2") == reloaded(new)
    assert is_daytime(query(13)) and ntp.query(port)[0].stratum == 10
    code, _, err = reload(testbed, f"listen ntp {port}", "clock local", "workers 3")
    assert (code, err) == (77, f"timeserver: cannot open a further socket on udp {port}: Permission denied: needs"
                           " --upgrade or a restart\n")
    upgraded = testbed.server("-s", "reload", "--upgrade", "-c", config)
    assert upgraded.code == 0 and testbed.status()["workers"] == "3"
    assert testbed.signal("stop").code == 0


def test_an_upgrade_from_the_daemon_of_another_user(testbed, port):
    """As after a change of the configured user."""
    old = testbed.start(*ntp_and_daytime(port, "workers 1"), "-u", "daemon")
    new = testbed.start("--upgrade", *ntp_and_daytime(port, "workers 3"))
    old.wait_gone()
    assert testbed.status()["user"] == str(USER) and testbed.status()["workers"] == "3" and serves(port)
    assert testbed.signal("reload").out == f"timeserver: process {new.pid} reloaded\n"
    again = testbed.start("--upgrade", *ntp_and_daytime(port), "-u", "root")
    new.wait_gone()
    assert testbed.status()["user"] == "0"
    assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {again.pid} stopped\n", "")


def test_commands_find_a_daemon_of_a_user_that_they_do_not_know(testbed, port):
    """--signal reload takes no --user; the daemon may have created its files again."""
    os.chown(testbed.dir, 1, 1)
    daemon = testbed.listen(port, "-u", "daemon")
    for name in testbed.files():
        (testbed.dir / name).unlink()
    wait_until(lambda: testbed.files() == ["t.pid", "t.sock"], longer(20), "both files")
    assert testbed.signal("reload").out == f"timeserver: process {daemon.pid} reloaded\n"
    assert testbed.status()["user"] == "1"
    assert tuple(testbed.signal("stop")) == (0, f"timeserver: process {daemon.pid} stopped\n", "")


def test_a_web_process_of_the_default_user(testbed, port):
    web = free_port()
    testbed.listen(port, "-o", f"listen http {web}")
    assert serves_http(web)
