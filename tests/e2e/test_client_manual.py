"""Runs every example of timeclient(1)."""
import json
import pathlib
import re

import pytest

from lib import isolate
from lib.environment import CLIENT, compile_shim, needs_private, needs_program, SANITIZED
from lib.fake_servers import ntp_reply, UdpServer
from lib.testbed import directives


pytestmark = [pytest.mark.usefixtures("only_the_client"), needs_private("the addresses of the manual")]

MANUAL = pathlib.Path("man/timeclient.1").absolute()
SHIM = pathlib.Path(__file__).with_name("lib") / "shim_set.c"


def examples():
    """The commands of the section EXAMPLES."""
    text = MANUAL.read_text(encoding="utf-8").partition(".Sh EXAMPLES")[2].partition("\n.Sh ")[0]
    return re.findall(r"^(?:\.Dl )?[$#] (.*)$", text, re.MULTILINE)


@pytest.fixture
def manual_network(testbed):
    """The servers of the examples, all on this host."""
    addresses = ["192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "192.0.2.7/32", "2001:db8::1/128"]
    for address in addresses:
        at_once = ["nodad"] if ":" in address else []
        assert testbed.run("ip", "addr", "replace", address, "dev", "lo", *at_once).code == 0
    hosts = testbed.config("127.0.0.1 localhost\n192.0.2.1 alpha\n192.0.2.2 beta\n", "hosts")
    lines = ["listen ntp 192.0.2.1:123 192.0.2.2:123", "listen daytime/tcp *:5050 192.0.2.7:13",
             "listen time/tcp 192.0.2.7:37", "clock local"]
    testbed.start(*directives(*lines))
    with isolate.mounted(hosts, "/etc/hosts", flags=isolate.MS_BIND), \
         UdpServer(lambda request: [ntp_reply(request, 3600)], "192.0.2.3", 123):
        yield
    for address in addresses:
        testbed.run("ip", "addr", "del", address, "dev", "lo")


def run(testbed, command):
    """Runs an example in a shell, with a shim that logs changes of the clock instead of making them.
    The example that takes ten minutes runs at a shorter interval."""
    library, logged, directory = testbed.root / "shim.so", testbed.root / "set", testbed.root / "bin"
    compile_shim(library, SHIM)
    directory.mkdir()
    program = directory / "timeclient"
    program.write_text(f'#!/bin/sh\nLD_PRELOAD={"" if SANITIZED else library} exec {CLIENT} "$@"\n')
    program.chmod(0o755)
    result = testbed.run("sh", "-c", command.replace("-n 600", "-n 600 -i 0.001"), timeout=30,
                         env={"PATH": f"{directory}:/usr/bin:/bin", "SHIM_SET": str(logged)})
    return result, logged.exists()


SET = r"stepping the clock by .*\nstepped: the time is now .*\n"
PRINTED = [  # by the examples, in their order
    r"Server Message: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n",
    r"(Server Message: .*\n){2}",
    r"both\n",
    r"ntp://192\.0\.2\.1  .*  8 of 8 samples, spread .*\n",
    r"(ntp://192\.0\.2\.[12]  .*\n){2}time://192\.0\.2\.7  .*\n",
    r"-?\d.*\n",
    r"ntp://192\.0\.2\.1  .*\nstart\n",
    r"",
    r"TIME OK: ntp://192\.0\.2\.1 offset .*\n",
    r"TIME OK: ntp://192\.0\.2\.3 offset (3600|3599)\..*, expected 3600 s, .*\n",
    r"(ntp://192\.0\.2\.[12]  .*\n){2}2 of 2 agree: .*\n" + SET,
    r"time://192\.0\.2\.7  .*\n1 of 1 agree: .*\n" + SET,
]


def test_every_example_is_tested():
    assert len(examples()) == len(PRINTED)


@needs_program("jq")
@pytest.mark.parametrize("command, printed", zip(examples(), PRINTED))
def test_example(testbed, manual_network, command, printed):
    if SANITIZED and "--set" in command:
        pytest.skip("a sanitizer does not load behind a shim")
    result, was_set = run(testbed, command)
    assert (result.code, result.err) == (0, "") and re.fullmatch(printed, result.out), result
    assert was_set == ("--set" in command)
    if "--watch" in command:
        samples = [json.loads(line) for line in (testbed.dir / "samples").read_text().splitlines()]
        assert len(samples) == 1200 and all(one["ok"] for one in samples)
