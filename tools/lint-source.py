"""The source rules that no other tool checks: sizes, preprocessor, names, include directions.

Prints each violation as FILE:LINE: message and exits 1 if there is any. Relies on clang-format: a function
body starts with "{" and ends with "}" in the first column.
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

# What the files of a room (a directory of src) may include besides their own. A file directly in
# src/server or in src is a room by itself.
SHARED = ["base", "clock", "protocol", "stats"]
ROOMS = {
    "base": [],
    "clock": ["base"],
    "protocol": ["base", "clock"],
    "stats": ["base", "clock", "protocol"],
    "client": ["base", "clock", "protocol"],
    "web": SHARED,
    "server/process": SHARED,
    "server/config": [*SHARED, "server/process"],
    "server/sockets": [*SHARED, "server/process", "server/config"],
    "server/request": [*SHARED, "server/process", "server/config", "server/sockets"],
    "server/clock": [*SHARED, "server/process", "server/config", "server/sockets"],
    "server/control": [*SHARED, "server/process"],
    "server/upgrade": [*SHARED, "server/process", "server/config", "server/sockets", "server/control"],
}
SERVER_ROOMS = [*SHARED, *(room for room in ROOMS if room.startswith("server/"))]
# Files of src/server, each of which may include all rooms and the files before it.
SERVER_FILES = ["web_child", "history_sampler", "limits_log", "engine", "status", "reload", "options", "command", "server", "main"]
# src/main.c knows every role.
ROLES = [*SHARED, "server/main", "web"]

# Protocols turn bytes into bytes: no sockets, no threads, no allocation.
NOT_FOR_PROTOCOLS = re.compile(r"<(sys/socket|netinet/\w+|pthread|threads|unistd|stdlib|sys/mman)\.h>")

INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
CONDITIONAL = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|else)\b")

violations = 0
includes, exported, declared = {}, [], {}


def report(path, line, message):
    global violations
    violations += 1
    print(f"{path}:{line}: {message}")


def project_files():
    """Files that are or could be committed; without git, all files outside of build directories."""
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


def room_of(path):
    """The room of a file in src, and what it may include."""
    stem = path.removeprefix("src/").rpartition(".")[0]
    if "/" not in stem:
        return stem, ROLES
    directory, _, name = stem.rpartition("/")
    if directory in ROOMS:
        return directory, ROOMS[directory]
    if directory == "server" and name in SERVER_FILES:
        return stem, SERVER_ROOMS + [f"server/{before}" for before in SERVER_FILES[: SERVER_FILES.index(name)]]
    return None, []


def check_includes(path, lines):
    room, allowed = room_of(path)
    if room is None:
        report(path, 1, "unknown directory: add it to ROOMS in tools/lint-source.py")
        return
    for number, line in enumerate(lines, 1):
        included = INCLUDE.match(line)
        if included:
            includes.setdefault(path, []).append((number, "src/" + included[1]))
            target, _ = room_of(included[1])
            if target != room and target not in allowed:
                report(path, number, f"{room} must not include {included[1]}")
        if room == "protocol" and NOT_FOR_PROTOCOLS.search(line):
            report(path, number, "protocol code must not use sockets, threads or allocation")


def check_circles():
    """No header includes itself through others."""

    def walk(path, way):
        for number, target in includes.get(path, []):
            if target in way:
                report(path, number, "include circle: " + " -> ".join([*way[way.index(target):], target]))
            elif target not in done:
                walk(target, [*way, target])
        done.add(path)

    done = set()
    for path in sorted(includes):
        walk(path, [path])


# A file's stem, or its singular, is the prefix of what the file exports. Also allowed: the stem of the
# family (config.h for config_listen.c), and that of a header in the same directory that declares the name.
FUNCTION = re.compile(r"^(?!static|typedef|return|else)[a-zA-Z_][\w \t*]*?[ *](\w+)\((?=[^;{}]*\)\n\{)", re.MULTILINE)
PROTOTYPE = re.compile(r"^(?:static inline )?(?!static|typedef)[a-zA-Z_][\w \t*]*?[ *](\w+)\(", re.MULTILINE)
OBJECT = re.compile(r"^extern [^;(]*?(\w+)(?:\[[^\]]*\])*;", re.MULTILINE)
STRUCT = re.compile(r"^struct (\w+) \{", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def has_prefix(name, stem):
    return name == stem or name.startswith((stem + "_", stem.removesuffix("s") + "_")) or name == stem.removesuffix("s")


def check_names(path, text):
    directory, _, file = path.rpartition("/")
    stem = file[:-2]
    without_comments = COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    patterns = [PROTOTYPE, OBJECT, STRUCT] if path.endswith(".h") else [FUNCTION]
    for pattern in patterns:
        for found in pattern.finditer(without_comments):
            line = without_comments.count("\n", 0, found.start()) + 1
            exported.append((path, line, directory, stem, found[1]))
            if path.endswith(".h"):
                declared.setdefault((directory, found[1]), []).append(stem)


def check_prefixes():
    for path, line, directory, stem, name in exported:
        words = stem.split("_")
        families = ["_".join(words[:count]) for count in range(1, len(words))]
        stems = [stem, *declared.get((directory, name), [])]
        stems += [family for family in families if os.path.exists(f"{directory}/{family}.h")]
        if path.endswith(("/main.c", "/main.h")):
            stems.append(directory.rpartition("/")[2] + "_main")
        if name != "main" and not any(has_prefix(name, known) for known in stems):
            report(path, line, f"{name} does not start with {stem}_")


def check_text(path, lines, text):
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            report(path, number, "trailing blanks")
        is_long = len(line.expandtabs(8)) > COLUMNS_MAX and '"' not in line  # strings are not split
        if is_long and path.endswith((".c", ".h")):
            report(path, number, f"line of {len(line.expandtabs(8))} columns, at most {COLUMNS_MAX}")
    if text and not text.endswith("\n"):
        report(path, len(lines), "no newline at the end of the file")


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
    if path.startswith("src/") and path.endswith((".c", ".h")):
        check_includes(path, lines)
        check_names(path, text)


for project_file in project_files():
    check_file(project_file)
check_circles()
check_prefixes()
sys.exit(1 if violations else 0)
