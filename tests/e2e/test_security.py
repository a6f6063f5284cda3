"""The tests in the table of SECURITY.md exist."""
import pathlib
import re

from lib import security


def test_every_test_in_the_table_exists():
    rows = security.rows()
    for name in [name for row in rows for name in row.tests]:
        file, _, test = name.partition("::")
        text = (pathlib.Path(__file__).parent / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {test}\(", text, re.MULTILINE), name
    assert len(rows) > 20
