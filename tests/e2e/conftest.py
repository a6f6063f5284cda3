"""Fixtures and the summary of the end-to-end tests. CONTRIBUTING.md says how to run them."""
import collections
import fcntl
import os
import shutil

import pytest

from lib import isolate

isolate.enter()

# Imported after enter(), because they read the environment.
from lib import daytime_client, environment, security  # noqa: E402
from lib import testbed as testbeds  # noqa: E402

pytest_plugins = ["lib.browser", "lib.refuse", "lib.time_limit"]  # its fixtures


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.option.basetemp = environment.home / "pytest"
    config.addinivalue_line("markers", "flood: fills queues of the kernel, or would lose packets if others did")


def order(item):
    """The tests that one worker has to run come first, since together they take longest; the floods last, since
    each waits until no other test runs."""
    return bool(item.get_closest_marker("flood")) - bool(item.get_closest_marker("xdist_group"))


def pytest_collection_modifyitems(items):
    items.sort(key=order)


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


@pytest.fixture(autouse=True)
def alone_with_a_flood(request):
    """A test marked as a flood runs alone: all network namespaces of a machine share the kernel's backlog
    of packets (net.core.netdev_max_backlog), so others would lose some; and its server has to get a core
    before its queues, of 256 requests each, are full. The lock is that of the root directory, so it holds
    for tests of other checkouts, too."""
    floods = request.node.get_closest_marker("flood")
    root = os.open("/", os.O_RDONLY)
    fcntl.flock(root, fcntl.LOCK_EX if floods else fcntl.LOCK_SH)
    yield
    os.close(root)


@pytest.fixture
def only_the_client():
    if environment.WRAPPER:
        pytest.skip("TIMESERVER_WRAPPER is for the server, and this is a test of the client")


def outcomes_by_test(terminalreporter):
    """The outcome and output of each case, by "file::test"."""
    found = collections.defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            name = report.nodeid.rpartition("/")[2].partition("[")[0]
            found[name].append((outcome, report.capstdout if report.when == "call" else ""))
    return found


def summarise_threats(terminalreporter):
    """Prints the rows of SECURITY.md whose tests ran, with their outcome and output."""
    found = outcomes_by_test(terminalreporter)
    rows = [row for row in security.rows() if any(name in found for name in row.tests)]
    if rows:
        terminalreporter.section("threats, promises, and the results of their tests")
    for row in rows:
        cases = [case for name in row.tests for case in found.get(name, [])]
        counts = collections.Counter(outcome for outcome, _ in cases)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        terminalreporter.write_line(f"{row.threat}: {row.promise} ({outcomes})")
        for line in "".join(text for _, text in cases).splitlines():
            terminalreporter.write_line(f"    {line}")


def pytest_terminal_summary(terminalreporter):
    summarise_threats(terminalreporter)
    summarise_skips(terminalreporter)


def summarise_skips(terminalreporter):
    """Prints every reason to skip, with the names of the tests."""
    reasons = collections.defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")].append(report.nodeid.partition("::")[2])
    if not reasons:
        return
    terminalreporter.section("skipped tests, and why")
    for reason, names in sorted(reasons.items()):
        terminalreporter.write_line(f"{reason}\n    {', '.join(names)}")
