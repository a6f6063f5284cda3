"""Wrong command lines of timeserver: one line that says what is wrong, a hint, and exit status 2."""
import pytest

HINT = "Try 'timeserver --help'.\n"


@pytest.mark.parametrize("arguments, message", [
    (["--signal", "x"], "--signal takes stop, reload or status, not 'x'"),
    (["--json"], "--json needs --signal status"),
    (["extra"], "unexpected argument 'extra'"),
    (["--nonsense"], "unrecognized option '--nonsense'"),
    (["--config"], "option '--config' requires an argument"),
    (["--signal", "stop", "--upgrade"], "--signal stop and --upgrade exclude each other"),
    (["--upgrade", "-s", "status"], "--signal status and --upgrade exclude each other"),
    (["--test", "--upgrade"], "--test and --upgrade exclude each other"),
    (["-s", "stop", "-s", "status"], "--signal stop and --signal status exclude each other"),
    (["-t", "-s", "stop"], "--test and --signal stop exclude each other"),
    (["-T", "-t"], "--dump-config and --test exclude each other"),
    (["-n", "-s", "stop"], "--signal stop and --foreground exclude each other"),
    (["-d", "-s", "reload"], "--signal reload and --debug exclude each other"),
    (["-u", "nobody", "-s", "reload"], "--signal reload takes no --user: the daemon reads the "
     "configuration that it was started with"),
    (["-s", "reload", "-c", "t.conf"], "--signal reload takes no --config: the daemon reads the "
     "configuration that it was started with"),
    (["-s", "reload", "-o", "clock local"], "--signal reload takes no --option: the daemon reads the "
     "configuration that it was started with"),
])
def test_wrong_usage(testbed, arguments, message):
    result = testbed.server(*arguments, pidfile=False)
    assert (result.code, result.out, result.err) == (2, "", f"timeserver: {message}\n{HINT}")


@pytest.mark.parametrize("words", [["-s", "stop", "--help"], ["--version", "--test", "--test"],
                                   ["--help", "-n"]])
def test_help_and_version_go_with_any_option(testbed, words):
    result = testbed.server(*words, pidfile=False)
    assert (result.code, result.err) == (0, "") and result.out
    assert result.out.startswith("Usage: " if "--help" in words else "timeserver ")


def test_the_options_of_the_start_go_with_stop(testbed):
    """The same command twice is no conflict."""
    result = testbed.server("-s", "stop", "-s", "stop", "-u", "nobody", "-o", "clock local")
    assert (result.code, result.err) == (1, f"timeserver: not running (pid file {testbed.pidfile})\n")
