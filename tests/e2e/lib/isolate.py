"""Namespaces for one pytest process: its own network, mounts, /run and /dev.

Ports do not collide with those of the machine, its syslog gets no records of the tests, and their
files are gone when the process ends. This needs root: without, PRIVATE is false and REASON says why.
"""
import contextlib
import ctypes
import os
import pathlib
import resource
import signal
import subprocess
import tempfile

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 1, 32, 4096, 8192, 16384, 1 << 18
MNT_DETACH = 2

# The devices that programs expect. "log" is not among them: every test starts without a syslogd.
DEVICES = ["null", "zero", "full", "random", "urandom", "tty", "shm"]

PRIVATE = False
REASON = "needs root"

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source, target, kind="none", flags=0, data=""):
    words = [str(word).encode() for word in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def unmount(target):
    check(libc.umount2(str(target).encode(), MNT_DETACH), f"umount {target}")


@contextlib.contextmanager
def mounted(source, target, kind="none", flags=0, data=""):
    """A mount that is removed at the end of the with block."""
    mount(source, target, kind, flags, data)
    try:
        yield target
    finally:
        unmount(target)


@contextlib.contextmanager
def overlaid(directory, place, lower=None):
    """Makes a directory writable in the with block, with the files of lower added. Yields the directory,
    below place, of what is written there."""
    upper, work = (pathlib.Path(place, name, str(directory).strip("/")) for name in ("upper", "work"))
    upper.mkdir(parents=True)
    work.mkdir(parents=True)
    layers = f"{lower}:{directory}" if lower else directory
    with mounted("overlay", directory, "overlay", 0, f"lowerdir={layers},upperdir={upper},workdir={work}"):
        yield upper


def replace_dev():
    """Mounts a /dev with the usual devices in a directory that the tests may write to."""
    new = tempfile.mkdtemp(dir="/run")
    mount("tmpfs", new, "tmpfs", 0, "mode=755")
    for name in DEVICES:
        old, place = f"/dev/{name}", f"{new}/{name}"
        if not os.path.exists(old):
            continue
        if os.path.isdir(old):
            os.mkdir(place)
        else:
            open(place, "w").close()
        mount(old, place, flags=MS_BIND | MS_REC)
    os.mkdir(f"{new}/pts")
    mount("devpts", f"{new}/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
    for link, target in [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                         ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
                         ("ptmx", "pts/ptmx")]:
        os.symlink(target, f"{new}/{link}")
    mount(new, "/dev", flags=MS_MOVE)


def reset():
    """Undoes what the caller may have set: signals ignored in the background, or by nohup, and a low
    soft limit of descriptors."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # Python's own
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 1 << 20)), hard))


def enter():
    """Moves this process, and so its future children, into the new namespaces."""
    global PRIVATE, REASON
    reset()
    if os.geteuid() != 0:
        return
    try:
        # The mounts first: without a root that is a mount point, as in some chroots, nothing is private.
        check(libc.unshare(CLONE_NEWNS), "unshare")
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        check(libc.unshare(CLONE_NEWNET), "unshare")
        mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
        replace_dev()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    except (OSError, subprocess.SubprocessError) as error:
        REASON = f"needs namespaces of its own ({error})"
        return
    PRIVATE = True
