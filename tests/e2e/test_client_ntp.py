"""timeclient and NTP: requests, accepted and rejected replies, offset and bound."""
import re
import socket
import statistics

import pytest

from lib import ntp
from lib.daytime_client import free_port, json_lines
from lib.environment import as_nobody, CLIENT, fewer, longer, needs_private, needs_program, not_instrumented
from lib.fake_servers import ntp_reply, ntp_server, UdpServer
from lib.isolate import mounted, MS_BIND
from lib.peers import background, chronyd, CHRONYD, LIBRARIES, needs_peer
from lib.testbed import directives

pytestmark = pytest.mark.usefixtures("only_the_client")

both = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


def query(testbed, server, *options, **more):
    """The JSON object for a server."""
    result = testbed.client("-j", *options, f"ntp://{server.name}", **more)
    [sample] = json_lines(result.out)
    assert result.err == "" and result.code == (0 if sample["ok"] else 1)
    return sample


@both
def test_request_discloses_nothing(testbed, host):
    """Version 4, mode 3, a random transmit time, all else zero, and a random port."""
    with ntp_server(host=host) as server:
        assert query(testbed, server, "-n", "20", "-i", "0.001")["samples"]["replies"] == 20
    requests, ports = [data for data, _ in server.requests], {client[1] for _, client in server.requests}
    assert {data[:40] for data in requests} == {b"\x23" + bytes(39)}
    assert {len(data) for data in requests} == {48}
    assert len({data[40:] for data in requests}) == 20 and len(ports) > 15


@not_instrumented("calls")
@needs_program("cc")
def test_the_request_does_not_wait_for_random_numbers(testbed, refusing):
    """Early at boot the kernel has none yet, and getrandom(2) would wait past the client's deadline."""
    with ntp_server() as server:
        for _ in range(2):
            result = testbed.run(*refusing("EAGAIN", "getrandom")["before"], CLIENT, f"ntp://{server.name}")
            assert result.code == 0 and result.err == "", result
        origins = {request[40:48] for request, _ in server.requests}
    assert len(origins) == 2 and bytes(8) not in origins


def test_output_line(testbed):
    with ntp_server(ahead=0.00124) as server:
        result = testbed.client(f"ntp://{server.name}")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(
        rf"ntp://{server.name}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{6}} UTC  your clock is \d+ ms"
        r" (behind|ahead), \+/- \d+ ms  stratum 2, leap none\n", result.out)


@both
@pytest.mark.parametrize("ahead", [0, 0.1, -0.1, 86400, -1e9, 2e9])
def test_offset_is_within_bound(testbed, host, ahead):
    with ntp_server(ahead=ahead, host=host) as server:
        sample = query(testbed, server)
    assert abs(sample["offset"] - ahead) < sample["error_bound"] < longer(0.5)
    assert sample["ntp"] == {"version": 4, "leap": "none", "stratum": 2, "precision": -20,
                             "root_delay": 0, "root_dispersion": pytest.approx(655 / 65536),
                             "reference_id": "7f7f0101"}


def test_asymmetric_delay(testbed):
    """The whole delay is on the way back: the worst case, within the bound."""
    with UdpServer(lambda request: [0.1, ntp_reply(request)]) as server:
        sample = query(testbed, server)
    assert abs(sample["offset"]) <= sample["error_bound"] and sample["delay"] >= 0.1


FORGERIES = {
    "wrong origin": lambda request: ntp_reply(request, origin=1),
    "wrong origin, zero": lambda request: ntp_reply(request, origin=0),
    "wrong origin of a KoD": lambda request: ntp_reply(request, origin=1, stratum=0, leap=3,
                                                       reference_id=0x52415445),
    "kiss-o'-death": lambda request: ntp_reply(request, stratum=0, leap=3, reference_id=0x52415445),
    "too short": lambda request: ntp_reply(request)[:47],
    "too short, empty": lambda request: b"",
    "wrong mode": lambda request: request,
    "wrong mode 5": lambda request: ntp_reply(request, mode=5),
    "wrong version": lambda request: ntp_reply(request, version=2),
    "not synchronised (leap 3)": lambda request: ntp_reply(request, leap=3),
    "kiss-o'-death, stratum 0": lambda request: ntp_reply(request, stratum=0, reference_id=0),
    "not synchronised (stratum above 15)": lambda request: ntp_reply(request, stratum=16),
    "missing timestamp": lambda request: ntp_reply(request, transmit=0),
    "transmit time before receive time": lambda request: ntp_reply(request, transmit=ntp.stamp(0)),
}


