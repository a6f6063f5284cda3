"""The lab: two network namespaces joined by a veth pair, a core for each side.

The namespaces have no names: they exist as long as this process's descriptors and the processes in
them, so they vanish with the run, however it ends.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import time

CLONE_NEWNET = 0x40000000
TICKS = os.sysconf("SC_CLK_TCK")

GENERATOR_CORE = 0
SERVER_CORE = 1
SERVER_ADDRESS = "10.99.0.2"
SERVER_MAC = "02:00:00:00:00:02"
CLIENT_MAC = "02:00:00:00:00:01"

# A measurement in which other processes take more of a core is repeated.
FOREIGN_MAX = 0.12
TRIES = 3

CABLE = f"""
link set lo up
link add server0 address {SERVER_MAC} type veth peer name client0 address {CLIENT_MAC} netns %s
addr add {SERVER_ADDRESS}/24 dev server0
link set server0 up
neigh replace 10.99.0.1 lladdr {CLIENT_MAC} dev server0 nud permanent
route add 10.97.0.0/16 via 10.99.0.1
route add 10.98.0.0/16 via 10.99.0.1
"""
CLIENT_END = f"""
link set lo up
addr add 10.99.0.1/24 dev client0
link set client0 up
neigh replace {SERVER_ADDRESS} lladdr {SERVER_MAC} dev client0 nud permanent
route add local 10.98.0.0/16 dev lo
"""
SETTINGS = {
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/tcp_max_syn_backlog": "8192",
    "ipv4/tcp_max_tw_buckets": "524288",
    "ipv4/ip_local_port_range": "1024 65535",
    "core/somaxconn": "4096",
}

libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The reason why a server could not be measured."""


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """A network namespace; processes started and sockets opened while it is entered belong to it."""

    def __init__(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            check(libc.unshare(CLONE_NEWNET))
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        finally:
            check(libc.setns(home, CLONE_NEWNET))
            os.close(home)
        self.inode = os.fstat(self.fd).st_ino

    @contextlib.contextmanager
    def entered(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        check(libc.setns(self.fd, CLONE_NEWNET))
        try:
            yield
        finally:
            check(libc.setns(home, CLONE_NEWNET))
            os.close(home)

    def configure(self, commands):
        with self.entered():
            subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)
            for name, value in SETTINGS.items():
                with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
                    file.write(value)

    def processes(self):
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}/ns/net").st_ino == self.inode:
                    found.append(int(name))
        return found

    def close(self):
        os.close(self.fd)


def core_busy(core):
    """Busy seconds of a core, and seconds stolen by the hypervisor."""
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"cpu{core} "):
                v = [int(word) for word in line.split()[1:]]
                return (v[0] + v[1] + v[2] + v[5] + v[6]) / TICKS, v[7] / TICKS
    raise Failure(f"no core {core}: two cores are needed")


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# With autogroups the nice value of the session counts.
FIRST = 'test ! -e /proc/self/autogroup || echo -20 >/proc/self/autogroup; exec nice -n -20 "$@"'


def on_core(core, command):
    """The command pinned to a core, with the highest priority, killed when this process ends. It
    needs a session of its own."""
    return ["sh", "-c", FIRST, "sh", "taskset", "-c", str(core), "setpriv", "--pdeathsig", "KILL",
            "--bounding-set=-sys_time", *command]


class Lab:
    """A server in its namespace, the veth pair, and the clients at the other end."""

    def __init__(self, programs):
        self.programs = programs
        self.server = Namespace()
        self.client = Namespace()
        self.process = None
        self.log = None
        self.server.configure(CABLE % f"/proc/{os.getpid()}/fd/{self.client.fd}")
        self.client.configure(CLIENT_END)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.client.close()
        self.server.close()

    def start(self, command, environment, log):
        """Starts a server in the foreground, with its output in the file `log`."""
        self.log = log
        with self.server.entered(), open(log, "wb") as out:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                on_core(SERVER_CORE, command), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, env={**os.environ, **environment})

    def await_reply(self, port, seconds=5.0):
        """Waits until a TCP server replies; returns the reply."""
        until = time.monotonic() + seconds
        reply = b""
        while not reply and time.monotonic() < until:
            if self.process and self.process.poll() is not None:
                break
            time.sleep(0.02)
            with contextlib.suppress(OSError):
                reply = self.query(port)
        if not reply:
            raise Failure(f"no reply; output: {self.output()}")
        return reply

    def query(self, port):
        with self.client.entered():
            client = socket.create_connection((SERVER_ADDRESS, port), 1)
        with client:
            return client.recv(512)

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-300:].strip() or "nothing"

    def stop(self):
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            for process in self.server.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal_number)
            until = time.monotonic() + 2
            while self.server.processes() and time.monotonic() < until:
                if self.process:
                    self.process.poll()
                time.sleep(0.02)
        if self.process:
            self.process.wait()
            self.process = None

    def server_seconds(self):
        """CPU time of all processes in the server's namespace and of their ended children."""
        total = 0.0
        for process in self.server.processes():
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{process}/task"):
                    with open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as file:
                        total += int(file.read().split()[0]) / 1e9
                with open(f"/proc/{process}/stat", encoding="ascii") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                total += (int(fields[13]) + int(fields[14])) / TICKS
        return total

    def server_memory(self):
        """Resident MiB of all processes in the server's namespace: now, and at their peak."""
        now = peak = 0
        for process in self.server.processes():
            with contextlib.suppress(OSError):
                with open(f"/proc/{process}/status", encoding="utf-8") as file:
                    status = dict(line.split(":", 1) for line in file)
                now += int(status["VmRSS"].split()[0])
                peak += int(status["VmHWM"].split()[0])
        return now / 1024, peak / 1024

    def run_client(self, name, *arguments):
        """Runs a program of the bench at the client's end; returns the object that it prints."""
        command = on_core(GENERATOR_CORE, [os.path.join(self.programs, name), *map(str, arguments)])
        with self.client.entered():
            done = subprocess.run(command, start_new_session=True, capture_output=True, text=True,
                                  timeout=60, check=False)
        if done.returncode != 0:
            raise Failure(f"{name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def observe(self, measure):
        """A measurement, with the server's CPU time and the share of a core taken by other processes."""
        cores = (GENERATOR_CORE, SERVER_CORE)
        before = [core_busy(core) for core in cores]
        ours = [children_seconds(), self.server_seconds()]
        start = time.monotonic()
        result = measure()
        elapsed = time.monotonic() - start
        ours = [children_seconds() - ours[0], self.server_seconds() - ours[1]]
        after = [core_busy(core) for core in cores]
        result["server_seconds"] = ours[1]
        result["foreign"] = max((new[0] - old[0] - mine) / elapsed + (new[1] - old[1]) / elapsed
                                for new, old, mine in zip(after, before, ours))
        return result

    def observe_quietly(self, measure):
        """The same, repeated under foreign load; returns the least disturbed one."""
        best = None
        for _ in range(TRIES):
            result = self.observe(measure)
            if best is None or result["foreign"] < best["foreign"]:
                best = result
            if best["foreign"] <= FOREIGN_MAX:
                break
            time.sleep(0.2)
        return best
