"""Has system calls of a program refused, by refuse.c."""
import pathlib

import pytest

from lib.environment import BITS, compile_c

SOURCE = pathlib.Path(__file__).with_name("refuse.c")


@pytest.fixture(scope="session")
def refuse(tmp_path_factory):
    """The helper, for programs of the size of those under test."""
    made = tmp_path_factory.mktemp("refuse") / "refuse"
    compile_c(made, SOURCE, *(["-m32"] if BITS == 32 else []))
    return made


@pytest.fixture
def refusing(refuse):
    """A function of an error and system calls: the settings of a program whose calls fail with the error."""
    return lambda error, *calls: {"before": [refuse, error, *calls, "--"]}