def reason_for(forgery):
    """The reason for a forgery. An echoed request fails the check of the origin before that of the mode."""
    return "wrong origin" if forgery == "wrong mode" else re.split(" of a |, | 5", forgery)[0]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_replies_are_rejected(testbed, forgery):
    """A forgery alone is an error; a good reply that follows it is accepted."""
    with UdpServer(lambda request: [FORGERIES[forgery](request)]) as server:
        sample = query(testbed, server, "-w", "0.3")
    assert sample["ok"] is False and sample["error"]
    assert sample["rejected"] == [{"reason": reason_for(forgery), "count": 1}]
    with UdpServer(lambda request: [FORGERIES[forgery](request)] * 3
                   + [0.1, ntp_reply(request, 5)]) as server:
        sample = query(testbed, server)
    assert sample["ok"] is True and abs(sample["offset"] - 5) < sample["error_bound"]
    assert sample["rejected"] == [{"reason": reason_for(forgery), "count": 3}]


def test_reply_from_wrong_port(testbed):
    """A good reply from another port is rejected."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        with UdpServer(lambda request: [(ntp_reply(request, 9), elsewhere),
                                        ntp_reply(request, 5)]) as server:
            sample = query(testbed, server)
    assert round(sample["offset"]) == 5
    assert sample["rejected"] == [{"reason": "from another address or port", "count": 1}]


def test_duplicate_and_late_replies(testbed):
    """Duplicates are ignored; a late reply is accepted within the timeout."""
    with UdpServer(lambda request: [ntp_reply(request, 5), ntp_reply(request, 9)]) as server:
        assert round(query(testbed, server, "-n", "3", "-i", "0.01")["offset"]) == 5
    with UdpServer(lambda request: [0.5, ntp_reply(request, 5)]) as server:
        sample = query(testbed, server, "-w", "0.3")
        assert sample["error"] == "timed out after 0.3 s"
        assert query(testbed, server)["ok"] is True


def test_rejections_on_standard_error(testbed):
    with UdpServer(lambda request: [ntp_reply(request, origin=1), b"", ntp_reply(request)]) as server:
        result = testbed.client(f"ntp://{server.name}")
        quiet = testbed.client("-q", f"ntp://{server.name}")
    assert result.code == 0 and result.out.count("\n") == 1
    assert result.err == f"timeclient: {server.name}: rejected 1 x wrong origin, 1 x too short\n"
    assert quiet.code == 0 and quiet.err == ""
    with UdpServer(lambda request: [ntp_reply(request, origin=1)]) as server:
        result = testbed.client("-w", "0.2", f"ntp://{server.name}")
    assert tuple(result) == (1, "", f"timeclient: {server.name}: timed out after 0.2 s, rejected"
                             " 1 x wrong origin\n")


@pytest.mark.parametrize("fields, error", [
    ({"stratum": 0, "leap": 3, "reference_id": 0x494e4954},
     "kiss-o'-death with code INIT"),
    ({"stratum": 0, "reference_id": 0}, "not synchronised (stratum 0)"),
    ({"leap": 3}, "not synchronised (leap 3)")])
def test_unsynchronised_server(testbed, fields, error):
    """The error comes after one second without a better reply."""
    with ntp_server(**fields) as server:
        result = testbed.client(f"ntp://{server.name}")
    assert tuple(result) == (1, "", f"timeclient: {server.name}: {error}\n")
    assert 1 <= result.seconds < longer(4)


def test_kod_is_not_retried(testbed):
    with UdpServer(lambda request: [0.05, ntp_reply(request, stratum=0, reference_id=0x52415445)]) as server:
        assert "code RATE" in testbed.client(f"ntp://{server.name}").err
    assert len(server.requests) == 1


def test_lost_datagram_is_retried(testbed):
    """After a second, from another port and with another transmit time."""
    with UdpServer(lambda request: [ntp_reply(request)] * (len(server.requests) - 1)) as server:
        sample = query(testbed, server)
    (first, one), (second, other) = server.requests
    assert sample["ok"] is True and first[40:] != second[40:] and one != other


def test_ntp_connection_refused(testbed):
    for target in (f"127.0.0.1:{free_port()}", f"[::1]:{free_port()}"):
        result = testbed.client(f"ntp://{target}")
        assert tuple(result) == (1, "", f"timeclient: {target}: Connection refused\n")
        assert result.seconds < longer(4)


@needs_private("a hosts file of its own")
@pytest.mark.parametrize("broken", ["127.0.0.1", "::1"])
def test_silent_address_family(testbed, broken):
    """The other family is tried a quarter of a second later."""
    hosts = testbed.config("127.0.0.1 both.example\n::1 both.example\n", "hosts")
    works = "::1" if broken == "127.0.0.1" else "127.0.0.1"
    with mounted(hosts, "/etc/hosts", flags=MS_BIND), ntp_server(host=works) as server:
        silent = socket.socket(socket.AF_INET6 if ":" in broken else socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind((broken, server.port))
        result = testbed.client("-j", f"ntp://both.example:{server.port}")
        silent.close()
    [sample] = json_lines(result.out)
    assert sample["ok"] is True and sample["address"] == works and result.seconds < longer(0.7)


@needs_private("a hosts file of its own")
def test_unsynchronised_server_with_another_address(testbed):
    """After an unusable reply the next address is tried."""
    hosts = testbed.config("127.0.0.1 pool.example\n127.0.0.2 pool.example\n", "hosts")
    with mounted(hosts, "/etc/hosts", flags=MS_BIND), ntp_server(leap=3) as server:
        with UdpServer(lambda request: [ntp_reply(request)], "127.0.0.2", server.port):
            result = testbed.client("-j", f"ntp://pool.example:{server.port}")
    [sample] = json_lines(result.out)
    assert sample["ok"] is True and sample["address"] == "127.0.0.2"


def test_least_delay_is_best(testbed):
    """Nine samples with an asymmetric delay, one without."""
    ways = iter([0.05] * 6 + [0] + [0.05] * 3)

    def reply(request):
        return [next(ways), ntp_reply(request)]
    with UdpServer(reply) as server:
        sample = query(testbed, server, "-n", "10", "-i", "0.06")
    assert sample["samples"]["queries"] == sample["samples"]["replies"] == 10
    assert abs(sample["offset"]) < 0.01 and sample["delay"] < 0.05
    assert 0.02 <= sample["samples"]["offset_spread"] < longer(0.1)


@needs_peer(CHRONYD)
@needs_private("chronyd's files")
def test_accuracy_against_chronyd(testbed, port):
    """The true offset is 0: 1,000 samples are within their bounds, and the median within 1 ms."""
    target, samples = f"ntp://127.0.0.1:{port}", fewer(1000)
    command = chronyd(testbed, f"port {port}", "local stratum 3", "allow all")
    with background(testbed, command, env=LIBRARIES):
        assert testbed.client("--wait", "5", "-i", "0.1", "-q", target).code == 0
        result = testbed.client("--watch", "-j", "-n", samples, "-i", "0.002", target, timeout=60)
    taken = json_lines(result.out)
    offsets = [abs(one["offset"]) for one in taken]
    bounds = [one["error_bound"] for one in taken]
    root = [one["ntp"]["root_delay"] / 2 + one["ntp"]["root_dispersion"] for one in taken]
    print(f"{len(taken)} samples, median offset {statistics.median(offsets) * 1e6:.2f} us, largest"
          f" {max(offsets) * 1e6:.2f}, median bound {statistics.median(bounds) * 1e6:.2f} us, of which"
          f" the server's {statistics.median(root) * 1e6:.2f}")
    assert len(taken) == samples and all(map(float.__le__, offsets, bounds))
    assert statistics.median(offsets) < 0.001


@needs_private("another user")
def test_no_privileges_needed(testbed, port):
    """All schemes and modes but --set work as nobody."""
    other = free_port()
    lines = [f"listen ntp {port}", f"listen daytime/tcp {port}", f"listen time/udp {other}", "clock local"]
    testbed.start(*directives(*lines))
    ntp_target = f"ntp://127.0.0.1:{port}"
    for words in ([ntp_target], [f"127.0.0.1:{port}"], [f"time+udp://127.0.0.1:{other}"],
                  ["--check", ntp_target], ["--wait", "1", ntp_target],
                  ["--watch", "-n", "2", "-i", "0.01", ntp_target],
                  ["--set", "step", "--trust-one", "--dry-run", ntp_target]):
        result = testbed.client(*words, **as_nobody())
        assert (result.code, result.err) == (0, "") and result.out, words
    result = testbed.client("--set", "step", "--trust-one", ntp_target, **as_nobody())
    assert result.code == 1 and result.err.endswith("clock not set: Operation not permitted\n")
