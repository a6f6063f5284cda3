"""System calls that the running, confined processes make themselves: see lib/inject.py."""
import contextlib
import errno
import fcntl
import os
import signal
import socket
import struct

import pytest

from lib.environment import needs_private, needs_program, not_instrumented
from lib.http_client import start_web
from lib.inject import call_numbers, inside, needs_x86_64
from lib.web_process import serves_http, web_process_of

pytestmark = [needs_x86_64, needs_private("root"), needs_program("cc"), not_instrumented("every call")]

# What each process may call, with any arguments or with some. Not read from the sources, so that a call too
# many is seen here.
WEB = """accept4 read readv write writev recvfrom sendto shutdown close getsockopt getpeername ioctl epoll_ctl
epoll_pwait epoll_wait timerfd_settime clock_gettime gettimeofday time restart_syscall brk mmap munmap mremap
mprotect madvise futex getrandom getpid gettid rt_sigreturn rt_sigprocmask rt_sigaction exit exit_group"""
DAEMON = """epoll_pwait recvmmsg sendmmsg recvmsg sendmsg recvfrom sendto accept4 shutdown read write writev close
clock_gettime gettimeofday socket bind listen connect getsockname getpeername setsockopt getsockopt socketpair
ppoll ioctl uname epoll_create1 epoll_ctl eventfd2 signalfd4 timerfd_create timerfd_settime clock_nanosleep
nanosleep adjtimex clock_adjtime brk mmap munmap mremap mprotect madvise futex clone set_robust_list rseq exit
exit_group sched_getaffinity sched_yield prctl prlimit64 getrlimit setrlimit getrandom restart_syscall sysinfo
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack tgkill openat newfstatat fstat statx lseek pread64 pwrite64
getdents64 readlinkat faccessat fcntl flock ftruncate unlinkat dup dup3 umask getcwd getpid gettid getuid geteuid
getgid getegid landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_create wait4 waitid kill
set_tid_address arch_prctl readv pipe2 open stat lstat access poll epoll_wait readlink unlink dup2 time execve
setpriority"""
NEW = 424  # the first call that Linux 4.18 does not have
X32 = 1 << 30
GETPID_32 = 20

NONE = 0x7ffffffe  # no process has this number
HIGH = 1 << 32
FASTOPEN = 0x20000000  # Linux's MSG_FASTOPEN
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
SHARED, PRIVATE, ANONYMOUS = 1, 2, 32
CLOEXEC = socket.SOCK_CLOEXEC


@contextlib.contextmanager
def web_of(daemon):
    """An injector for the web process. The daemon, which would kill a process that hangs, waits meanwhile."""
    with web_process_of(daemon) as web:
        daemon.signal(signal.SIGSTOP)
        try:
            with inside(web) as injector:
                yield injector
        finally:
            daemon.signal(signal.SIGCONT)


def words_of(web):
    """The descriptors that it was passed: the supervisor, the stats, the counters and the listener."""
    words = open(f"/proc/{web.pid}/cmdline", encoding="ascii").read().rstrip("\0").split("\0")
    return int(words[2]), int(words[3]), int(words[4]), int(words[-1])


def address_of(listener):
    host, port = listener.getsockname()
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


@pytest.mark.parametrize("which, allowed", [("web process", WEB), ("daemon", DAEMON)], ids=["web", "daemon"])
def test_all_other_calls_are_refused(testbed, port, which, allowed):
    """With arguments for which most of them would fail otherwise, but with another error."""
    daemon, numbers = start_web(testbed, port), call_numbers()
    refused = {name: number for name, number in numbers.items() if name not in allowed.split()}
    refused |= {"of the future": 600, "with x32": X32 | numbers["getpid"], "execve with x32": X32 | 520}
    wrong = {}
    with (web_of if which == "web process" else inside)(daemon) as process:
        for name, number in refused.items():
            error = errno.ENOSYS if NEW <= number < X32 else errno.EPERM
            result = process.call(number, *[-1] * 6)
            if result != -error:
                wrong[name] = result
        if process.call_32(GETPID_32) != -errno.EPERM:
            wrong["with 32 bits"] = "no EPERM"
    assert not wrong and len(refused) > 200
    assert set(allowed.split()) <= set(numbers), "a name is wrong"
    assert serves_http(port) and testbed.signal("reload").code == 0
    print(f"{which}: {len(refused)} calls refused")


