"""The eight steps of becoming a daemon, each checked from outside, and what must not disturb it."""
import contextlib
import os
import pty
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time

import pytest

from lib.control import connect_control
from lib.daytime_client import free_port, idle_connections, is_daytime, query, serves
from lib.environment import (BITS, needs_descriptors, needs_private, needs_program, not_instrumented, not_wrapped, SERVER,
                             wait_until, WRAPPER)
from lib.process import Daemon, read_within, Result
from lib.testbed import directives
from lib.web_process import children_of, serves_http, web_process_of


# The signals whose default ends a process, but KILL, and ABRT, TERM, INT and HUP, which have a meaning.
ENDING = (set(range(1, 32)) | set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))) - {
    signal.SIGKILL, signal.SIGABRT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD,
    signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG,
    signal.SIGWINCH}
SIGNALFD = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}


def ps(pid):
    """The line of ps -axj for a process, by column."""
    lines = subprocess.run(["ps", "-axj"], capture_output=True, text=True, check=True).stdout
    head, *rows = [line.split(None, 9) for line in lines.splitlines()]
    return next(dict(zip(head, row)) for row in rows if row[1] == str(pid))


def adopter():
    """The process that adopts orphans: 1, or a subreaper above us."""
    orphan = subprocess.run(["sh", "-c", "sleep 1 >&- 2>&- & echo $!"],
                            capture_output=True, text=True)
    wait_until(lambda: int(ps(orphan.stdout.strip())["PPID"]) != os.getpid(), what="an orphan")
    return int(ps(orphan.stdout.strip())["PPID"])


def test_prints_one_line_and_exits_0(testbed, port):
    testbed.listen(f"127.0.0.1:{port}")
    daemon = testbed.running[-1]
    assert daemon.result.out == (f"timeserver: serving as process {daemon.pid}: "
                                 f"daytime on tcp 127.0.0.1:{port}\n")
    assert daemon.result.err == ""
    assert is_daytime(query(port)), "it serves when the command returns"


def test_the_line_names_every_listener(testbed, port):
    six, every = free_port(), free_port()
    daemon = testbed.start("-o", f"listen daytime/tcp 127.0.0.1:{port} [::1]:{six} {every}")
    assert daemon.result.out == (f"timeserver: serving as process {daemon.pid}: "
                                 f"daytime on tcp 127.0.0.1:{port}, daytime on tcp [::1]:{six}, "
                                 f"daytime on tcp {every}\n")


def test_step_1_and_4_the_parent_is_init(testbed, port):
    assert int(ps(testbed.listen(port).pid)["PPID"]) == adopter()


def test_step_2_and_4_it_does_not_lead_its_session_and_has_no_terminal(testbed, port):
    daemon = testbed.listen(port)
    row = ps(daemon.pid)
    assert row["TTY"] == "?" and row["TPGID"] == "-1"
    assert row["SID"] == row["PGID"] != row["PID"]
    assert int(row["SID"]) not in (os.getsid(0), os.getpgrp()), "not the caller's session"
    assert not os.path.exists(f"/proc/{row['SID']}"), "the session's leader has ended"


def test_step_5_the_directory_is_the_root(testbed, port):
    assert os.readlink(testbed.listen(port, cwd=testbed.dir).proc("cwd")) == "/"


def test_step_7_the_umask_is_0(testbed, port):
    """Each file has its own mode, whatever the umask of the caller."""
    daemon = testbed.listen(port, umask=0o077)
    assert daemon.status("Umask") == "0000"
    assert oct(testbed.pidfile.stat().st_mode & 0o777) == "0o600"
    assert oct(testbed.pidfile.with_suffix(".sock").stat().st_mode & 0o777) == "0o600"


def open_many(count):
    return [os.open("/etc/passwd", os.O_RDONLY) for _ in range(count)]


