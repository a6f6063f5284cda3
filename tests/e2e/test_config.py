"""The configuration: files, options, all errors in one run, and a dump that reads back."""
import os
import pathlib
import pwd
import re

import pytest

from lib.daytime_client import free_port, is_daytime, listening_ports, query, serves
from lib.environment import longer, needs_private, not_instrumented, USER
from lib.isolate import overlaid
from lib.process import read_back


ADDRESS = ("expected ADDRESS or [ADDRESS:]PORT, with ADDRESS an IPv4 or [IPv6] address or *, "
           "and PORT from 1 to 65535")
UNKNOWN = "unknown directive"
MANUAL = pathlib.Path("man/timeserver.conf.5").absolute()
EXAMPLE = pathlib.Path("dist/timeserver.conf").absolute()


def manual_files():
    """The example configurations in timeserver.conf(5)."""
    return re.findall(r"^\.Bd -literal .*\n((?:.*\n)+?)\.Ed$", MANUAL.read_text(), re.MULTILINE)


def test_a_valid_file_passes_the_test_and_nothing_starts(testbed, port):
    config = testbed.config(f"# a comment\n\n  listen daytime/tcp {port} # the rest\nclock system\n"
                            f"user root\nsyslog local3\npidfile /run/x.pid\n")
    assert tuple(testbed.server("--test", "-c", config)) == (
        0, f"timeserver: {config}: valid configuration\n", "")
    assert testbed.files() == ["t.conf"] and testbed.processes() == [] and not serves(port)


def test_every_error_is_reported_in_one_run(testbed):
    config = testbed.config("""\
listen daytime/tcp 5050
listen
listen daytime/tcp
listen chargen/tcp 19
listen daytime/tcp 0 65536 -1 1.2.3 1.2.3:13 ::1:13 ::1 fe80::1%lo [fe80::1] [fe80::1]:13 [fe80::1%lo:13] [fe80::1%no:13] *:x
nonsense
clock sundial
user no-such-user
syslog nowhere
pidfile not/absolute
include
""")
    missing = "expected PROTOCOL and at least one ADDRESS or [ADDRESS:]PORT"
    expected = [f"2: listen: {missing}", f"3: listen: {missing}",
                "4: listen: unknown protocol 'chargen/tcp': expected one of: "
                "daytime/tcp, daytime/udp, time/tcp, time/udp, ntp, http",
                *[f"5: listen: '{word}': {ADDRESS}" for word in
                  ["0", "65536", "-1", "1.2.3", "1.2.3:13"]],
                *[f"5: listen: '{word}': an IPv6 address needs brackets: [IPv6] or [IPv6]:PORT" for word in
                  ["::1:13", "::1", "fe80::1%lo"]],
                *[f"5: listen: '{word}': link-local address without a zone: expected the interface after it, such as"
                  " [fe80::1%eth0]" for word in ["[fe80::1]", "[fe80::1]:13"]],
                *[f"5: listen: '{word}': {ADDRESS}" for word in ["[fe80::1%lo:13]", "[fe80::1%no:13]"]],
                f"5: listen: '*:x': {ADDRESS}",
                f"6: nonsense: {UNKNOWN}",
                "7: clock: 'sundial': expected system, local [stratum N] or follow HOST[:PORT]",
                "8: user: unknown user 'no-such-user'",
                "9: syslog: 'nowhere': expected a facility: daemon, user, local0 to local7, ...",
                "10: pidfile: 'not/absolute': expected an absolute path or none",
                "11: include: expected the path of a file"]
    for mode in (["--test"], ["--dump-config"], [], ["--foreground"]):
        code, out, err = testbed.server("-c", config, *mode)
        assert (code, out) == (78, "")
        assert err.splitlines() == [f"{config}:{line}" for line in expected]
    assert testbed.files() == ["t.conf"] and testbed.processes() == []


@pytest.mark.parametrize("server", ["[fe80::1]", "[fe80::1]:123"])
def test_a_server_to_follow_needs_its_zone(testbed, server):
    assert tuple(testbed.server("-t", "-o", f"clock follow {server}")) == (
        78, "", f"option:1: clock: '{server}': link-local address without a zone: expected the interface after it,"
        " such as [fe80::1%eth0]\n")


@pytest.mark.parametrize("second, shown", [
    ("5050", "*:5050"), ("127.0.0.1:5050", "127.0.0.1:5050"), ("[::1]:5050", "[::1]:5050")])
def test_colliding_listeners_are_an_error(testbed, second, shown):
    config = testbed.config(f"listen daytime/tcp *:5050\nlisten daytime/tcp {second}\n")
    assert tuple(testbed.server("-t", "-c", config)) == (
        78, "", f"{config}:2: listen: {shown} is already used by listen daytime/tcp *:5050 at {config}:1\n")