def web_cases(web):
    """Calls with their arguments, and whether they are allowed. An allowed one fails for another reason."""
    supervisor, stats, _, listener = words_of(web)
    page = web.call(NUMBERS["mmap"], 0, 4096, PROT_READ | PROT_WRITE, PRIVATE | ANONYMOUS, -1, 0)
    assert page > 0
    target = struct.pack("=H", socket.AF_INET) + bytes(14)
    for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
        yield False, "shutdown", listener, how
        yield True, "shutdown", -1, how
    yield False, "shutdown", HIGH | listener, socket.SHUT_RDWR
    yield True, "sendto", -1, b"x", 1, socket.MSG_NOSIGNAL, 0, 0
    yield False, "sendto", listener, b"x", 1, 0, target, 16
    yield False, "sendto", listener, b"x", 1, 0, HIGH, 16
    yield False, "sendto", listener, b"x", 1, FASTOPEN, target, 16
    yield False, "sendto", listener, b"x", 1, FASTOPEN, 0, 0
    yield False, "sendto", supervisor, b"x", 1, socket.MSG_OOB, 0, 0
    yield True, "ioctl", -1, 0x541B, page  # FIONREAD
    for command in (0x5421, 0x5452, 0x8901, 0x8933, 0x5414):  # FIONBIO FIOASYNC FIOSETOWN SIOCGIFINDEX TIOCSWINSZ
        yield False, "ioctl", listener, command, page
    yield True, "getsockopt", -1, socket.SOL_SOCKET, socket.SO_ERROR, page, page + 8
    yield False, "getsockopt", listener, socket.IPPROTO_TCP, 33, page, page + 8  # TCP_FASTOPEN_KEY
    yield False, "getsockopt", supervisor, socket.SOL_SOCKET, socket.SO_PEERCRED, page, page + 8
    yield True, "mmap", 0, 0, PROT_READ | PROT_WRITE, PRIVATE | ANONYMOUS, -1, 0
    yield False, "mmap", 0, 4096, PROT_READ | PROT_EXEC, PRIVATE | ANONYMOUS, -1, 0
    yield False, "mmap", 0, 4096, PROT_EXEC, PRIVATE | ANONYMOUS, -1, 0
    yield False, "mmap", 0, 4096, PROT_READ, SHARED, stats, 0
    yield False, "mmap", 0, 4096, PROT_READ, SHARED | ANONYMOUS, -1, 0
    yield True, "mprotect", page, 4096, PROT_READ
    yield False, "mprotect", page, 4096, PROT_READ | PROT_EXEC
    for advice in range(26):
        yield advice in (4, 8), "madvise", page + 1, 4096, advice  # MADV_DONTNEED, MADV_FREE
    for operation in range(14):  # the private ones of FUTEX_WAIT, FUTEX_WAKE and FUTEX_WAIT_BITSET
        yield False, "futex", page, operation, 0
        yield operation in (0, 1, 9), "futex", page + 1, 128 | operation, 0
    yield True, "futex", page + 1, 256 | 128 | 9, 0  # FUTEX_CLOCK_REALTIME
    yield True, "getrandom", page, 1, 0
    yield True, "getrandom", page, 1, 1  # GRND_NONBLOCK
    yield False, "getrandom", page, 1, 2  # GRND_RANDOM


# By level and option: SO_ATTACH_FILTER, SO_LOCK_FILTER, SO_BINDTODEVICE, SO_MARK, SO_PRIORITY, SO_BROADCAST,
# SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF, SO_ZEROCOPY, SO_TXTIME, IP_OPTIONS, IP_TRANSPARENT, IP_ADD_MEMBERSHIP,
# IPT_SO_SET_REPLACE, TCP_REPAIR, TCP_MD5SIG, TCP_ULP, IPV6_ADD_MEMBERSHIP, IP6T_SO_SET_REPLACE.
BAD_OPTIONS = [(1, option) for option in (26, 44, 25, 36, 12, 6, 50, 52, 60, 61)] + [
    (0, 4), (0, 19), (0, 35), (0, 64), (6, 19), (6, 14), (6, 31), (41, 20), (41, 64)]
