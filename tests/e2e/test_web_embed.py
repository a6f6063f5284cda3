"""tools/embed-page, which builds a page from HTML, CSS and JavaScript."""
import ast
import base64
import hashlib
import re
import subprocess

import pytest


def embed(testbed, **files):
    for name, content in {"a.html": "<style>\n/*a.css*/\n</style>\n<script>\n/*a.js*/\n</script>\n",
                          "a.css": "p { }\n", "a.js": "f();\n",
                          **{name.replace("_", "."): text for name, text in files.items()}}.items():
        testbed.config(content, name)
    return subprocess.run(["tools/embed-page", testbed.dir, "a"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def string_of(text, member):
    """The value of a C string literal."""
    literals = re.search(rf"\.{member} =((?:\s*\"(?:[^\"\\]|\\.)*\")+)", text)[1]
    return "".join(ast.literal_eval(literal.strip()) for literal in literals.strip().splitlines())


def hash_of(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("name, content, message", [
    ("a_css", "a { }\nb::after { content: '{{x}}' }\n", "2:b::after { content: '{{x}}' }"),
    ("a_js", "f('</script>');\n", "contains {{, </script or </style"),
    ("a_css", "/* </style */\n", "contains {{, </script or </style"),
    ("a_js", "", "missing or empty"),
    ("a_html", "/*nothing.js*/\n", "nothing.js: missing or empty"),
    ("a_html", "<script>/*a.js*/</script>\n", "a.html:1:<script>/*a.js*/</script>: a marker must be alone"),
    ("a_html", "<style>\n\t/*a.css*/\n", "a.html:2:\t/*a.css*/: a marker must be alone"),
    ("a_html", "/* a.js */\n", "a.html:1:/* a.js */: a marker must be alone"),
    ("a_html", "/*a.css*//*a.js*/\n", "a marker must be alone")])
def test_invalid_parts_fail_the_build(testbed, name, content, message):
    result = embed(testbed, **{name: content})
    assert result.returncode == 1 and message in result.stdout, result


@pytest.mark.parametrize("script", ["f();\n", "f()", "f(\"\\\\n\", '\\t', \"é\");\n\n"],
                         ids=["a line", "no end of line", "quotes"])
def test_a_page_contains_its_parts(testbed, script):
    """The policy allows these parts and no others, by their hashes."""
    result = embed(testbed, a_js=script)
    assert result.returncode == 0, result
    text, policy = string_of(result.stdout, "text"), string_of(result.stdout, "policy")
    assert text == f"<style>\np {{ }}\n</style>\n<script>\n{script}</script>\n"
    assert policy.startswith(f"default-src 'none'; style-src {hash_of(chr(10) + 'p { }' + chr(10))}; "
                             f"script-src {hash_of(chr(10) + script)}; connect-src 'self'; ")


def test_a_page_without_parts_loads_nothing(testbed):
    result = embed(testbed, a_html="<p>\n")
    assert string_of(result.stdout, "policy").startswith(
        "default-src 'none'; style-src 'none'; script-src 'none'; img-src data:; ")
