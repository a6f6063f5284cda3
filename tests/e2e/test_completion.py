"""Completion in bash, fish and zsh: it knows every option, and each shell completes."""
import pathlib
import re

import pytest

from lib.environment import BUILD, CLIENT, needs_private, needs_program, SERVER, wait_until
from lib.isolate import mounted, MS_BIND
from lib.tmux import Tmux


DIST = pathlib.Path("dist/completion").absolute()
PROGRAMS = {"timeclient": CLIENT, "timeserver": SERVER}

pytestmark = pytest.mark.usefixtures("only_the_client")

needs_hosts = needs_private("an /etc/hosts of its own")

# The text typed, and the completions.
CASES = [("timeclient", "--js", "--json"), ("timeclient", "--set s", "step slew"),
         ("timeclient", "--set=st", "--set=step"), ("timeclient", "nt", "ntp://"),
         ("timeclient", "ntp://wall", "ntp://wallclock"), ("timeclient", "wall", "wallclock"),
         ("timeclient", "ntp://x daytime+udp://wall", "daytime+udp://wallclock"), ("timeclient", "--tr", "--trust-one"),
         ("timeserver", "--dum", "--dump-config"), ("timeserver", "--signal re", "reload"),
         ("timeserver", "--signal=rel", "--signal=reload"),
         ("timeserver", "-s s", "status stop"), ("timeserver", "--user roo", "root")]


@pytest.fixture
def hosts(testbed):
    """An /etc/hosts with a host to complete."""
    file = testbed.root / "hosts"
    file.write_text("127.0.0.1 localhost\n192.0.2.1 wallclock\n")
    with mounted(file, "/etc/hosts", flags=MS_BIND):
        yield


def assert_completes(tmux, program, typed, wanted):
    """Types into a shell, then the Tab key, and waits for the completions."""
    tmux("send-keys", "-l", f"{program} {typed}")
    tmux("send-keys", "Tab")
    choices = wanted.split()
    if len(choices) == 1:
        whole = " ".join([program, *typed.split(" ")[:-1], choices[0]])
        wait_until(lambda: any(line.rstrip().endswith(whole) for line in tmux.lines()), what=whole)
    else:
        tmux("send-keys", "Tab")
        wait_until(lambda: any(line.split() == sorted(choices) for line in tmux.lines()),
                   what=f"{choices} in {tmux.lines()}")


def options_of(testbed, program):
    """The options in the output of --help."""
    text = testbed.run(PROGRAMS[program], "--help").out
    return set(re.findall(r"(?<![\w-])--?[\w-]+", "\n".join(re.findall(r"^  +(-.*?)(?:  |$)", text, re.M))))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_shell_completes_every_option(testbed, program):
    known = options_of(testbed, program)
    assert {"-V", "--version", "-h", "--help"} <= known and len(known) > 15
    bash = (DIST / f"{program}.bash").read_text()
    zsh = (DIST / f"_{program}").read_text()
    fish = (DIST / f"{program}.fish").read_text()
    assert known <= set(re.findall(r"(?<![\w-])--?[\w-]+", bash))
    assert known <= set(re.findall(r"(?<![\w-])--?[\w-]*\w", zsh))
    assert known <= ({f"-{letter}" for letter in re.findall(r" -s (\w)", fish)}
                     | {f"--{name}" for name in re.findall(r" -l ([\w-]+)", fish)})


@needs_hosts
@needs_program("tmux")
@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("program, typed, wanted", [*CASES, ("timeclient", "ntp:", "ntp://")])
def test_bash(testbed, program, typed, wanted):
    with Tmux(testbed, 100, 20) as tmux:
        tmux.type(f"bind 'set show-all-if-ambiguous on'; source {DIST}/{program}.bash; clear; echo ready")
        wait_until(lambda: "ready" in tmux.lines()[:1], what="completion")
        assert_completes(tmux, program, typed, wanted)


@needs_hosts
@needs_program("fish")
@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("program, typed, wanted", CASES)
def test_fish(testbed, program, typed, wanted):
    result = testbed.run("fish", "--no-config", "-c",
                         f"source {DIST}/{program}.fish; complete -C '{program} {typed}'",
                         env={"HOME": str(testbed.root)})
    assert {line.split("\t")[0] for line in result.out.splitlines()} == set(wanted.split()), result


@needs_hosts
@needs_program("zsh")
@needs_program("tmux")
@pytest.mark.usefixtures("hosts")
@pytest.mark.parametrize("program, typed, wanted", CASES)
def test_zsh(testbed, program, typed, wanted):
    with Tmux(testbed, 100, 20, shell="zsh -f") as tmux:
        tmux.type(f"fpath=({DIST} $fpath); autoload -U compinit; compinit -u -D; clear; echo ready")
        wait_until(lambda: "ready" in tmux.lines()[:1], what="completion")
        assert_completes(tmux, program, typed, wanted)


def test_make_install_installs_completions(testbed):
    """In the directories where each shell looks."""
    result = testbed.run("make", "--assume-old=all", "install", f"BUILD={BUILD}", "PREFIX=/usr",
                         f"DESTDIR={testbed.dir}", cwd=DIST.parent.parent, timeout=60)
    assert result.code == 0, result
    for place in ("bash-completion/completions/{}", "zsh/site-functions/_{}", "fish/vendor_completions.d/{}.fish"):
        for program in PROGRAMS:
            assert (testbed.dir / "usr/share" / place.format(program)).is_file()
