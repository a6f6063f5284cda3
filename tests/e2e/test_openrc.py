"""The script for OpenRC, run by Debian's rc-service and openrc-run."""
import contextlib
import os
import pathlib
import shutil
import signal

import pytest

from lib.daytime_client import serves
from lib.environment import needs_private, NOBODY, not_instrumented, SERVER, wait_until
from lib.isolate import overlaid
from lib.peers import needs_peer, PEERS
from lib.process import cmdline

OPENRC = pathlib.Path(PEERS) / "openrc"
STATES = ["starting", "started", "stopping", "inactive", "failed", "exclusive", "daemons", "options", "tmp"]
PIDFILE = pathlib.Path("/run/timeserver/timeserver.pid")

pytestmark = [needs_private("file systems of its own"), not_instrumented("the start"),
              needs_peer(f"{OPENRC}/sbin/rc-service")]


class Service:
    """The service, where OpenRC expects its script and its own files."""

    def __init__(self, testbed):
        self.testbed, self.program = testbed, testbed.root / "usr/sbin/timeserver"
        self.program.parent.mkdir(parents=True)
        shutil.copy(SERVER, self.program)
        script = pathlib.Path("/etc/init.d/timeserver")
        text = pathlib.Path("dist/timeserver.openrc").read_text(encoding="ascii")
        script.write_text(text.replace("@PREFIX@", str(testbed.root / "usr")))
        script.chmod(0o755)
        for state in STATES:
            os.makedirs(f"/run/openrc/{state}")
        pathlib.Path("/run/openrc/softlevel").write_text("default\n")

    def __call__(self, command):
        return self.testbed.run("rc-service", "--nocolor", "timeserver", command, timeout=30)

    def configure(self, text):
        pathlib.Path("/etc/timeserver").mkdir(exist_ok=True)
        pathlib.Path("/etc/timeserver/timeserver.conf").write_text(text)


@pytest.fixture
def service(testbed):
    with contextlib.ExitStack() as stack:
        for directory in ("/etc", "/usr/lib", "/usr/sbin"):
            lower = f"{OPENRC}/{directory.removeprefix('/usr')}"
            stack.enter_context(overlaid(directory, testbed.root, lower))
        service = Service(testbed)
        yield service
        service("stop")
        shutil.rmtree("/run/openrc")


def process():
    return int(PIDFILE.read_text())


def test_start_status_and_stop(service):
    assert service("status").code == 3
    started = service("start")
    assert started.code == 0 and serves(5050), started
    assert service("status").code == 0
    stopped = service("stop")
    assert stopped.code == 0 and not serves(5050), stopped
    assert service("status").code == 3


def test_reload_and_upgrade(service):
    """A reload keeps the process, an upgrade replaces it by the installed program."""
    service.configure("listen daytime/tcp 5050\n")
    assert service("start").code == 0
    first = process()
    service.configure("listen daytime/tcp 5050 5051\n")
    assert service("reload").code == 0 and serves(5051) and process() == first
    service.program.rename(service.program.with_name("old"))
    shutil.copy(SERVER, service.program)
    assert service("upgrade").code == 0 and serves(5051)
    assert process() != first and str(service.program) in cmdline(process())
    assert service("stop").code == 0 and not serves(5050)


def test_errors(service):
    """Each command fails and shows the reason; the daemon that runs is not affected."""
    reason = "/etc/timeserver/timeserver.conf:1: nonsense: unknown directive"
    service.configure("nonsense\n")
    for command in ("checkconfig", "start"):
        failed = service(command)
        assert failed.code != 0 and reason in failed.err, failed
    assert service("status").code == 3
    service.configure("")
    assert service("checkconfig").code == 0 and service("start").code == 0
    service.configure("nonsense\n")
    failed = service("reload")
    assert failed.code != 0 and reason in failed.err and serves(5050), failed


def test_a_crash(service):
    assert service("start").code == 0
    os.kill(process(), signal.SIGKILL)
    wait_until(lambda: not serves(5050))
    assert service("status").code == 32
    assert service("restart").code == 0 and serves(5050)


def test_options(service):
    pathlib.Path("/etc/conf.d").mkdir(exist_ok=True)
    pathlib.Path("/etc/conf.d/timeserver").write_text('command_args="--user nobody"\n')
    assert service("start").code == 0
    assert os.stat(f"/proc/{process()}").st_uid == NOBODY
    assert service("reload").code == 0 and service("stop").code == 0 and os.listdir(PIDFILE.parent) == []
