"""The tests of the programs as a user meets them. CONTRIBUTING.md says how to run them."""
import collections
import shutil

import pytest

import isolate

isolate.enter()

import harness  # noqa: E402  after enter, since it asks where it is


def pytest_unconfigure():
    shutil.rmtree(harness.home, ignore_errors=True)


@pytest.fixture
def box():
    box = harness.Box()
    yield box
    box.close()


@pytest.fixture
def port():
    return harness.free_port()


@pytest.fixture
def only_the_client():
    if harness.WRAPPER:
        pytest.skip("TIMESERVER_WRAPPER is for the server; these tests are of the client")


def pytest_terminal_summary(terminalreporter):
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
