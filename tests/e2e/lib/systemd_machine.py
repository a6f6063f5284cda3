"""A real systemd as process 1 of its own mount, PID and cgroup namespaces.

It is Debian's, unpacked by bench/fetch-peers, and runs the units of the test alone. It shares the
network namespace of the test, whose settings it cannot change: /proc/sys is read-only. What it writes
below /etc, /tmp, /var/tmp and /var/lib/systemd is gone with it; its boot ID, which is part of the names
of private directories, is its own. It logs to /dev/kmsg, if there is a file of that name, which is not
the kernel's here.
"""
import contextlib
import glob
import os
import pathlib
import subprocess
import uuid

from lib.environment import home, longer, wait_until
from lib.peers import LIBRARIES, PEERS

SYSTEMD = f"{PEERS}/lib/systemd/systemd"

# Empty targets, which units depend on by default.
TARGETS = ["default", "sysinit", "basic", "sockets", "network", "multi-user", "shutdown", "umount"]

BOOT = """
set -e
for group in $groups; do echo $$ >"$group/cgroup.procs"; done
exec unshare --mount --pid --cgroup --fork --kill-child sh -ec '
	mount --make-rprivate /
	mount -t proc proc /proc
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
	mount -t tmpfs tmpfs /mnt
	mkdir -p /mnt/lock "/mnt/${home#/run/}"
	echo "$boot" >/mnt/boot_id
	mount --bind /mnt/boot_id /proc/sys/kernel/random/boot_id
	mount --bind "$home" "/mnt/${home#/run/}"
	for directory in /etc /tmp /var/tmp /var/lib/systemd; do
		mkdir -p "/mnt/upper$directory" "/mnt/work$directory" $directory
		mount -t overlay -o "lowerdir=$directory,upperdir=/mnt/upper$directory,workdir=/mnt/work$directory" \
			overlay $directory
	done
	mount --no-mtab --move /mnt /run
	mkdir -p /etc/timeserver
	if [ -d /sys/fs/cgroup/systemd ]; then
		mount -t tmpfs tmpfs /sys/fs/cgroup
		mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
		mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
		mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
	else
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
	fi
	export LD_LIBRARY_PATH="$libraries" SYSTEMD_UNIT_PATH="$units" container=test
	exec "$systemd" --system --log-target=kmsg --show-status=no'
"""


def libraries():
    directories = LIBRARIES["LD_LIBRARY_PATH"]
    return ":".join([directories, *(f"{directory}/systemd" for directory in directories.split(":")),
                     *glob.glob(f"{PEERS}/lib/*-linux-gnu"), f"{PEERS}/lib/systemd"])


def hierarchies():
    """All cgroup hierarchies except cpuset, where a new group has no CPU to run on."""
    root = pathlib.Path("/sys/fs/cgroup")
    found = [path for path in [root, *root.glob("*")] if (path / "cgroup.procs").exists()]
    return [path for path in found if path.name != "cpuset" and not path.is_symlink()]


class Systemd:
    def __init__(self, testbed):
        self.testbed, self.units, self.boot = testbed, testbed.root / "units", uuid.uuid4()
        self.token = f"timeserver-{self.boot.hex}"
        self.units.mkdir()
        for name in TARGETS:
            self.write_unit(f"{name}.target", "[Unit]\nDescription=empty target of the tests\n")

    def write_unit(self, name, text):
        (self.units / name).write_text(text)

    def install_unit(self, name, log):
        """Installs a unit of dist/ as make install does, but with its log in a file."""
        text = pathlib.Path(f"dist/{name}").read_text(encoding="ascii")
        self.write_unit(name, text.replace("@PREFIX@", str(self.testbed.root / "usr")))
        if name.endswith(".service"):
            directory = self.units / f"{name}.d"
            directory.mkdir(exist_ok=True)
            (directory / "log.conf").write_text(f"[Service]\nStandardError=append:{log}\n")

    def enter(self, *words):
        """The words of a command, to run in the namespaces of systemd."""
        return ["nsenter", "--target", str(self.process()), "--mount", "--pid", "--cgroup", *words]

    def process(self):
        """The PID of systemd out here: the first child of the unshare that made the namespaces."""
        children = pathlib.Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        return int(children.read_text().split()[0])

    def run(self, *words, **more):
        return self.testbed.run(*self.enter(*words), **more)

    def control(self, *words):
        return self.run(f"{PEERS}/bin/systemctl", *words, env={"LD_LIBRARY_PATH": libraries()},
                        timeout=30)

    def show(self, unit):
        lines = self.control("show", unit).out.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def write_config(self, text):
        written = self.run("sh", "-c", f"cat >/etc/timeserver/timeserver.conf <<'END'\n{text}END")
        assert written.code == 0, written

    def __enter__(self):
        self.groups = [path / self.token for path in hierarchies()]
        for group in self.groups:
            group.mkdir()
        settings = {"groups": " ".join(map(str, self.groups)), "home": str(home), "systemd": SYSTEMD,
                    "units": str(self.units), "libraries": libraries(), "boot": str(self.boot)}
        self.popen, _, self.err = self.testbed.popen(["sh", "-c", BOOT], env=settings)
        wait_until(self.is_up, 20, "systemd")
        return self

    def is_up(self):
        assert self.popen.poll() is None, self.err.seek(0) or self.err.read()
        with contextlib.suppress(OSError, IndexError):
            return self.control("is-system-running").out.strip() in ("running", "degraded")

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait(longer(10))
        for group in self.groups:
            wait_until(lambda group=group: is_removed(group), what="all services to end")
        left = [path for place in ("/tmp", "/var/tmp") for path in glob.glob(f"{place}/*{self.boot.hex}*")]
        assert not left, f"left behind: {left}"


def is_removed(group):
    """Removes a control group and all below it; fails while processes in it are still ending."""
    with contextlib.suppress(OSError):
        for directory, _, _ in os.walk(group, topdown=False):
            os.rmdir(directory)
    return not group.exists()


def reason_to_skip():
    """The reason why systemd cannot run here; None if it can."""
    if not os.path.exists(SYSTEMD):
        return f"needs {SYSTEMD} (bench/fetch-peers)"
    if not hierarchies():
        return "needs control groups, and none are mounted at /sys/fs/cgroup"
    try:
        for path in hierarchies():
            probe = path / f"probe-{uuid.uuid4().hex}"
            probe.mkdir()
            probe.rmdir()
        subprocess.run(["unshare", "--mount", "--pid", "--cgroup", "--fork", "true"], check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"needs control groups of its own ({error})"
    return None
