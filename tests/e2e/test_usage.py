"""Wrong command lines of timeserver: one line that says what is wrong, a hint, and exit status 2."""
import pytest

HINT = "Try 'timeserver --help'.\n"


@pytest.mark.parametrize("arguments, message", [
    (["--signal", "x"], "--signal takes stop, reload or status, not 'x'"),
    (["--json"], "--json needs --signal status"),
    (["extra"], "unexpected argument 'extra'"),
    (["--nonsense"], "unrecognized option '--nonsense'"),
    (["--config"], "option '--config' requires an argument"),
])
def test_wrong_usage(testbed, arguments, message):
    result = testbed.server(*arguments, pidfile=False)
    assert (result.code, result.out, result.err) == (2, "", f"timeserver: {message}\n{HINT}")
