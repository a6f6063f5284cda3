"""README.md and its Chinese translation: links, a valid configuration, the same facts in both."""
import pathlib
import re
import shutil

import pytest

from lib import systemd_machine
from lib.environment import CLIENT, needs_private, not_instrumented, SERVER
from lib.http_client import fetch
from lib.peers import CHRONYD, LIBRARIES, needs_peer, WITHOUT_SYS_TIME

ROOT = pathlib.Path.cwd()
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


def links(text):
    return re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r'src="([^"]+)"', text)


def recipe(text):
    """The lines of the configuration."""
    return re.findall(r"(?m)^    ((?:listen|clock) .*)$", text)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(readme):
    missing = [link for link in links(readme.read_text(encoding="utf-8")) if not (ROOT / link).exists()]
    assert not missing


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_configuration_is_valid(testbed, readme):
    lines = recipe(readme.read_text(encoding="utf-8"))
    assert len(lines) == 5
    result = testbed.server("--test", "--config", testbed.config("\n".join(lines) + "\n"))
    assert (result.code, result.err) == (0, "")


@needs_peer(CHRONYD)
@needs_private("namespaces of its own")
@not_instrumented("the sandbox")
@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_recipe_for_a_network_without_a_good_clock(testbed, readme):
    """The trial, then the service: chronyd accepts it, timeclient shows it, the page is there."""
    reason = systemd_machine.reason_to_skip()
    if reason:
        pytest.skip(reason)
    text = readme.read_text(encoding="utf-8")
    program = testbed.root / "usr/sbin/timeserver"
    program.parent.mkdir(parents=True)
    shutil.copy(SERVER, program)
    with systemd_machine.Systemd(testbed) as systemd:
        systemd.run(program)  # the daemon of make demo
        trial = re.search(r"```\n(\$ build.*?)```", text, re.DOTALL)[1]
        for line in re.findall(r"(?m)^\$ (build/\S+[^#\n]*)", trial):
            command = line.replace("build/timeserver", str(program)).replace("build/timeclient", CLIENT)
            assert systemd.run("sh", "-c", command).code == 0, line
        systemd.install_unit("timeserver.service", testbed.logs / "log")
        systemd.write_config("\n".join(recipe(text)) + "\n")
        assert systemd.control("daemon-reload").code == 0
        assert systemd.control("start", "timeserver").code == 0, (testbed.logs / "log").read_text()
        measured = testbed.run(*WITHOUT_SYS_TIME, CHRONYD, "-Q", "-t", "60", "-u", "root",
                               "server 127.0.0.1 iburst maxdelay 1", "pidfile /run/none.pid", "cmdport 0",
                               "bindcmdaddress /", env=LIBRARIES, timeout=90)
        assert measured.code == 0 and "System clock wrong by" in measured.out + measured.err, measured
        shown = testbed.client("ntp://127.0.0.1")
        assert shown.code == 0 and "stratum 10" in shown.out, shown
        for target in ("time+udp://127.0.0.1", "daytime://127.0.0.1:13"):
            assert testbed.client(target).code == 0
        page = fetch(8037, "/", Accept="text/html")
        assert page.status == 200 and b"<html" in page.body and fetch(8037, "/healthz").status == 200


def test_both_have_the_same_links_and_numbers():
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES)
    assert sorted(set(links(english)) - {"README.zh-CN.md"}) == sorted(set(links(chinese)) - {"README.md"})
    numbers = [re.findall(r"\d[\d,.]*\d", text) for text in (english, chinese)]
    assert sorted(numbers[0]) == sorted(numbers[1])


def test_every_directory_of_the_map_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    directories = re.findall(r"(?m)^    (src/\S*/|src/main\.c)\s", text)
    assert directories and all((ROOT / directory).exists() for directory in directories)