@pytest.mark.parametrize("line, dumped", [
    ("ntp *", ["ntp *:123"]), ("http [::1] 127.0.0.1:8037", ["http [::1]:80", "http 127.0.0.1:8037"]),
    ("time/udp 192.0.2.1", ["time/udp 192.0.2.1:37"]), ("daytime/tcp * 5050", ["daytime/tcp *:13", "daytime/tcp *:5050"])])
def test_the_default_port_is_that_of_the_protocol(testbed, line, dumped):
    out = testbed.server("-T", "-o", f"listen {line}").out
    assert [line for line in out.splitlines() if "listen" in line] == [f"listen {place}" for place in dumped]


def test_a_flag_is_on_or_off(testbed):
    config = testbed.config("require-sync\nhttp-show-clients on\n")
    assert {"require-sync", "http-show-clients"} <= set(testbed.server("-T", "-c", config).out.splitlines())
    assert "require-sync" not in testbed.server("-T", "-c", config, "-o", "require-sync off").out
    assert testbed.server("-t", "-o", "require-sync 1").err == "option:1: require-sync: '1': expected on or off\n"


def test_a_duplicate_names_the_first_line(testbed):
    """Also in another file, of which the name is escaped, and in options."""
    duplicate = "syslog: duplicate directive, first at"
    config = testbed.config("syslog user\nsyslog mail\nsyslog news\n")
    assert testbed.server("-t", "-c", config).err == (
        f"{config}:2: {duplicate} {config}:1\n{config}:3: {duplicate} {config}:1\n")
    inner = testbed.config("\nsyslog user\nlisten ntp *\n", "in\x07ner.conf")
    config = testbed.config(f"include {inner.name}\nsyslog mail\nlisten ntp [::]:123\n")
    place = str(inner).replace("\x07", "\\x07")
    assert testbed.server("-t", "-c", config).err == (
        f"{config}:2: {duplicate} {place}:2\n"
        f"{config}:3: listen: [::]:123 is already used by listen ntp *:123 at {place}:3\n")
    assert testbed.server("-t", "-o", "syslog user", "-o", "workers 1", "-o", "syslog user").err == (
        f"option:3: {duplicate} option:1\n")


def test_a_test_says_which_file_is_valid(testbed):
    config = testbed.config("")
    for words, line in [(["-c", config], f"{config}: valid configuration"), (["-c", "t.conf"], "t.conf: valid configuration"),
                        (["-c", config, "-o", "workers 1"], f"{config} and options: valid configuration"),
                        (["-o", "workers 1"], "options, no file: valid configuration")]:
        assert tuple(testbed.server("-t", *words)) == (0, f"timeserver: {line}\n", "")
    with open("/dev/full", "w") as full:
        popen, _, err = testbed.popen(testbed.command("-t"), stdout=full)
        assert popen.wait(longer(5)) == 1 and "cannot write standard output" in read_back(err)


@pytest.mark.parametrize("word", ["nts-ke", "http/tcp", "ntp/tcp", "ntp/udp", "time"])
def test_an_unknown_protocol_is_an_error(testbed, word):
    code, _, err = testbed.server("-t", "-o", f"listen {word} 5050")
    assert code == 78 and err.startswith(f"option:1: listen: unknown protocol '{word}'")


@needs_private("the default files to be absent")
def test_the_built_in_configuration(testbed):
    if os.path.exists("/etc/timeserver"):
        pytest.skip("this machine has a /etc/timeserver")
    assert tuple(testbed.server("--dump-config", pidfile=False)) == (
        0, "listen daytime/tcp *:5050\nclock system\nratelimit-ceiling 10000\nworkers auto\n"
           f"busy-poll 0\nuser {pwd.getpwuid(USER).pw_name}\npidfile /run/timeserver/timeserver.pid\nsyslog daemon\n", "")
    daemon = testbed.start(pidfile=False)
    assert daemon.result.out == (f"timeserver: serving as process {daemon.pid}: "
                                 "daytime on tcp 5050\n")
    assert is_daytime(query(5050)) and is_daytime(query(5050, "::1"))


@pytest.mark.parametrize("text", manual_files())
def test_every_configuration_of_the_manual_is_valid(testbed, text):
    (testbed.dir / "timeserver.conf.d").mkdir()
    config = testbed.config(text)
    assert tuple(testbed.server("-t", "-c", config)) == (0, f"timeserver: {config}: valid configuration\n", "")


def test_the_manual_and_the_example_file_show_the_defaults(testbed):
    assert len(manual_files()) == 5
    default = testbed.server("-T", "-c", testbed.config("")).out
    assert testbed.server("-T", "-c", testbed.config(manual_files()[0])).out == default
    assert testbed.server("-T", "-c", EXAMPLE).out == default


