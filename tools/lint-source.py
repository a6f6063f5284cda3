"""The rules on the source that no other tool knows: sizes, preprocessor, names, the direction of knowledge.

Prints each violation as FILE:LINE: message and exits 1 if there was any. Relies on clang-format for the
form: the body of a function is what stands between "{" and "}" in the first column.
"""

import os
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
COLUMNS_MAX = 100

SIZED = ("src/", "tests/", "bench/", "tools/")
CODE = (".c", ".h", ".py", ".sh")

# What a layer may include of our own, besides itself.
LAYERS = {
    "base": set(),
    "clock": {"base"},
    "protocol": {"base", "clock"},
    "stats": {"base", "clock", "protocol"},
    "server": {"base", "clock", "protocol", "stats"},
    "web": {"base", "clock", "protocol", "stats"},
    "client": {"base", "clock", "protocol"},
}

# Protocols turn bytes into bytes: no sockets, no threads, no allocation.
NOT_FOR_PROTOCOLS = re.compile(r"<(sys/socket|netinet/\w+|pthread|threads|unistd|stdlib|sys/mman)\.h>")

INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
CONDITIONAL = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|else)\b")

violations = 0


def report(path, line, message):
    global violations
    violations += 1
    print(f"{path}:{line}: {message}")


def project_files():
    """What is, or could be, committed; without git, every file that is not built."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = [
            os.path.relpath(os.path.join(directory, name), ".")
            for directory, _, names in os.walk(".")
            for name in names
            if not directory.startswith(("./build", "./.git/"))
        ]
    return sorted(path for path in listed if path and os.path.isfile(path))


def signature_start(lines, brace):
    """The index of the first line of the function whose "{" is at index brace."""
    start = brace
    while start > 0 and lines[start - 1].strip() and not lines[start - 1].startswith(("}", "#", "//")):
        if lines[start - 1].rstrip().endswith(("*/", ";")):
            break
        start -= 1
    return start


def check_functions(path, lines):
    body = None
    for index, line in enumerate(lines):
        if body is None:
            body = index if line == "{" else None
            continue
        if CONDITIONAL.match(line):
            report(path, index + 1, "conditional compilation inside a function")
        if line == "}":
            start = signature_start(lines, body)
            length = index + 1 - start
            if length > FUNCTION_LINES_MAX:
                report(path, start + 1, f"function of {length} lines, at most {FUNCTION_LINES_MAX}")
            body = None


def check_layers(path, lines):
    parts = path.split("/")
    if parts[0] != "src" or len(parts) < 3:
        return
    if parts[1] not in LAYERS:
        report(path, 1, f"src/{parts[1]} is no layer that tools/lint-source.py knows")
        return
    allowed = LAYERS[parts[1]] | {parts[1]}
    for number, line in enumerate(lines, 1):
        included = INCLUDE.match(line)
        if included and included[1].split("/")[0] not in allowed:
            report(path, number, f"{parts[1]} must not include {included[1]}")
        if parts[1] == "protocol" and NOT_FOR_PROTOCOLS.search(line):
            report(path, number, "protocol code knows no socket, thread or allocation")


def check_text(path, lines, text):
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            report(path, number, "blanks at the end of the line")
        is_long = len(line.expandtabs(8)) > COLUMNS_MAX and '"' not in line  # a text stays whole
        if is_long and path.endswith((".c", ".h")):
            report(path, number, f"line of {len(line.expandtabs(8))} columns, at most {COLUMNS_MAX}")
    if text and not text.endswith("\n"):
        report(path, len(lines), "no line end at the end of the file")


def check_file(path):
    with open(path, "rb") as file:
        content = file.read()
    if b"\0" in content or path.startswith("tests/fuzz/corpus/"):
        return
    text = content.decode(errors="replace")
    lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
    check_text(path, lines, text)
    is_code = path.endswith(CODE) or text.startswith("#!")
    if path.startswith(SIZED) and is_code and len(lines) > FILE_LINES_MAX:
        report(path, FILE_LINES_MAX + 1, f"file of {len(lines)} lines, at most {FILE_LINES_MAX}")
    if path.endswith((".c", ".h")):
        check_functions(path, lines)
        check_layers(path, lines)


for project_file in project_files():
    check_file(project_file)
sys.exit(1 if violations else 0)
