"""The manuals name every member of the JSON and every metric, and no others."""
import json
import pathlib
import re

from lib import ntp
from lib.daytime_client import free_port
from lib.http_client import fetch, start_web

MANUALS = pathlib.Path("man").absolute()
KEYED = {"protocols", "dropped"}  # objects whose keys are values, shown as *
HISTORY = {"interval", "dropped", "synchronised"}


def section(manual, name):
    text = (MANUALS / manual).read_text(encoding="utf-8")
    return text.partition(f"\n.Sh {name}\n")[2].partition("\n.Sh ")[0]


def tables(text):
    """The first column of each table, without its header."""
    return [re.findall(r"(?m)^\.It Li (\S+) Ta ", table) for table in text.split(".Bl -column")[1:]]


def paths_of(value, path=""):
    """The path of every member, as the manual writes it: * for any key, [] for any element."""
    if isinstance(value, dict) and "buckets" not in value:
        return {deeper for name, item in value.items() for deeper in
                paths_of(item, f"{path}.*" if path[1:] in KEYED else f"{path}.{name}")}
    if isinstance(value, list):
        return {deeper for item in value for deeper in paths_of(item, f"{path}[]")}
    return {path[1:]}


def test_the_manual_names_every_member_of_the_status(testbed, port):
    ntp_port = free_port()
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}", f"listen ntp 192.0.2.1:{ntp_port}",
              "http-show-clients")
    ntp.query(ntp_port)
    status = json.loads(testbed.server("--signal", "status", "--json").out)
    named, reasons, histogram = tables(section("timeserver-control.5", "STATUS"))
    assert len(named) == len(set(named)) and set(named) - {"clock"} == paths_of(status)
    assert reasons == list(status["dropped"])
    bucket = {f"buckets[].{name}" for name in status["response_time"].pop("buckets")[0]}
    assert set(histogram) == set(status["response_time"]) | bucket


def test_the_manual_names_every_path_and_member_of_http(testbed, port):
    start_web(testbed, port, "http-show-clients")
    ours, nict = tables(section("timeserver-http.5", "TIME"))
    assert ours == list(json.loads(fetch(port, "/time.json").body))
    found = set(json.loads(fetch(port, "/cgi-bin/json").body))
    assert set(nict[:3]) <= found <= set(nict)  # the others need a list of leap seconds
    paths = re.findall(r"(?m)^\.It Pa (/[^ ?]*)", section("timeserver-http.5", "DESCRIPTION"))
    assert len(paths) == 7 and {fetch(port, path).status for path in paths} == {200}


def test_the_manual_names_every_metric(testbed, port):
    start_web(testbed, port)
    named, = tables(section("timeserver-http.5", "METRICS"))
    found = re.findall(r"(?m)^# TYPE (\S+) ", fetch(port, "/metrics").body.decode())
    assert named == found


def test_the_manual_names_every_member_of_the_history(testbed, port):
    start_web(testbed, port)
    named, = tables(section("timeserver-http.5", "STATUS"))
    history = json.loads(fetch(port, "/status.json").body)["history"]
    assert {name.removeprefix("history.").removesuffix("[]") for name in named} == {*HISTORY, "*"}
    assert HISTORY < history.keys() and "ntp" in history
