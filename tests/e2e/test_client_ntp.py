"""timeclient and NTP: what it asks, what it believes, and what it makes of that."""
import re
import socket
import statistics

import pytest

import harness
import ntp
import peers
from harness import as_nobody, free_port, json_lines, needs_private
from isolate import MS_BIND, mounted
from peers import ntp_reply
from test_peers_more import running
from test_peers_ntp import CHRONYD, FORBID, LIBRARIES, needs_peer

pytestmark = pytest.mark.usefixtures("only_the_client")

both = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


def asked(box, peer, *options, **more):
    """What the client says of a server, as JSON."""
    result = box.client("-j", *options, f"ntp://{peer.name}", **more)
    [told] = json_lines(result.out)
    assert result.err == "" and result.code == (0 if told["ok"] else 1)
    return told


@both
def test_a_request_tells_nothing(box, host):
    """Version 4, mode 3, a random transmit time, all else zero, and another port each time."""
    with peers.ntp_server(host=host) as peer:
        assert asked(box, peer, "-n", "20", "-i", "0.001")["samples"]["replies"] == 20
    requests, ports = [data for data, _ in peer.requests], {client[1] for _, client in peer.requests}
    assert {data[:40] for data in requests} == {b"\x23" + bytes(39)}
    assert {len(data) for data in requests} == {48}
    assert len({data[40:] for data in requests}) == 20 and len(ports) > 15


def test_the_line(box):
    with peers.ntp_server(ahead=0.00124) as peer:
        result = box.client(f"ntp://{peer.name}")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(
        rf"ntp://{peer.name}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{6}} UTC  your clock is \d\.\d\d ms"
        r" (behind|ahead), \+/- \d+\.\d\d ms  stratum 2, leap none\n", result.out)


@both
@pytest.mark.parametrize("ahead", [0, 0.1, -0.1, 86400, -1e9, 2e9])
def test_the_offset_is_within_its_bound(box, host, ahead):
    with peers.ntp_server(ahead=ahead, host=host) as peer:
        told = asked(box, peer)
    assert abs(told["offset"] - ahead) < told["error_bound"] < harness.longer(0.5)
    assert told["ntp"] == {"version": 4, "leap": "none", "stratum": 2, "precision": -20,
                           "root_delay": 0, "root_dispersion": pytest.approx(655 / 65536),
                           "reference_id": "7f7f0101"}


def test_a_way_that_is_slow_in_one_direction(box):
    """The worst there is for an offset: all of the delay on the way back. The bound covers it."""
    with peers.UdpPeer(lambda request: [0.1, ntp_reply(request)]) as peer:
        told = asked(box, peer)
    assert abs(told["offset"]) <= told["error_bound"] and told["delay"] >= 0.1


