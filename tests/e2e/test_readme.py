"""README.md and its Chinese twin: links that exist, a configuration that is valid, the same facts."""
import pathlib
import re

import pytest

ROOT = pathlib.Path.cwd()
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


def links(text):
    return re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r'src="([^"]+)"', text)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(readme):
    missing = [link for link in links(readme.read_text(encoding="utf-8")) if not (ROOT / link).exists()]
    assert not missing


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_configuration_is_valid(testbed, readme):
    lines = re.findall(r"(?m)^    ((?:listen|clock) .*)$", readme.read_text(encoding="utf-8"))
    assert len(lines) == 5
    result = testbed.server("--test", "--config", testbed.config("\n".join(lines) + "\n"))
    assert (result.code, result.err) == (0, "")


def test_both_tell_the_same():
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES)
    assert sorted(set(links(english)) - {"README.zh-CN.md"}) == sorted(set(links(chinese)) - {"README.md"})
    numbers = [re.findall(r"\d[\d,.]*\d", text) for text in (english, chinese)]
    assert sorted(numbers[0]) == sorted(numbers[1])


def test_the_files_of_the_request_path_exist_in_the_map():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = re.findall(r"(?m)^    (src/\S*/|src/main\.c)\s", text)
    assert rooms and all((ROOT / room).exists() for room in rooms)