# Those of src/server/sockets/socket.c and others, and of name services.
GOOD_OPTIONS = [(1, option) for option in (2, 15, 35, 13, 51, 68, 7, 8, 20, 21, 16)] + [
    (6, 13), (0, 8), (0, 10), (0, 15), (0, 11), (41, 26), (41, 49), (41, 23), (41, 78), (41, 25), (270, 3)]


def socket_cases():
    internet = (socket.AF_INET, socket.AF_INET6)
    for family in range(46):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            allowed = (family in internet and kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
                       or family == socket.AF_UNIX and kind != socket.SOCK_RAW
                       or family == socket.AF_NETLINK and kind in (socket.SOCK_RAW, socket.SOCK_DGRAM))
            yield allowed, "socket", family, kind | CLOEXEC | socket.SOCK_NONBLOCK, 0
    for family in internet:
        yield True, "socket", family, socket.SOCK_DGRAM, socket.IPPROTO_UDP
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for protocol in (1, 33, 58, 132, 136, 255, 262):  # ICMP DCCP ICMPv6 SCTP UDPLITE RAW MPTCP
                yield False, "socket", family, kind, protocol
    for protocol in range(1, 23):
        yield False, "socket", socket.AF_NETLINK, socket.SOCK_RAW, protocol
    yield True, "socketpair", socket.AF_UNIX, socket.SOCK_STREAM, 99, 0
    yield False, "socketpair", 30, socket.SOCK_STREAM, 0, 0  # AF_TIPC
    for level, option in BAD_OPTIONS + GOOD_OPTIONS:
        yield (level, option) in GOOD_OPTIONS, "setsockopt", -1, level, option, 0, 0


def process_cases(daemon, other):
    """Nothing that would reach another program if the rule were missing: no -1 and no group that exists but that
    of the daemon itself, no user that exists. The other process is one of the daemon's own."""
    assert os.getpgid(daemon) not in (os.getpgrp(), os.getpgid(os.getppid()))
    yield True, "kill", NONE, signal.SIGKILL
    yield False, "kill", 0, signal.SIGKILL  # the daemon's own group
    yield False, "kill", -NONE, signal.SIGKILL
    for number in [*range(signal.SIGKILL), *range(signal.SIGKILL + 1, 65)]:
        yield False, "kill", NONE, number
        yield False, "kill", other, number
    yield True, "tgkill", daemon, NONE, signal.SIGABRT
    yield False, "tgkill", other, other, signal.SIGABRT
    yield False, "tgkill", NONE, NONE, 0
    yield True, "prlimit64", 0, 7, 0, 0
    for target in (other, NONE, daemon):
        yield False, "prlimit64", target, 7, 0, 0
    yield True, "setpriority", 0, 0, 0
    yield False, "setpriority", 0, other, 19
    yield False, "setpriority", 1, NONE, 19  # a group
    yield False, "setpriority", 2, NONE, 19  # a user
    for option in [*range(1, 80), 0x53564d41, 0x59616d61]:  # PR_SET_VMA, PR_SET_PTRACER
        yield option == 15, "prctl", option, 0, 0, 0, 0  # PR_SET_NAME
    yield True, "prctl", 22, 2, 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    yield False, "prctl", 22, 1, 0
    for bit in (0x2000, 0x8000, 0x800000, 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000,
                0x40000000):  # CLONE_PTRACE, _PARENT, _UNTRACED, and the namespaces
        yield False, "clone", bit | 0x01000000, 0, 0, 0, 0  # CLONE_CHILD_SETTID
    yield True, "clone", 0x10000, 0, 0, 0, 0  # CLONE_THREAD alone is invalid


def memory_cases():
    yield True, "mmap", 0, 0, PROT_READ | PROT_EXEC, PRIVATE | ANONYMOUS, -1, 0
    yield True, "mmap", 0, 0, PROT_READ | PROT_WRITE, PRIVATE | ANONYMOUS, -1, 0
    yield False, "mmap", 0, 0, PROT_READ | PROT_WRITE | PROT_EXEC, PRIVATE | ANONYMOUS, -1, 0
    yield False, "mmap", 0, 0, PROT_WRITE | PROT_EXEC, PRIVATE | ANONYMOUS, -1, 0
    yield True, "mprotect", 1, 0, PROT_READ | PROT_WRITE
    yield False, "mprotect", 1, 0, PROT_READ | PROT_EXEC
    yield False, "mprotect", 1, 0, PROT_EXEC


