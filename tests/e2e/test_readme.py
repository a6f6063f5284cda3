"""README.md and its Chinese translation: links, a valid configuration, the same facts in both."""
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


def test_both_have_the_same_links_and_numbers():
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES)
    assert sorted(set(links(english)) - {"README.zh-CN.md"}) == sorted(set(links(chinese)) - {"README.md"})
    numbers = [re.findall(r"\d[\d,.]*\d", text) for text in (english, chinese)]
    assert sorted(numbers[0]) == sorted(numbers[1])


def test_every_directory_of_the_map_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    directories = re.findall(r"(?m)^    (src/\S*/|src/main\.c)\s", text)
    assert directories and all((ROOT / directory).exists() for directory in directories)
