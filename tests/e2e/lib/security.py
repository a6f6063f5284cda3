"""The table of SECURITY.md: threats, promises and tests."""
import collections
import pathlib

DOCUMENT = pathlib.Path(__file__).parents[3] / "SECURITY.md"

Row = collections.namedtuple("Row", "threat promise tests")


def rows():
    found = []
    for line in DOCUMENT.read_text(encoding="ascii").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and "::" in line:
            threat, promise, tests = cells
            found.append(Row(threat, promise, tests.split(", ")))
    return found
