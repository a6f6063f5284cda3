"""timeclient with --set: which servers are asked, and what is done to the clock."""
import contextlib
import pathlib
import re
import time

import pytest

from lib.environment import compile_shim, SANITIZED
from lib.fake_servers import ntp_server, tcp_server

pytestmark = pytest.mark.usefixtures("only_the_client")

SHIM = pathlib.Path(__file__).with_name("lib") / "shim_set.c"


@pytest.fixture
def setting(testbed):
    """Runs the client with a shim that logs changes of the clock instead of making them."""
    if SANITIZED:
        pytest.skip("a sanitizer does not load behind a shim")
    library, logged = testbed.root / "shim.so", testbed.root / "set"
    compile_shim(library, SHIM)

    def run(*words, output=None, **more):
        logged.write_text("")
        result = testbed.client("--set", *words, **({"stdout": output} if output else {}),
                                env={"LD_PRELOAD": str(library), "SHIM_SET": str(logged)} | more)
        return result, logged.read_text().split()
    return run


@pytest.mark.parametrize("how", ["step", "slew"])
@pytest.mark.parametrize("ahead", [2.25, -2.25])
def test_set_by_two_servers(setting, how, ahead):
    with ntp_server(ahead) as one, ntp_server(ahead) as other:
        result, (did, span) = setting(how, f"ntp://{one.name}", f"ntp://{other.name}")
    assert (result.code, result.err, did) == (0, "", how) and abs(float(span) - ahead) < 0.1
    side, sign = ("behind", r"\+") if ahead > 0 else ("ahead", "-")
    lines = result.out.splitlines()
    assert lines[0].startswith(f"ntp://{one.name}  ") and lines[1].startswith(f"ntp://{other.name}  ")
    assert re.fullmatch(rf"2 of 2 agree: your clock is 2\.\d+ s {side}, \+/- (\d+ ms|\d\.\d+ s)", lines[2])
    assert re.fullmatch(rf"(stepp|slew)ing the clock by {sign}2\.\d+ s", lines[3])
    assert re.match("stepped: the time is now 20" if how == "step" else "slewing: will take 01:1", lines[4])


def test_set_with_a_falseticker(setting):
    with ntp_server(2) as one, ntp_server(2) as other, ntp_server(3600) as falseticker:
        result, (_, span) = setting("step", *[f"ntp://{server.name}" for server in (one, falseticker, other)])
    assert result.code == 0 and abs(float(span) - 2) < 0.1
    assert "falseticker" in result.out.splitlines()[1] and "2 of 3 agree" in result.out


def test_trust_one(setting):
    with ntp_server(2) as server, tcp_server(b"22 NOV 2026 19:15:08 UTC\n") as other:
        result, logged = setting("step", f"ntp://{server.name}", other.target)
        assert result.code == 1 and logged == []
        assert result.err == ("timeclient: clock not set: only one NTP server replied: "
                              "expected two, or --trust-one\n")
        result, (did, span) = setting("step", "--trust-one", f"ntp://{server.name}")
        assert result.code == 0 and did == "step"
        result, logged = setting("step", other.target)
        assert result.err.endswith("clock not set: no target gave an offset\n")
        result, (did, span) = setting("step", "--trust-one", other.target)
        assert result.code == 0 and abs(float(span) + time.time() - 1795374908.5) < 5


def test_one_server_named_twice_is_one(setting):
    with ntp_server(2) as one, ntp_server(2) as other:
        names = [f"ntp://{one.name}", f"NTP://{one.name}/"]
        result, logged = setting("step", "-4", "-q", *names)
        assert (result.code, logged) == (1, []) and "only one NTP server replied" in result.err
        result, (did, _) = setting("step", "-4", *names, f"ntp://{other.name}")
    assert (result.code, did) == (0, "step") and "2 of 2 agree" in result.out


def test_a_server_that_is_not_certain_does_not_count(setting):
    """It agrees with any other: it says that it may be off by 18 hours."""
    problem = "timeclient: clock not set: too few NTP servers with an error bound of at most 1.5 s\n"
    with ntp_server(2) as one, ntp_server(2) as other, ntp_server(40, root_dispersion=2**32 - 1) as third:
        for options, servers in [([], [one, third]), (["--trust-one"], [third])]:
            result, logged = setting("step", "-q", *options, *[f"ntp://{server.name}" for server in servers])
            assert (result.code, result.err, logged) == (1, problem, [])
        result, (did, span) = setting("step", *[f"ntp://{server.name}" for server in (one, third, other)])
    assert (result.code, did) == (0, "step") and "2 of 2 agree" in result.out and abs(float(span) - 2) < 0.1


def test_offset_too_large_to_slew(setting):
    with ntp_server(86400) as one, ntp_server(86400) as other:
        for more in ([], ["--dry-run"]):
            result, logged = setting("slew", "-q", *more, f"ntp://{one.name}", f"ntp://{other.name}")
            assert (result.code, logged) == (1, [])
            assert result.err.endswith("clock not set: the offset is too large to slew: use --set step\n")


@pytest.mark.parametrize("targets, options, reason", [
    ([2, 5], [], "the targets do not agree"), ([2, 2], ["--max-offset", "1"], "the offset is larger than --max-offset"),
    ([], [], "no target gave an offset")])
def test_clock_not_set(setting, port, targets, options, reason):
    with contextlib.ExitStack() as stack:
        names = [stack.enter_context(ntp_server(ahead)).name for ahead in targets]
        result, logged = setting("step", "-q", *options, *[f"ntp://{name}" for name in names or [f"127.0.0.1:{port}"]])
    assert (result.code, logged) == (1, [])
    assert result.err == f"timeclient: clock not set: {reason}\n"


def test_clock_not_set_without_output(testbed, setting):
    with ntp_server(2) as server, open("/dev/full", "w", encoding="ascii") as full:
        result, logged = setting("step", "--trust-one", f"ntp://{server.name}", output=full)
    assert (result.code, logged) == (1, [])
    assert result.err == "timeclient: cannot write standard output: No space left on device\n"


def test_dry_run_needs_no_privileges(testbed):
    with ntp_server(2) as one, ntp_server(2) as other:
        result = testbed.client("--set", "step", "--dry-run", f"ntp://{one.name}", f"ntp://{other.name}")
    assert result.code == 0 and result.err == ""
    assert re.search(r"^would step the clock by \+2\.\d+ s$", result.out.splitlines()[-1])


def test_set_without_permission(setting):
    with ntp_server(2) as one, ntp_server(2) as other:
        result, logged = setting("step", f"ntp://{one.name}", f"ntp://{other.name}", SHIM_SET_ERROR="1")
    assert (result.code, logged) == (1, [])
    assert result.err == "timeclient: clock not set: Operation not permitted\n"


@pytest.mark.parametrize("words", [["--set", "jump"], ["--set"], ["--set", "step", "--watch"],
                                   ["--set", "step", "--max-offset", "-1"]])
def test_set_usage(testbed, words):
    result = testbed.client(*words)
    assert result.code == 2 and "--help" in result.err and result.err.startswith("timeclient: ")