def file_cases():
    good = (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL, fcntl.F_SETFL,
            fcntl.F_GETLK, fcntl.F_SETLK, 36, 37, 1033, 1034)  # F_OFD_*LK, F_*_SEALS
    for command in [*range(45), *range(1024, 1044)]:
        yield command in good, "fcntl", -1, command, 0
    for command in (0x5421, 0x541B, 0x8933, 0x8910):  # FIONBIO FIONREAD SIOCGIFINDEX SIOCGIFNAME
        yield True, "ioctl", -1, command, 0
    for command in (0x5452, 0x8901, 0x5414, 0x5412, 0x8914, 0x8924):  # FIOASYNC FIOSETOWN TIOC* SIOCSIF*
        yield False, "ioctl", -1, command, 0
    yield True, "flock", -1, fcntl.LOCK_SH | fcntl.LOCK_NB
    yield False, "flock", -1, fcntl.LOCK_EX | fcntl.LOCK_NB
    yield True, "clock_adjtime", 0, 0
    for clock in (1, 11, -5, -21):  # CLOCK_MONOTONIC, CLOCK_TAI, those of descriptors
        yield False, "clock_adjtime", clock, 0
    yield True, "getrandom", 0, 0, 1
    yield False, "getrandom", 0, 0, 2


def daemon_cases(daemon, other):
    yield from socket_cases()
    yield from process_cases(daemon, other)
    yield from memory_cases()
    yield from file_cases()


NUMBERS = {}


@pytest.fixture(autouse=True, scope="module")
def numbers():
    if not NUMBERS:
        NUMBERS.update(call_numbers())


def wrong(process, cases):
    """The cases whose call is refused and should not be, or the reverse."""
    found, count = [], 0
    for allowed, name, *arguments in cases:
        result = process.call(NUMBERS[name], *arguments)
        count += 1
        if (result != -errno.EPERM) != allowed:
            found.append((name, *arguments, "=", result))
        if name in ("socket", "fcntl") and result > 2:
            process.call(NUMBERS["close"], result)
    print(f"{count} calls")
    assert count > 0
    return found


def test_arguments_of_the_web_process(testbed, port):
    """Also those that the daemon's filter, which it has inherited, would allow."""
    daemon = start_web(testbed, port)
    refused = [(False, *case) for _, *case in daemon_cases(daemon.pid, daemon.pid) if case[0] not in WEB.split()]
    with web_of(daemon) as web:
        assert wrong(web, web_cases(web)) == [] and wrong(web, refused) == []
    assert serves_http(port) and testbed.signal("reload").code == 0


def test_arguments_of_the_daemon(testbed, port):
    """The other process is the web process: it has no more capabilities."""
    daemon = start_web(testbed, port)
    with web_process_of(daemon) as web, inside(daemon) as process:
        assert wrong(process, daemon_cases(daemon.pid, web.pid)) == []
    assert serves_http(port) and testbed.signal("reload").code == 0


def test_the_web_process_makes_no_connection_of_a_listener(testbed, port):
    """Nor does the attempt end HTTP, reloads or upgrades."""
    daemon = start_web(testbed, port)
    with socket.create_server(("127.0.0.1", 0)) as victim:
        victim.setblocking(False)
        with web_of(daemon) as web:
            listener = words_of(web)[-1]
            web.call(NUMBERS["shutdown"], listener, socket.SHUT_RDWR)
            web.call(NUMBERS["sendto"], listener, b"stolen", 6, FASTOPEN, address_of(victim), 16)
        with pytest.raises(BlockingIOError):  # over lo it would be there at once
            victim.accept()
    assert all(serves_http(port) for _ in range(5))
    assert testbed.signal("reload").code == 0 and serves_http(port)
    words = [f"listen http 127.0.0.1:{port}", "clock local"]
    testbed.start("--upgrade", *[word for line in words for word in ("-o", line)])
    daemon.wait_gone()
    assert serves_http(port)
