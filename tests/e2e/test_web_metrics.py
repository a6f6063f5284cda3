"""Prometheus: /metrics, the alert rules and the dashboard of dist/."""
import contextlib
import itertools
import json
import os
import pathlib
import re
import signal
import time
import urllib.parse

import pytest

from lib import ntp
from lib.daytime_client import connect, free_port, is_daytime, query
from lib.environment import needs_private, not_instrumented, wait_until
from lib.fake_servers import ntp_server
from lib.http_client import fetch, start_web
from lib.peers import background, needs_peer, PEERS
from lib.udp_client import forged_datagram, query_udp, raw_socket, reply_over_udp
from lib.web_metrics import metrics, REASONS, series, SERVICES, value

PROMETHEUS, PROMTOOL = f"{PEERS}/usr/bin/prometheus", f"{PEERS}/usr/bin/promtool"
ROOT = pathlib.Path(__file__).parents[2]
ALERTS, DASHBOARD = ROOT / "dist/prometheus-alerts.yml", ROOT / "dist/grafana-dashboard.json"

PATHS = ["/", "/time.json", "/cgi-bin/json", "/status", "/status.json", "/metrics", "/healthz", "other"]
BOUNDS = ["1e-07", "2.5e-07", "5e-07", "1e-06", "2.5e-06", "5e-06", "1e-05", "2.5e-05", "5e-05",
          "0.0001", "0.00025", "0.0005", "0.001", "0.01", "0.1", "1", "+Inf"]
HISTOGRAMS = {"timeserver_response_time_seconds": {"protocol": "ntp"},
              "timeserver_transmit_stamp_error_seconds": {},
              "timeserver_http_response_time_seconds": {}}
GAUGES = ["start_time_seconds", "upgraded", "workers", "connections", "connections_max",
          "clock_synchronised", "clock_stratum", "clock_leap", "clock_root_delay_seconds",
          "clock_root_dispersion_seconds", "clock_root_distance_seconds", "http_connections"]
COUNTERS = ["own_networks_limited_total", "kod_sent_total", "requests_unstamped_total", "replies_unstamped_total", "http_starts_total", "http_crashes_total"]

NAME = re.compile(r"\btimeserver_[a-z_]+")


def services(found, name):
    """A counter by "protocol/transport", without zeros."""
    counts = {service: value(found, name, **dict(zip(("protocol", "transport"), service.split("/"))))
              for service in SERVICES}
    return {service: count for service, count in counts.items() if count}


def expected_series(testbed, workers, source):
    """Every series that /metrics has."""
    version = testbed.server("--version", pidfile=False).out.split()[1]
    wanted = {series(f"timeserver_{name}") for name in GAUGES + COUNTERS}
    wanted |= {series("timeserver_build_info", version=version),
               series("timeserver_clock_info", source=source)}
    for protocol, transport in map(lambda service: service.split("/"), SERVICES):
        wanted |= {series(f"timeserver_{kind}_total", protocol=protocol, transport=transport)
                   for kind in ("requests", "replies")}
    wanted |= {series("timeserver_requests_dropped_total", reason=reason) for reason in REASONS}
    wanted |= {series("timeserver_worker_requests_total", worker=f"{i}") for i in range(workers)}
    wanted |= {series("timeserver_http_requests_total", path=path, code=code)
               for path, code in itertools.product(PATHS, ["2xx", "4xx", "5xx"])}
    for name, labels in HISTOGRAMS.items():
        wanted |= {series(f"{name}_bucket", le=bound, **labels) for bound in BOUNDS}
        wanted |= {series(f"{name}_{part}", **labels) for part in ("sum", "count")}
    return wanted


def test_every_series_exists_from_the_start(testbed, port):
    began = time.time()
    start_web(testbed, port, f"listen ntp 127.0.0.1:{free_port()}", "workers 3")
    found = metrics(port)
    assert found.keys() == expected_series(testbed, 3, "local")
    gauges = {f"timeserver_{name}" for name in [*GAUGES, "build_info", "clock_info"]}
    for (name, labels), count in found.items():
        most = name.startswith("timeserver_http_") or ("protocol", "http") in labels  # by this scrape
        assert name in gauges or 0 <= count <= most, (name, labels, count)
    assert value(found, "http_starts_total") == 1
    assert began - 1.5 < value(found, "start_time_seconds") < time.time() + 0.5
    wanted = {"workers": 3, "connections": 0, "clock_synchronised": 1, "clock_stratum": 10,
              "clock_leap": 0}
    assert {name: value(found, name) for name in wanted} == wanted
    assert 0 < value(found, "connections_max") <= 16384


