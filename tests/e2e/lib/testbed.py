"""Starts programs and daemons for a test, and checks that all of them have ended."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid

from lib.environment import CLIENT, GROUP, home, longer, SERVER, USER, WRAPPER
from lib.process import cmdline, Daemon, Foreground, read_back, Result


THREAD_SUPPRESSIONS = shutil.copy(pathlib.Path(__file__).parents[2] / "thread.supp", home)


def directives(*lines):
    """The options of timeserver that give it these lines of configuration."""
    return [word for line in lines for word in ("-o", line)]


class Testbed:
    """The directory, programs and daemons of one test."""

    __test__ = False  # not a test class of pytest

    def __init__(self):
        self.token = uuid.uuid4().hex
        self.root = pathlib.Path(tempfile.mkdtemp(dir=home))
        self.logs = self.root / "logs"
        self.dir = self.root / "d"
        for directory, mode in [(self.root, 0o755), (self.logs, 0o1777), (self.dir, 0o755)]:
            directory.mkdir(exist_ok=True)
            directory.chmod(mode)
        os.chown(self.dir, USER, GROUP)  # as /run/timeserver: a daemon of root removes its files there
        self.pidfile = self.dir / "t.pid"
        self.running, self.reports = [], []

    def environment(self, extra):
        log = f"log_path={self.logs}/sanitizer"
        plain = {name: value for name, value in os.environ.items()
                 if not name.startswith(("LC_", "LISTEN_", "NOTIFY_", "WATCHDOG_", "XDG_"))}
        plain |= {"LANG": "C", "TZ": "UTC0", "TIMESERVER_TEST": self.token,
                  "ASAN_OPTIONS": log, "UBSAN_OPTIONS": f"{log}:print_stacktrace=1",
                  "TSAN_OPTIONS": f"{log}:suppressions={THREAD_SUPPRESSIONS}",
                  "GCOV_ERROR_FILE": "/dev/null"}
        return {name: value for name, value in (plain | extra).items() if value is not None}

    def popen(self, arguments, env=None, **more):
        """Output goes to files: a pipe stays open while any process that inherited it runs."""
        out, err = tempfile.TemporaryFile(dir=self.logs), tempfile.TemporaryFile(dir=self.logs)
        self.reports += [out, err]
        settings = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, "cwd": self.dir}
        command = [str(word) for word in arguments]
        settings |= {"env": self.environment(env or {})} | more
        return subprocess.Popen(command, **settings), out, err

    def run(self, *arguments, timeout=20, **more):
        """Runs a program until it ends."""
        began = time.monotonic()
        popen, out, err = self.popen(arguments, **more)
        try:
            popen.wait(longer(timeout))
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
            raise AssertionError(f"still running after {timeout} s: {arguments}") from None
        return Result(popen.returncode, read_back(out), read_back(err), time.monotonic() - began)

    def client(self, *arguments, **more):
        return self.run(CLIENT, *arguments, **more)

    def command(self, *arguments, pidfile=True):
        own = ["--pidfile", self.pidfile] if pidfile else []
        is_signal = {"--signal", "-s"} & set(map(str, arguments))  # it starts no daemon
        return [*([] if is_signal else WRAPPER), SERVER, *own, *arguments]

    def server(self, *arguments, pidfile=True, before=(), **more):
        """Runs timeserver until the started process ends, which may leave a daemon."""
        result = self.run(*before, *self.command(*arguments, pidfile=pidfile), **more)
        if result.code == 0 and "serving as process" in result.out:
            self.running.append(Daemon(self, result))
        return result

    def start(self, *arguments, **more):
        """Starts a daemon that serves; it is stopped when the test ends."""
        result = self.server(*arguments, **more)
        assert result.code == 0 and self.running, f"no daemon: {result}"
        return self.running[-1]

    def listen(self, port, *more, **settings):
        """Starts a daemon with one Daytime listener over TCP."""
        return self.start("-o", f"listen daytime/tcp {port}", *more, **settings)

    def listen_result(self, port, *more, **settings):
        """The outcome of such a start, which may fail."""
        return self.server("-o", f"listen daytime/tcp {port}", *more, **settings)

    def foreground(self, *arguments, before=(), pidfile=True, **more):
        """Starts a server that does not fork. The caller has to wait until it serves."""
        command = [*before, *self.command(*arguments, pidfile=pidfile)]
        popen, _, err = self.popen(command, **more)
        self.running.append(Foreground(self, popen, err))
        return self.running[-1]

    def config(self, text, name="t.conf"):
        path = self.dir / name
        path.write_text(text)
        return path

    def signal(self, what, **more):
        return self.server("--signal", what, **more)

    def status(self):
        """The output of --signal status: values by their names, and the listen lines as a list."""
        result = self.signal("status")
        assert result.code == 0, result
        pairs = [line.split(": ", 1) for line in result.out.splitlines()]
        return dict(pairs) | {"listen": [value for name, value in pairs if name == "listen"]}

    def files(self):
        return sorted(str(path.relative_to(self.dir)) for path in self.dir.rglob("*"))

    def processes(self):
        """The running processes of this test and their descendants."""
        # A process may fork and end between the list of /proc and the look at it: two looks must agree.
        found, before = self.marked(), None
        while found != before:
            found, before = self.marked(), found
        return found

    def marked(self):
        """The processes whose environment has the token, and the web processes, which have no environment."""
        mark, found = f"TIMESERVER_TEST={self.token}".encode(), []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (mark in (process / "environ").read_bytes().split(b"\0")
                        or b"--role=" in (process / "cmdline").read_bytes()
                        and os.readlink(process / "exe").startswith(f"{home}/")):
                    found.append(int(process.name))
        return found

    def close(self):
        """Stops all processes. Fails if one does not stop, or if an instrument found something."""
        problems = []
        for process in self.running:
            try:
                if process.alive():
                    process.stop()
            except AssertionError as error:
                problems.append(str(error))
                process.kill()
            process.close()
        deadline = time.monotonic() + longer(20)
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.01)
        for pid in self.processes():
            problems.append(f"left behind: process {pid}, {cmdline(pid)}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        problems += self.findings()
        for file in self.reports:
            file.close()
        shutil.rmtree(self.root)
        assert not problems, "\n".join(problems)

    def findings(self):
        """The reports of sanitizers and valgrind."""
        found = [path.read_text() for path in self.logs.glob("sanitizer*")]
        servers, reports = {str(process.pid) for process in self.running}, {}
        for file in self.reports if WRAPPER else []:
            file.seek(0)
            for pid, line in re.findall(rb"^==(\d+)== (.*)$", file.read(), re.MULTILINE):
                reports.setdefault(pid.decode(), []).append(line.decode(errors="replace"))
        for pid, lines in reports.items():
            # Open descriptors matter in a daemon, not in the processes that start it.
            pattern = r"Invalid |ninitialised|are (definitely|indirectly|possibly) lost"
            pattern += "|Open (file descriptor|AF_)" if pid in servers else ""
            if re.search(pattern, "\n".join(lines)):
                found.append(f"valgrind, process {pid}:\n" + "\n".join(lines))
        return found