@not_wrapped("the list of descriptors")
@needs_descriptors(1100)
def test_step_6_no_descriptor_is_inherited(testbed, port):
    """Of 1,000 open files and a pipe, none is left; 0 to 2 are /dev/null."""
    held = open_many(1000)
    reader, writer = os.pipe()
    try:
        daemon = testbed.listen(port, pass_fds=[*held, writer])
    finally:
        for descriptor in [*held, writer]:
            os.close(descriptor)
    kept = daemon.descriptors()
    assert [kept.pop(number) for number in range(3)] == ["/dev/null"] * 3
    assert "/etc/passwd" not in kept.values()
    own = re.compile(r"socket:|anon_inode:|/dev/null|/memfd:timeserver|" + re.escape(str(testbed.dir)))
    assert all(own.match(target) for target in kept.values()), kept
    assert read_within(reader, 1) == b"", "the other end of the pipe is closed"
    os.close(reader)


def kept_by_exec(daemon):
    """The descriptors after 2 that a program which the daemon executes would have, by what they are."""
    found = {}
    for number, target in daemon.descriptors().items():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            flags = re.search(r"^flags:\s*([0-7]+)", daemon.proc(f"fdinfo/{number}").read_text(), re.MULTILINE)
            if number > 2 and not int(flags[1], 8) & os.O_CLOEXEC:
                found[number] = target
    return found