def test_the_start_time_is_constant(testbed, port):
    """To the last digit, or each scrape would look like a restart."""
    start_web(testbed, port)
    times = set()
    for _ in range(30):
        times.add(value(metrics(port), "start_time_seconds"))
        time.sleep(0.05)
    assert len(times) == 1, times


@needs_peer(PROMTOOL)
def test_promtool_accepts_the_metrics(testbed, port):
    start_web(testbed, port)
    text = testbed.dir / "metrics"
    text.write_bytes(fetch(port, "/metrics").body)
    with text.open("rb") as file:
        assert tuple(testbed.run(PROMTOOL, "check", "metrics", stdin=file)) == (0, "", "")


def test_the_clock_metrics_agree_with_ntp(testbed, port):
    """With a followed server, and after its loss."""
    ntp_port = free_port()
    with ntp_server(leap=1, stratum=3, root_delay=0x2000, root_dispersion=0x1000) as server:
        start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}", clock=f"follow {server.name}")
        wait_until(lambda: value(metrics(port), "clock_synchronised") == 1, what="the clock")
        found, (reply, _) = metrics(port), ntp.query(ntp_port)
        assert value(found, "clock_info", source=f"follow {server.name}") == 1
    fields = [value(found, f"clock_{name}") for name in ("stratum", "leap", "root_delay_seconds")]
    assert fields == [reply.stratum, reply.leap, reply.root_delay / 65536] == [3, 1, 0.125]
    dispersion = value(found, "clock_root_dispersion_seconds")
    assert dispersion == pytest.approx(reply.root_dispersion / 65536, abs=0.01) and dispersion > 0.06
    assert value(found, "clock_root_distance_seconds") == pytest.approx(0.125 / 2 + dispersion)
    wait_until(lambda: value(metrics(port), "clock_synchronised") == 0, what="the loss")
    lost = metrics(port)
    assert (value(lost, "clock_leap"), value(lost, "clock_stratum")) == (3, 0)
    assert lost.keys() == found.keys()


def query_every_protocol(ports, counts):
    """Sends counts[protocol] requests of each protocol."""
    for service, count in counts.items():
        for _ in range(count):
            if service.endswith("tcp"):
                assert query(ports[service])
            elif service == "ntp/udp":
                assert ntp.query(ports[service])[0].stratum == 10
            else:
                assert reply_over_udp(ports[service])


def test_requests_and_replies_are_counted(testbed, port):
    counts = {"daytime/tcp": 3, "daytime/udp": 4, "time/tcp": 5, "time/udp": 6, "ntp/udp": 7}
    ports = {service: free_port() for service in counts}
    lines = [f"listen {service.removesuffix('/udp') if service[0] == 'n' else service} {place}"
             for service, place in ports.items()]
    start_web(testbed, port, *lines, "ratelimit off", "workers 2")
    for path in ("/", "/", "/time.json", "/healthz", "/nothing", "/nothing/else"):
        fetch(port, path)
    fetch(port, "/", "POST")
    query_every_protocol(ports, counts)
    wait_until(lambda: services(metrics(port), "replies_total").items() >= counts.items(), what=counts)
    found = metrics(port)
    requests, replies = services(found, "requests_total"), services(found, "replies_total")
    assert requests.items() >= counts.items() and requests.keys() == replies.keys() == set(SERVICES)
    workers = [value(found, "worker_requests_total", worker=worker) for worker in "01"]
    assert sum(workers) == sum(counts.values())
    web = {(path, code): value(found, "http_requests_total", path=path, code=code)
           for path, code in itertools.product(PATHS, ["2xx", "4xx", "5xx"])}
    scrapes = web.pop(("/metrics", "2xx"))
    assert {key: count for key, count in web.items() if count} == {
        ("/", "2xx"): 2, ("/", "4xx"): 1, ("/time.json", "2xx"): 1, ("/healthz", "2xx"): 1,
        ("other", "4xx"): 2}
    assert 7 + scrapes <= requests["http/tcp"] <= 8 + scrapes
    assert value(found, "requests_dropped_total", reason="failed") == 0


def drops(port):
    found = metrics(port)
    counts = {reason: value(found, "requests_dropped_total", reason=reason) for reason in REASONS}
    return {reason: count for reason, count in counts.items() if count}


