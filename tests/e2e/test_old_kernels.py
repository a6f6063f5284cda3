"""Kernels and containers that refuse what Linux 4.18 does not have.

An old kernel refuses a call with ENOSYS, the filter of a container with EPERM.
"""
import os
import signal

import pytest

from lib import ntp
from lib.daytime_client import free_port, is_daytime, listening_ports, query, serves
from lib.environment import BITS, CLIENT, longer, needs_program, not_instrumented, wait_until
from lib.testbed import directives
from lib.web_process import serves_http, web_process_of

# Every call that the programs, or the C library in them, make if they can, by its number; and all calls that
# Linux 4.18 does not have. With 32 bits the C library tries others for each time, and only ENOSYS has it go on.
CALLS = {"pidfd_send_signal": "424", "pidfd_open": "434", "clone3": "435", "close_range": "436",
         "openat2": "437", "faccessat2": "439", "epoll_pwait2": "441", "landlock_create_ruleset": "444",
         "landlock_add_rule": "445", "landlock_restrict_self": "446", "all of them": "424+" if BITS == 64 else "403+"}

pytestmark = [not_instrumented("calls"), needs_program("cc")]


@pytest.fixture
def inherited():
    """A descriptor that the caller of a daemon has forgotten."""
    fd = os.open("/etc/passwd", os.O_RDONLY)
    os.dup2(fd, 200, inheritable=True)
    os.close(fd)
    yield {"pass_fds": [200]}
    os.close(200)


def lines(port, web, *more):
    return [f"listen ntp {port}", f"listen daytime/tcp {port}", f"listen time/udp {web}",
            f"listen http 127.0.0.1:{web}", "clock local", "workers 2", *more]


def write_config(testbed, *words):
    return testbed.config("".join(f"{word}\n" for word in words))


def assert_serves(port, web):
    assert serves(port) and is_daytime(query(port, "::1")) and ntp.query(port)[0].stratum == 10
    with ntp.udp_socket(timeout=longer(5)) as client:
        client.sendto(b"", ("127.0.0.1", web))
        assert len(client.recv(100)) == 4
    wait_until(lambda: serves_http(web), 10, "HTTP")


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
@pytest.mark.parametrize("call", CALLS)
def test_a_newer_call_may_be_refused(testbed, port, refusing, inherited, call, error):
    """At the start, while it serves, in an upgrade, and to the commands and the client."""
    if CALLS[call] == "403+" and error == "EPERM":
        pytest.skip("the C library needs ENOSYS")
    web, added, refused = free_port(), free_port(), refusing(error, CALLS[call])
    config = write_config(testbed, *lines(port, web))
    old = testbed.start("-c", config, **refused, **inherited)
    assert "/etc/passwd" not in old.descriptors().values()
    assert_serves(port, web)
    write_config(testbed, *lines(port, web, f"listen time/tcp {added}"))
    assert testbed.signal("reload", **refused).code == 0 and len(query(added)) == 4
    assert_serves(port, web)
    confined = testbed.status()["confined"]
    assert ("paths" in confined) == (not call.startswith(("landlock", "all"))) and "new privileges" in confined
    client = testbed.run(*refused["before"], CLIENT, f"ntp://127.0.0.1:{port}")
    assert client.code == 0 and "stratum 10" in client.out, client
    new = testbed.start("--upgrade", "-c", config, **refused)
    old.wait_gone()
    assert_serves(port, web)
    assert tuple(testbed.signal("stop", **refused)) == (0, f"timeserver: process {new.pid} stopped\n", "")
    new.wait_gone()
    assert testbed.files() == ["t.conf"]


def test_in_the_foreground_all_may_be_refused(testbed, port, refusing, inherited):
    daemon = testbed.foreground("-n", *directives(f"listen daytime/tcp {port}"), **refusing("EPERM", "424+"), **inherited)
    wait_until(lambda: serves(port), what="Daytime")
    assert "/etc/passwd" not in daemon.descriptors().values()
    assert testbed.signal("stop", **refusing("EPERM", "424+")).code == 0 and daemon.wait() == 0


def test_descriptors_are_closed_where_nothing_lists_them(testbed, port, refusing, inherited):
    daemon = testbed.listen(port, **refusing("EPERM", CALLS["close_range"], "getdents64"), **inherited)
    assert serves(port) and "/etc/passwd" not in daemon.descriptors().values()


def test_stop_waits_without_a_pidfd(testbed, port, refusing):
    """Until the daemon no longer holds its pid file; a daemon that hangs is reported."""
    daemon = testbed.listen(port)
    daemon.signal(signal.SIGSTOP)
    before = refusing("ENOSYS", CALLS["pidfd_open"])
    result = testbed.signal("stop", **before)
    assert tuple(result) == (1, "", f"timeserver: process {daemon.pid} has not stopped after 10 s\n")
    daemon.signal(signal.SIGCONT)
    daemon.wait_gone()


def flags_of(process, link):
    """The flags with which each descriptor to a file is open."""
    found = [number for number, name in process.descriptors().items() if name.startswith(link)]
    texts = [process.proc(f"fdinfo/{number}").read_text() for number in found]
    return sorted(int(text.split("flags:")[1].split()[0], 8) & os.O_ACCMODE for text in texts)


@pytest.mark.parametrize("seals", [True, False], ids=["seals", "Linux 5.0"])
def test_the_web_process_cannot_write_the_stats(testbed, port, refusing, seals):
    """Without F_SEAL_FUTURE_WRITE its descriptors, but for that of its counters, are for reading."""
    refused = {} if seals else refusing("EINVAL", "fcntl:1=1033:2&16")
    daemon = testbed.start(*directives(f"listen http 127.0.0.1:{port}"), **refused)
    assert serves_http(port, "/status.json")
    with web_process_of(daemon) as web:
        # The access list, the stats, and the counters of the web process.
        expected = [os.O_RDWR] * 3 if seals else [os.O_RDONLY] * 2 + [os.O_RDWR]
        assert flags_of(web, "/memfd:timeserver") == expected
    assert testbed.signal("reload").code == 0 and serves_http(port)


def test_a_reload_without_detaching_from_networks(testbed, port, refusing):
    """SO_DETACH_REUSEPORT_BPF is newer than Linux 4.18, too. All workers go on to serve."""
    words = [f"listen ntp {port}", "clock local", "workers 2"]
    config = write_config(testbed, *words, "ratelimit interval 1 burst 8 leak 4")
    testbed.start("-c", config, **refusing("ENOPROTOOPT", "setsockopt:1=1:2=68"))
    write_config(testbed, *words, "ratelimit off")
    assert testbed.signal("reload").code == 0
    assert all(ntp.query(port)[0].stratum == 10 for _ in range(20))


def test_a_kernel_without_what_the_web_process_needs(testbed, port, refusing):
    """The start fails as a whole, and says why: no listener is open that is not served."""
    failed = testbed.server(*directives(f"listen http 127.0.0.1:{port}", "clock local"), **refusing("ENOSYS", "timerfd_create:0=1"))
    assert tuple(failed) == (1, "", "timeserver: cannot start the web process: Function not implemented\n")
    assert testbed.files() == testbed.processes() == [] and port not in listening_ports()