@needs_private("a /dev/log of its own")
@pytest.mark.parametrize("upgrade", [False, True])
def test_no_descriptor_is_passed_on_by_exec(testbed, port, upgrade):
    """Not a listener, which may have been handed over, a connection, a control peer, or that of syslog."""
    lines = directives(f"listen daytime/tcp {port}", f"listen ntp {port}", f"listen http {free_port()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslogd:
        syslogd.bind("/dev/log")
        daemon = testbed.start(*lines)
        if upgrade:
            daemon = testbed.start("--upgrade", *lines)
        with idle_connections(port, 3), connect_control(testbed), connect_control(testbed):
            before = len(daemon.descriptors())
            assert testbed.signal("status").code == 0, "the control peers were accepted"
            wait_until(lambda: is_daytime(query(port)), what="the connections to be accepted")
            assert kept_by_exec(daemon) == {} and before >= 10
        os.unlink("/dev/log")


@needs_program("strace")
@needs_descriptors(1001)
@not_instrumented("the system calls")
def test_step_6_is_no_loop_to_the_limit(testbed, port):
    """With 500 open descriptors and the highest limit, fewer than 100 are closed one by one."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    held, trace = open_many(500), testbed.dir / "trace"
    try:
        words = ["strace", "-D", "-f", "-o", trace, "-e", "trace=close,close_range"]
        testbed.listen(port, pass_fds=held, before=words).stop()
    finally:
        for descriptor in held:
            os.close(descriptor)
    wait_until(lambda: testbed.processes() == [], what="strace to end")
    assert "close_range(" in trace.read_text()
    closed = trace.read_text().count("close(")
    print(f"limit {limit}: {closed} descriptors closed one by one")
    assert closed < 100


def traced(testbed, port):
    """The output of strace for a start."""
    trace = testbed.root / "trace"
    daemon = testbed.listen(port, before=["strace", "-D", "-f", "-o", trace])
    daemon.stop()
    wait_until(lambda: f"{daemon.pid} +++ exited" in re.sub(" +", " ", trace.read_text()),
               what="the trace to end")
    return trace.read_text()


@needs_program("strace")
@not_instrumented("the list of system calls")
def test_the_steps_come_in_this_order(testbed, port):
    """SIGHUP is ignored before the session leader ends."""
    calls = re.findall(r"^\d+ +((?:v?fork|clone3?|setsid|chdir|close_range|umask|"
                       r"rt_sigaction\(SIGHUP, \{sa_handler=SIG_IGN)\S*)",
                       traced(testbed, port), re.MULTILINE)
    steps = ["fork", "setsid", "SIGHUP", "fork", "chdir", "close_range", "umask"]
    found = []
    for call in calls:
        name = "fork" if re.match("v?fork|clone", call) else "SIGHUP" if "SIGHUP" in call else call
        found.append(name.partition("(")[0])
    assert [name for name in found if name in steps][:len(steps)] == steps, calls


@needs_program("strace")
@not_instrumented("the list of system calls")
def test_step_6_is_not_a_loop_to_the_limit(testbed, port):
    closes = re.findall(r"^\d+ +close\(", traced(testbed, port), re.MULTILINE)
    assert len(closes) < 100


@not_wrapped("the signal mask")
def test_signal_handlers_and_mask_are_reset(testbed, port):
    """A daemon can be stopped although its caller ignored and blocked every signal."""
    code = ("import os, signal, sys\n"
            "for number in set(range(1, 32)) - {9, 17, 19}: signal.signal(number, signal.SIG_IGN)\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\n"
            "os.execvp(sys.argv[1], sys.argv[1:])")
    result = testbed.run(sys.executable, "-c", code, *testbed.command("-o", f"listen daytime/tcp {port}"))
    daemon = Daemon(testbed, result)
    testbed.running.append(daemon)

    def numbers(field):
        mask = int(daemon.status(field), 16)
        return {number for number in range(1, 65) if mask >> (number - 1) & 1}
    assert numbers("SigBlk") <= SIGNALFD, "only the signals of its signalfd"
    # The C library reserves the first real-time signals; posix_spawn leaves them ignored.
    assert ENDING <= numbers("SigIgn") <= ENDING | set(range(32, signal.SIGRTMIN))
    daemon.stop()


@pytest.mark.parametrize("role", ["server", "web process"])
def test_other_signals_are_ignored(testbed, port, role):
    """Every signal whose default ends a process, but those with a meaning."""
    web = free_port()
    daemon = testbed.foreground("-n", *directives(f"listen daytime/tcp {port}",
                                                  f"listen http 127.0.0.1:{web}"))
    wait_until(lambda: "serving daytime" in daemon.log())
    with web_process_of(daemon) as web_process:
        log = daemon.log()
        process = daemon if role == "server" else web_process
        for number in sorted(ENDING):
            process.signal(number)
        assert is_daytime(query(port)) and serves_http(web)
        assert testbed.status()["state"] == "serving"
        assert daemon.alive() and web_process.alive() and children_of(daemon) == [web_process.pid]
    assert daemon.log() == log


def test_sighup_does_not_end_the_daemon(testbed, port):
    daemon = testbed.listen(port)
    for _ in range(20):
        daemon.signal(signal.SIGHUP)
    assert is_daytime(query(port)) and daemon.alive()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_and_sigint_stop_it_and_leave_no_file(testbed, port, number):
    daemon = testbed.listen(port)
    daemon.signal(number)
    daemon.wait_gone()
    assert testbed.files() == [] and not serves(port)


def start_on_terminal(testbed, port):
    """Starts a daemon from a shell that leads a session with its own terminal."""
    master, slave = pty.openpty()
    line = " ".join(map(str, testbed.command("-o", f"'listen daytime/tcp {port}'"))) + "; exec sleep 60"
    shell, _, _ = testbed.popen(["setsid", "--ctty", "sh", "-c", line],
                                stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    while not output.endswith(b"\r\n"):
        output += read_within(master, 1000)
    result = Result(0, output.decode().replace("\r\n", "\n"), "", 0)
    testbed.running.append(Daemon(testbed, result))
    return master, shell, testbed.running[-1]


@needs_program("setsid")
@not_wrapped("what the terminal shows")
@pytest.mark.parametrize("event", ["^C", "^\\", "^Z", "closed", "shell killed"])
def test_signals_of_the_terminal_do_not_reach_it(testbed, port, event):
    master, shell, daemon = start_on_terminal(testbed, port)
    if event.startswith("^"):
        os.write(master, bytes([ord(event[1]) & 0x1f]))
        if event != "^Z":
            assert shell.wait(5) < 0, "it reached the processes of the terminal"
    elif event == "closed":
        os.close(master)
        assert shell.wait(5) == -signal.SIGHUP
    if shell.poll() is None:
        shell.kill()
    shell.wait()
    assert is_daytime(query(port)) and daemon.alive()
    assert daemon.status("State")[0] in "SR", "not stopped"
    if event != "closed":
        os.close(master)


@not_wrapped("the list of descriptors")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_caller_with_standard_descriptors_closed(testbed, port, closed):
    """No socket and no file gets number 0, 1 or 2."""
    line = " ".join(map(str, testbed.command("-o", f"'listen daytime/tcp {port}'")))
    assert testbed.run("sh", "-c", f"exec {line} {closed}").code == 0
    daemon = Daemon(testbed, Result(
        0, f"timeserver: serving as process {testbed.pidfile.read_text().strip()}: ", "", 0))
    testbed.running.append(daemon)
    kept = daemon.descriptors()
    assert [kept[number] for number in range(3)] == ["/dev/null"] * 3
    assert is_daytime(query(port))


@not_wrapped("standard error")
def test_a_caller_that_captures_output_does_not_wait(testbed, port):
    """As in $(timeserver): the pipe is closed although the daemon runs."""
    popen, _, _ = testbed.popen(testbed.command("-o", f"listen daytime/tcp {port}"),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = popen.communicate(timeout=5)
    testbed.running.append(Daemon(testbed, Result(popen.returncode, output.decode(), "", 0)))


@not_instrumented("memory")
def test_it_is_one_process_of_at_most_2_mib(testbed, port):
    """With a worker for each CPU, and the main thread. The kernel maps the pages around a page that is
    used, so the resident share of the C library varies with its random address: the median of many."""
    resident = []
    for _ in range(45):
        daemon = testbed.listen(port)
        for _ in range(200):
            query(port)
        resident.append(int(daemon.status("VmRSS").split()[0]))
        assert int(daemon.status("Threads")) == len(os.sched_getaffinity(0)) + 1
        assert testbed.processes() == [daemon.pid]
        daemon.stop()
    print(f"resident: {resident} KiB")
    assert statistics.median(resident) <= (2048 if BITS == 64 else 2304)


@not_instrumented("memory")
@pytest.mark.skipif(BITS == 32, reason="the loader of 32 bits is used later, too")
def test_code_that_only_the_start_uses_is_not_resident(testbed, port):
    """Such as that of the dynamic loader."""
    daemon = testbed.listen(port)
    assert is_daytime(query(port))
    resident = re.findall(r"^\S+ r-xp .*/ld-\S+\n(?:\w+: .*\n)*?Rss: +(\d+) kB", daemon.proc("smaps").read_text(),
                          re.MULTILINE)
    assert resident == ["0"]


@not_instrumented("CPU time")
def wake_ups(daemon):
    """How often its threads have slept, so far."""
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", (thread / "status").read_text(), re.MULTILINE)[1])
               for thread in daemon.proc("task").iterdir())


def test_it_sleeps_without_requests(testbed, port):
    daemon = testbed.start(*directives(f"listen daytime/tcp {port}", f"listen daytime/udp {port}", "workers 4"))
    assert is_daytime(query(port))
    before = wake_ups(daemon)
    time.sleep(1)
    assert wake_ups(daemon) - before <= 8


@pytest.mark.parametrize("option", ["--foreground", "--debug"])
def test_foreground_does_not_fork_and_logs_to_standard_error(testbed, port, option):
    server = testbed.foreground(option, "-o", f"listen daytime/tcp {port}")
    wait_until(lambda: serves(port), what="a reply")
    assert testbed.processes() == [server.pid] and os.getsid(server.pid) == os.getsid(0)
    assert testbed.pidfile.read_text() == f"{server.pid}\n"
    server.stop()
    lines = server.log().splitlines()
    assert lines and all(line.startswith("timeserver: ") for line in lines), lines
    assert server.popen.returncode == 0 and testbed.files() == []


def test_help_and_version_go_to_standard_output(testbed):
    for words, expected in [("--help", "Usage: timeserver [OPTION]..."),
                            ("-h", "Usage: timeserver"),
                            ("--version", "timeserver "), ("-V", "timeserver ")]:
        code, out, err = testbed.server(words, pidfile=False)
        assert (code, err) == (0, "") and out.startswith(expected)
    for option in ["--config", "--option", "--foreground", "--debug", "--test", "--dump-config",
                   "--signal", "--pidfile", "--user", "--version", "--help"]:
        assert option in testbed.server("--help").out


def test_the_running_program_is_the_one_under_test(testbed, port):
    """Guards these tests: what runs is the copy of build/timeserver."""
    daemon = testbed.listen(port)
    if not WRAPPER:
        assert os.readlink(daemon.proc("exe")) == SERVER