def test_drops_are_counted_by_reason(testbed, port):
    """Each reason has a different count."""
    daytime, ntp_port = free_port(), free_port()
    start_web(testbed, port, f"listen daytime/udp 127.0.0.1:{daytime}", f"listen ntp [::1]:{ntp_port}",
              "ratelimit interval 1000 burst 3 leak 0", "deny ::1")
    assert all(reply_over_udp(daytime) for _ in range(3)) and not any(query_udp(daytime) for _ in range(2))  # limited
    for _ in range(3):
        assert query_udp(daytime, b"Sun Nov 22 19:15:08 2026\r\n") is None  # loop
    with ntp.udp_socket("::1") as client:
        for _ in range(5):
            client.sendto(ntp.request(), ("::1", ntp_port))  # denied, one of them with a KoD
        assert ntp.parse(client.recv(100)).reference_id == b"DENY"
    with ntp.udp_socket() as client:
        client.sendto(bytes(2000), ("127.0.0.1", daytime))  # invalid
    expected = {"limited": 2, "loop": 3, "denied": 4, "invalid": 1}
    wait_until(lambda: drops(port) == expected, what=expected)
    wait_until(lambda: services(metrics(port), "replies_total")["ntp/udp"] == 1, what="the KoD")
    found = metrics(port)
    assert value(found, "kod_sent_total") == 1 and value(found, "own_networks_limited_total") == 2
    assert services(found, "replies_total").keys() == {"daytime/udp", "ntp/udp", "http/tcp"}


def test_drops_of_an_unsynchronised_clock_are_counted(testbed, port):
    daytime = free_port()
    start_web(testbed, port, f"listen daytime/tcp {daytime}", "require-sync",
              clock=f"follow 127.0.0.1:{free_port()}")
    assert [query(daytime) for _ in range(2)] == [b""] * 2
    wait_until(lambda: drops(port) == {"unsynchronised": 2}, what="2 drops")


@needs_private("a network in which no route leads back")
def test_drops_of_replies_that_cannot_be_sent_are_counted(testbed, port):
    ntp_port = free_port()
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}")
    with raw_socket() as sender:
        for _ in range(3):
            sender.sendto(forged_datagram(("192.0.2.77", 4000), ("127.0.0.1", ntp_port), ntp.request()),
                          ("127.0.0.1", 0))
    wait_until(lambda: drops(port) == {"failed": 3}, what="3 drops")


def bucket_counts(found, name, labels):
    """The counts of the buckets of a histogram, not cumulative."""
    below = [found[series(f"{name}_bucket", le=bound, **labels)] for bound in BOUNDS]
    assert below == sorted(below) and below[-1] == found[series(f"{name}_count", **labels)], name
    return [more - less for less, more in zip([0, *below], below)]


def sum_is_plausible(found, name, labels):
    """Whether the sum is possible with these bucket counts."""
    buckets, total = bucket_counts(found, name, labels), found[series(f"{name}_sum", **labels)]
    lowest = sum(count * low for count, low in zip(buckets, [0, *map(float, BOUNDS)]))
    highest = sum(count * float(high) for count, high in zip(buckets, BOUNDS) if count)
    return lowest - 1e-6 <= total <= highest + 1e-6


def test_histograms_are_consistent_while_they_grow(testbed, port):
    """No counter ever decreases."""
    ntp_port, before = free_port(), {}
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}", "ratelimit off", "workers 2")
    for _ in range(20):
        for _ in range(20):
            ntp.query(ntp_port)
        found = metrics(port)
        counts = {name: sum(bucket_counts(found, name, labels)) for name, labels in HISTOGRAMS.items()}
        assert [key for key, count in before.items() if found[key] < count
                and key[0].endswith(("_total", "_bucket", "_count", "_sum"))] == []
        before = found
    wait_until(lambda: all(sum_is_plausible(metrics(port), *item) for item in HISTOGRAMS.items()),
               what="plausible sums")
    print(", ".join(f"{name}: {count:.0f}" for name, count in counts.items()))
    assert counts.pop("timeserver_http_response_time_seconds") >= 19
    for name, count in counts.items():
        mean = found[series(f"{name}_sum", **HISTOGRAMS[name])] / count
        assert 3 <= count <= 400 and 0 < mean < 0.05, (name, count, mean)


def test_open_connections_are_counted(testbed, port):
    daytime = free_port()
    start_web(testbed, port, f"listen daytime/tcp {daytime}")
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(connect(daytime))
            assert is_daytime(client.recv(100))
        wait_until(lambda: value(metrics(port), "connections") == 5, what="5 connections with a reply")
        for _ in range(3):
            stack.enter_context(connect(port))
        wait_until(lambda: value(metrics(port), "http_connections") >= 3, what="3 connections of HTTP")
    wait_until(lambda: value(metrics(port), "connections") == 0, what="all connections to end")
    wait_until(lambda: value(metrics(port), "http_connections") <= 1, what="all connections to end")


