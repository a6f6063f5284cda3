"""What makes one document of the parts of a page."""
import base64
import hashlib
import subprocess

import pytest


def embed(box, **files):
    for name, content in {"a.html": "<style>/*a.css*/</style>\n<script>/*a.js*/</script>\n",
                          "a.css": "p { }\n", "a.js": "f();\n",
                          **{name.replace("_", "."): text for name, text in files.items()}}.items():
        box.config(content, name)
    return subprocess.run(["tools/embed-page", box.dir, "a", box.dir / "out"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


@pytest.mark.parametrize("name, content, complaint", [
    ("a_css", "a { }\nb::after { content: '{{x}}' }\n", "2:b::after { content: '{{x}}' }"),
    ("a_js", "f('</script>');\n", "cannot stand in a page"),
    ("a_css", "/* </style */\n", "cannot stand in a page"),
    ("a_js", "", "is missing, or empty"),
    ("a_js", "f()", "does not end with its last line"),
    ("a_html", "/*nothing.js*/\n", "nothing.js: is missing, or empty")])
def test_what_cannot_be_a_part_of_a_page(box, name, content, complaint):
    """The build says so, rather than the browser."""
    result = embed(box, **{name: content})
    assert result.returncode == 1 and complaint in result.stdout, result


def test_the_parts_of_a_page(box):
    """A browser may load these and no others, and knows them by their hashes."""
    result, out = embed(box), box.dir / "out"
    assert (result.returncode, result.stdout) == (0, "")
    assert (out / "a.html").read_text() == "<style>p { }\n</style>\n<script>f();\n</script>\n"
    style, script = (base64.b64encode(hashlib.sha256(content).digest()).decode()
                     for content in (b"p { }\n", b"f();\n"))
    assert (out / "a.policy").read_text().startswith(
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; ")
