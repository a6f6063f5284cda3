"""The tests of the programs as a user meets them. CONTRIBUTING.md says how to run them."""
import collections
import shutil

import pytest

from lib import isolate

isolate.enter()

# After enter, since they look at their environment.
from lib import daytime_client, environment, security  # noqa: E402
from lib import testbed as testbeds  # noqa: E402

pytest_plugins = ["lib.browser"]  # its fixtures


def pytest_unconfigure():
    shutil.rmtree(environment.home, ignore_errors=True)


@pytest.fixture
def testbed():
    testbed = testbeds.Testbed()
    yield testbed
    testbed.close()


@pytest.fixture
def port():
    return daytime_client.free_port()


@pytest.fixture
def only_the_client():
    if environment.WRAPPER:
        pytest.skip("TIMESERVER_WRAPPER is for the server; these tests are of the client")


def outcomes_by_test(terminalreporter):
    """By "file::test": how each of its cases ended, and what it printed."""
    found = collections.defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            name = report.nodeid.rpartition("/")[2].partition("[")[0]
            found[name].append((outcome, report.capstdout if report.when == "call" else ""))
    return found


def summarise_threats(terminalreporter):
    """The table of SECURITY.md, as far as its tests ran, with what they saw."""
    found = outcomes_by_test(terminalreporter)
    rows = [row for row in security.rows() if any(name in found for name in row.tests)]
    if rows:
        terminalreporter.section("threats, promises, and what was seen")
    for row in rows:
        cases = [case for name in row.tests for case in found.get(name, [])]
        counts = collections.Counter(outcome for outcome, _ in cases)
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        terminalreporter.write_line(f"{row.threat}: {row.promise} ({told})")
        for line in "".join(text for _, text in cases).splitlines():
            terminalreporter.write_line(f"    {line}")


def pytest_terminal_summary(terminalreporter):
    summarise_threats(terminalreporter)
    summarise_skips(terminalreporter)


def summarise_skips(terminalreporter):
    """Never skip silently: every reason, with the tests that it stopped."""
    reasons = collections.defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")].append(report.nodeid.partition("::")[2])
    if not reasons:
        return
    terminalreporter.section("not run here, and why")
    for reason, names in sorted(reasons.items()):
        terminalreporter.write_line(f"{reason}\n    {', '.join(names)}")