FORGERIES = {
    "wrong origin": lambda request: ntp_reply(request, origin=1),
    "wrong origin, zero": lambda request: ntp_reply(request, origin=0),
    "wrong origin of a kiss": lambda request: ntp_reply(request, origin=1, stratum=0, leap=3,
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


def name_of(forgery):
    """The forged request is refused for its origin before its mode is looked at."""
    return "wrong origin" if forgery == "wrong mode" else re.split(" of a |, | 5", forgery)[0]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_forged_is_refused_by_name(box, forgery):
    """Alone it is no answer, and the honest answer that comes after it is still taken."""
    with peers.UdpPeer(lambda request: [FORGERIES[forgery](request)]) as peer:
        told = asked(box, peer, "-w", "0.3")
    assert told["ok"] is False and told["error"]
    assert told["rejected"] == [{"reason": name_of(forgery), "count": 1}]
    with peers.UdpPeer(lambda request: [FORGERIES[forgery](request)] * 3
                       + [0.1, ntp_reply(request, 5)]) as peer:
        told = asked(box, peer)
    assert told["ok"] is True and abs(told["offset"] - 5) < told["error_bound"]
    assert told["rejected"] == [{"reason": name_of(forgery), "count": 3}]


def test_the_wrong_port(box):
    """An answer that is right in every bit, but comes from elsewhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        with peers.UdpPeer(lambda request: [(ntp_reply(request, 9), elsewhere),
                                            ntp_reply(request, 5)]) as peer:
            told = asked(box, peer)
    assert round(told["offset"]) == 5
    assert told["rejected"] == [{"reason": "from another address or port", "count": 1}]


def test_a_duplicate_and_a_late_answer(box):
    """The first is taken, later ones find nobody; one that is late but for this question counts."""
    with peers.UdpPeer(lambda request: [ntp_reply(request, 5), ntp_reply(request, 9)]) as peer:
        assert round(asked(box, peer, "-n", "3", "-i", "0.01")["offset"]) == 5
    with peers.UdpPeer(lambda request: [0.5, ntp_reply(request, 5)]) as peer:
        told = asked(box, peer, "-w", "0.3")
        assert told["error"] == "timed out after 0.3 s"
        assert asked(box, peer)["ok"] is True


def test_refusals_are_told_on_standard_error(box):
    with peers.UdpPeer(lambda request: [ntp_reply(request, origin=1), b"", ntp_reply(request)]) as peer:
        result = box.client(f"ntp://{peer.name}")
        quiet = box.client("-q", f"ntp://{peer.name}")
    assert result.code == 0 and result.out.count("\n") == 1
    assert result.err == f"timeclient: {peer.name}: rejected 1 x wrong origin, 1 x too short\n"
    assert quiet.code == 0 and quiet.err == ""
    with peers.UdpPeer(lambda request: [ntp_reply(request, origin=1)]) as peer:
        result = box.client("-w", "0.2", f"ntp://{peer.name}")
    assert tuple(result) == (1, "", f"timeclient: {peer.name}: timed out after 0.2 s, rejected"
                             " 1 x wrong origin\n")


@pytest.mark.parametrize("fields, error", [
    ({"stratum": 0, "leap": 3, "reference_id": 0x494e4954},
     "kiss-o'-death with code INIT"),
    ({"stratum": 0, "reference_id": 0}, "not synchronised (stratum 0)"),
    ({"leap": 3}, "not synchronised (leap 3)")])
def test_a_server_without_time(box, fields, error):
    """It is given a second to think better of it."""
    with peers.ntp_server(**fields) as peer:
        result = box.client(f"ntp://{peer.name}")
    assert tuple(result) == (1, "", f"timeclient: {peer.name}: {error}\n")
    assert 1 <= result.seconds < harness.longer(2)


def test_who_has_no_time_is_not_asked_again(box):
    with peers.UdpPeer(lambda request: [0.05, ntp_reply(request, stratum=0, reference_id=0x52415445)]) as peer:
        assert "code RATE" in box.client(f"ntp://{peer.name}").err
    assert len(peer.requests) == 1


def test_a_lost_datagram_is_asked_again(box):
    """After a second, from another port, and with another transmit time."""
    with peers.UdpPeer(lambda request: [ntp_reply(request)] * (len(peer.requests) - 1)) as peer:
        told = asked(box, peer)
    (first, one), (second, other) = peer.requests
    assert told["ok"] is True and first[40:] != second[40:] and one != other


def test_nobody_is_there(box):
    for target in (f"127.0.0.1:{free_port()}", f"[::1]:{free_port()}"):
        result = box.client(f"ntp://{target}")
        assert tuple(result) == (1, "", f"timeclient: {target}: Connection refused\n")
        assert result.seconds < harness.longer(1)


@needs_private("a hosts file of its own")
@pytest.mark.parametrize("broken", ["127.0.0.1", "::1"])
def test_one_family_is_silent(box, broken):
    """The other one gets its chance a quarter of a second later."""
    hosts = box.config("127.0.0.1 both.example\n::1 both.example\n", "hosts")
    works = "::1" if broken == "127.0.0.1" else "127.0.0.1"
    with mounted(hosts, "/etc/hosts", flags=MS_BIND), peers.ntp_server(host=works) as peer:
        mute = socket.socket(socket.AF_INET6 if ":" in broken else socket.AF_INET, socket.SOCK_DGRAM)
        mute.bind((broken, peer.port))
        result = box.client("-j", f"ntp://both.example:{peer.port}")
        mute.close()
    [told] = json_lines(result.out)
    assert told["ok"] is True and told["address"] == works and result.seconds < harness.longer(0.7)


@needs_private("a hosts file of its own")
def test_a_server_without_time_has_another_address(box):
    """What one address doubts another may know."""
    hosts = box.config("127.0.0.1 pool.example\n127.0.0.2 pool.example\n", "hosts")
    with mounted(hosts, "/etc/hosts", flags=MS_BIND), peers.ntp_server(leap=3) as peer:
        honest = peers.UdpPeer.__new__(peers.UdpPeer)
        honest.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        honest.socket.bind(("127.0.0.2", peer.port))
        honest.answer, honest.requests = lambda request: [ntp_reply(request)], []
        peers.threading.Thread(target=honest.run, daemon=True).start()
        with honest:
            result = box.client("-j", f"ntp://pool.example:{peer.port}")
    [told] = json_lines(result.out)
    assert told["ok"] is True and told["address"] == "127.0.0.2"


def test_the_least_delay_is_the_best(box):
    """Nine samples on a slow way that misleads, one on a fast way that does not."""
    ways = iter([0.05] * 6 + [0] + [0.05] * 3)

    def answer(request):
        return [next(ways), ntp_reply(request)]
    with peers.UdpPeer(answer) as peer:
        told = asked(box, peer, "-n", "10", "-i", "0.06")
    assert told["samples"]["queries"] == told["samples"]["replies"] == 10
    assert abs(told["offset"]) < 0.01 and told["delay"] < 0.05
    assert 0.02 <= told["samples"]["offset_spread"] < harness.longer(0.1)


@needs_peer(CHRONYD)
@needs_private("chronyd's files")
def test_against_chronyd_on_this_machine(box, port):
    """The true offset is 0. 1,000 samples, each by its bound, and few microseconds in the middle."""
    config = box.config(f"port {port}\nlocal stratum 3\nallow all\ncmdport 0\nbindcmdaddress /\n"
                        f"pidfile {box.root}/chronyd.pid\n", "chrony.conf")
    target, samples = f"ntp://127.0.0.1:{port}", harness.fewer(1000)
    with running(box, [*FORBID, CHRONYD, "-x", "-d", "-u", "root", "-f", config], env=LIBRARIES):
        assert box.client("--wait", "5", "-i", "0.1", "-q", target).code == 0
        result = box.client("--watch", "-j", "-n", samples, "-i", "0.002", target, timeout=60)
    told = json_lines(result.out)
    offsets = [abs(one["offset"]) for one in told]
    bounds = [one["error_bound"] for one in told]
    root = [one["ntp"]["root_delay"] / 2 + one["ntp"]["root_dispersion"] for one in told]
    print(f"{len(told)} samples, median offset {statistics.median(offsets) * 1e6:.2f} us, largest"
          f" {max(offsets) * 1e6:.2f}, median bound {statistics.median(bounds) * 1e6:.2f} us, of which"
          f" the server's {statistics.median(root) * 1e6:.2f}")
    assert len(told) == samples and all(map(float.__le__, offsets, bounds))
    assert statistics.median(offsets) < 0.001


@needs_private("another user")
def test_nothing_needs_rights(box, port):
    """Every scheme, and what is not setting a clock, as nobody."""
    other = free_port()
    lines = [f"listen ntp {port}", f"listen daytime/tcp {port}", f"listen time/udp {other}", "clock local"]
    box.start(*[word for line in lines for word in ("-o", line)])
    ntp_target = f"ntp://127.0.0.1:{port}"
    for words in ([ntp_target], [f"127.0.0.1:{port}"], [f"time+udp://127.0.0.1:{other}"],
                  ["--check", ntp_target], ["--wait", "1", ntp_target],
                  ["--watch", "-n", "2", "-i", "0.01", ntp_target],
                  ["--set", "step", "--trust-one", "--dry-run", ntp_target]):
        result = box.client(*words, **as_nobody())
        assert (result.code, result.err) == (0, "") and result.out, words
    result = box.client("--set", "step", "--trust-one", ntp_target, **as_nobody())
    assert result.code == 1 and result.err.endswith("clock not set: Operation not permitted\n")