def test_counters_survive_the_end_of_the_web_process(testbed, port):
    ntp_port = free_port()
    daemon = start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}")
    for _ in range(3):
        fetch(port, "/time.json")
    children = daemon.proc(f"task/{daemon.pid}/children").read_text().split()
    assert len(children) == 1, children
    os.kill(int(children[0]), signal.SIGKILL)
    assert ntp.query(ntp_port)[0].stratum == 10

    def found():
        with contextlib.suppress(OSError):
            return metrics(port)
        return None
    after = wait_until(found, 10, what="the next web process")
    assert value(after, "http_starts_total") == 2
    assert value(after, "http_requests_total", path="/time.json", code="2xx") == 3
    wait_until(lambda: services(metrics(port), "requests_total")["ntp/udp"] == 1, what="the NTP request")


def test_the_dashboard_is_valid():
    """Any data source works, and every panel has a description."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="ascii"))
    variables = {item["name"]: item for item in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["instance"]["multi"]
    assert dashboard["schemaVersion"] >= 36
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y) for panel in panels
              for x in range(panel["gridPos"]["w"]) for y in range(panel["gridPos"]["h"])]
    assert len(set(places)) == len(places) and max(x for x, _ in places) < 24
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["targets"] and len(panel["description"]) > 30, panel["title"]
        for part in [panel, *panel["targets"]]:
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all("$instance" in target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=["alerts", "dashboard"])
def test_alerts_and_dashboard_use_existing_metrics(testbed, port, file):
    start_web(testbed, port)
    existing = {name for name, _ in metrics(port)}
    assert set(NAME.findall(file.read_text(encoding="ascii"))) <= existing


@needs_peer(PROMTOOL)
def test_alerts_fire_as_expected(testbed):
    tests = pathlib.Path(__file__).with_name("alerts.test.yml")
    result = testbed.run(PROMTOOL, "test", "rules", tests)
    assert result.code == 0, result.out + result.err
    named = re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="ascii"))
    assert [name for name in named if name not in tests.read_text(encoding="ascii")] == []
    assert f"SUCCESS: {len(named)} rules found" in testbed.run(PROMTOOL, "check", "rules", ALERTS).out


@contextlib.contextmanager
def scraping(testbed, port):
    """A Prometheus that has scraped the server; yields a function that queries its API."""
    place = free_port()
    config = testbed.config(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}\n"
        f"rule_files: [{ALERTS}]\nscrape_configs:\n- job_name: timeserver\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n", "prometheus.yml")
    command = [PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={testbed.dir}/tsdb",
               f"--web.listen-address=127.0.0.1:{place}", "--log.level=error"]

    def query_api(path, **words):
        reply = fetch(place, f"/api/v1/{path}?{urllib.parse.urlencode(words)}")
        result = json.loads(reply.body)
        assert result["status"] == "success", (words, result)
        return result["data"]

    def is_up():
        with contextlib.suppress(OSError, ValueError):
            return query_api("query", query="count_over_time(up[1m]) > 3 and up == 1")["result"]
        return None
    with background(testbed, command) as output:
        wait_until(is_up, 20, what="the target to be up")
        yield query_api
        assert output() == ""


def rules_of(query_api):
    return query_api("rules")["groups"][0]["rules"]


@needs_peer(PROMETHEUS)
@not_instrumented("the pace")
def test_prometheus_scrapes_it(testbed, port):
    ntp_port = free_port()
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}")
    with scraping(testbed, port) as query_api:
        assert query_api("query", query="up == 1")["result"][0]["metric"] == {
            "__name__": "up", "instance": f"127.0.0.1:{port}", "job": "timeserver"}
        rate = 'rate(timeserver_requests_total{protocol="ntp"}[10s]) > 0'
        wait_until(lambda: ntp.query(ntp_port) and query_api("query", query=rate)["result"], 10, what=rate)
        wait_until(lambda: {rule["health"] for rule in rules_of(query_api)} == {"ok"}, what="all rules")
        wait_until(lambda: query_api("alerts")["alerts"] == [], what="no alert, pending ones included")
        for rule in rules_of(query_api):
            for selector in re.findall(r"timeserver_\w+(?:\{[^}]*\})?", rule["query"]):
                assert query_api("query", query=selector)["result"], selector
            assert rule["labels"]["severity"] in ("critical", "warning", "info")
            assert rule["annotations"].keys() == {"summary", "description", "action"}


@needs_peer(PROMETHEUS)
@not_instrumented("the pace")
def test_every_panel_of_the_dashboard_has_data(testbed, port):
    start_web(testbed, port, f"listen ntp 127.0.0.1:{free_port()}")
    with scraping(testbed, port) as query_api:
        for panel in json.loads(DASHBOARD.read_text(encoding="ascii"))["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"].replace("$instance", ".*")
                expression = expression.replace("$__rate_interval", "10s")
                assert "$" not in expression, panel["title"]
                assert query_api("query", query=expression)["result"], (panel["title"], expression)