def test_every_line_of_the_example_file_is_valid(testbed):
    """Also the lines that are commented out."""
    lines = re.findall(r"^#(\S.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert len(lines) > 10
    for line in lines:
        code, _, err = testbed.server("-t", "-o", line)
        assert code == 0 or line.startswith("confdir "), err


@needs_private("a /etc of its own")
def test_the_default_file_is_read(testbed, port):
    """It is read if it exists, unless --option is given."""
    with overlaid("/etc", testbed.root):
        directory = pathlib.Path("/etc/timeserver")
        directory.mkdir(exist_ok=True)
        (directory / "timeserver.conf").write_text(f"listen daytime/tcp {port}\nsyslog mail\n")
        assert f"listen daytime/tcp *:{port}\n" in testbed.server("-T").out
        assert testbed.server("-T", "-o", "syslog user").out.startswith("listen daytime/tcp *:5050\n")
        assert testbed.server("-t").out == "timeserver: /etc/timeserver/timeserver.conf: valid configuration\n"
        testbed.start().stop()
        (directory / "timeserver.conf").write_text("nonsense\n")
        assert tuple(testbed.server()) == (
            78, "", f"/etc/timeserver/timeserver.conf:1: nonsense: {UNKNOWN}\n")
        (directory / "timeserver.conf").unlink()
        assert tuple(testbed.server("-t")) == (
            0, "timeserver: default configuration: /etc/timeserver/timeserver.conf does not exist\n", "")


def test_a_dump_reads_back_to_itself(testbed):
    config = testbed.config("syslog local7\nuser root\nlisten daytime/tcp 13 127.0.0.1:5050\n"
                            "listen daytime/tcp [2001:DB8:0::1]:5050\n")
    dump = testbed.server("--dump-config", "-c", config)
    assert tuple(dump) == (0, "listen daytime/tcp *:13\nlisten daytime/tcp 127.0.0.1:5050\n"
                           "listen daytime/tcp [2001:db8::1]:5050\nclock system\n"
                           "ratelimit-ceiling 10000\nworkers auto\nbusy-poll 0\nuser root\n"
                           f"pidfile {testbed.pidfile}\nsyslog local7\n", "")
    again = testbed.server("-T", "-c", testbed.config(dump.out, "again.conf"), pidfile=False)
    assert tuple(again) == tuple(dump)


def test_options_replace_the_default_file_or_follow_a_given_one(testbed):
    config = testbed.config("listen daytime/tcp 6000\nsyslog user\n")
    alone = testbed.server("-T", "-o", "listen daytime/tcp 7000", "-o", "syslog mail").out
    assert "*:7000" in alone and "6000" not in alone and "syslog mail" in alone
    both = testbed.server("-T", "-c", config, "--option", "listen daytime/tcp 7000",
                          "--option=syslog mail").out
    assert both.splitlines()[:2] == ["listen daytime/tcp *:6000", "listen daytime/tcp *:7000"]
    assert "syslog mail" in both and "syslog user" not in both


@pytest.mark.parametrize("line, option, outcome", [
    ("clock local stratum 3", "clock local", "clock local stratum 10"),
    ("clock follow there:1123", "clock follow here", "clock follow here:123"),
    ("ratelimit interval 5 burst 1 leak 0", "ratelimit burst 20", "ratelimit interval 0.200 burst 20 leak 4"),
    ("ratelimit burst 3", "ratelimit off", "ratelimit off")])
def test_an_option_replaces_the_whole_line_of_the_file(testbed, line, option, outcome):
    config = testbed.config(f"listen ntp 6000\n{line}\n")
    assert f"\n{outcome}\n" in testbed.server("-T", "-c", config, "-o", option).out


def test_errors_in_options_have_the_number_of_the_option(testbed):
    code, out, err = testbed.server("-o", "clock system", "-o", "listen x", "-o", "what is this")
    assert (code, out) == (78, "")
    assert err == ("option:2: listen: expected PROTOCOL and at least one ADDRESS or [ADDRESS:]PORT\n"
                   f"option:3: what: {UNKNOWN}\n")


def test_pidfile_on_the_command_line_overrides_the_file(testbed):
    config = testbed.config("pidfile /run/other.pid\n")
    assert f"pidfile {testbed.pidfile}\n" in testbed.server("-T", "-c", config).out
    assert "pidfile /run/other.pid\n" in testbed.server("-T", "-c", config, pidfile=False).out


def test_include_and_confdir(testbed):
    """Relative paths start from the including file; a directory is read in byte order."""
    directory = testbed.dir / "more.d"
    directory.mkdir()
    for name, text in [("20.conf", "listen daytime/tcp 3\n"), ("10.conf", "listen daytime/tcp 2\n"),
                       ("30.conf~", "nonsense\n"), (".40.conf", "nonsense\n"),
                       ("README", "nonsense\n"), ("inner", "listen daytime/tcp 4\n"),
                       ("30.conf", "include inner\n")]:
        (directory / name).write_text(text)
    config = testbed.config("listen daytime/tcp 1\nconfdir more.d\nlisten daytime/tcp 5\n")
    for path, cwd in [(config, "/"), ("t.conf", testbed.dir)]:
        code, out, err = testbed.server("-T", "-c", path, cwd=cwd)
        assert (code, err) == (0, "")
        assert out.splitlines()[:5] == [f"listen daytime/tcp *:{port}" for port in range(1, 6)]


def test_errors_in_included_files_name_the_included_file(testbed):
    inner = testbed.config("clock system\nnonsense\n", "inner.conf")
    config = testbed.config("include inner.conf\ninclude no.conf\nconfdir no.d\nnonsense\n")
    code, _, err = testbed.server("-t", "-c", config)
    assert code == 78
    assert err.splitlines() == [
        f"{inner}:2: nonsense: {UNKNOWN}",
        f"{config}:2: include: cannot read {testbed.dir}/no.conf: No such file or directory",
        f"{config}:3: confdir: cannot read {testbed.dir}/no.d: No such file or directory",
        f"{config}:4: nonsense: {UNKNOWN}"]


def test_includes_nested_too_deep_are_an_error(testbed):
    config = testbed.config("include t.conf\n")
    code, _, err = testbed.server("-t", "-c", config)
    assert (code, err) == (78, f"{config}:1: include: includes nested too deep (more than 8)\n")


@pytest.mark.parametrize("text", [
    "listen daytime/tcp 1\r\nclock system\r\n", "\tlisten\tdaytime/tcp\t1",
    "#\n\n \n\nlisten daytime/tcp 1", "listen daytime/tcp 1 #2"], ids=repr)
def test_blanks_comments_and_line_ends(testbed, text):
    code, out, err = testbed.server("-T", "-c", testbed.config(text))
    assert (code, err) == (0, "") and out.startswith("listen daytime/tcp *:1\n")


def test_an_empty_file_gives_the_built_in_configuration(testbed):
    assert testbed.server("-T", "-c", testbed.config("")).out == testbed.server("-T", "-o", "clock system").out


def test_errors_are_single_lines_of_printable_text(testbed):
    """Other bytes of the file are escaped."""
    config = testbed.dir / "t.conf"
    config.write_bytes(b"listen daytime/tcp \x1b[31m\xff\nzero\0byte\n" + b"x" * 100000 + b"\n")
    popen, _, err = testbed.popen(testbed.command("-t", "-c", config))
    assert popen.wait(longer(5)) == 78
    lines = read_back(err).splitlines()
    assert lines[0] == f"{config}:1: listen: '\\x1b[31m\\xff': {ADDRESS}"
    assert len(lines) == 3 and all(len(line) < 2000 for line in lines)
    assert all(" " <= byte <= "~" for line in lines for byte in line)


def test_a_line_break_in_a_file_name_is_escaped(testbed):
    config = testbed.config("nonsense\n", "a\nb.conf")
    assert testbed.server("-t", "-c", config).err == f"{testbed.dir}/a\\nb.conf:1: nonsense: {UNKNOWN}\n"
    missing = testbed.dir / "no\nfile"
    assert testbed.server("-t", "-c", missing).err == (
        f"timeserver: cannot read {testbed.dir}/no\\nfile: No such file or directory\n")


@not_instrumented("memory")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_a_device_as_configuration_is_not_read_for_ever(testbed, device):
    result = testbed.server("-t", "-c", device, before=["prlimit", f"--as={256 << 20}"])
    assert result.code == (0 if device == "/dev/null" else 78)
    assert result.seconds < 2


def test_a_file_may_have_a_thousand_listeners(testbed):
    """All of them are in the dump."""
    config = testbed.config("".join(f"listen daytime/tcp {port}\n" for port in range(1, 1001)))
    lines = testbed.server("-T", "-c", config).out.splitlines()
    assert lines[:1000] == [f"listen daytime/tcp *:{port}" for port in range(1, 1001)]


def test_many_listeners_serve(testbed):
    ports = sorted({free_port() for _ in range(50)})
    testbed.start("-o", "listen daytime/tcp " + " ".join(f"127.0.0.1:{port}" for port in ports[:25]),
                  "-o", "listen daytime/tcp " + " ".join(f"127.0.0.1:{port}" for port in ports[25:]))
    assert all(serves(port) for port in ports) and set(ports) <= listening_ports()
    assert len(testbed.status()["listen"]) == len(ports)
