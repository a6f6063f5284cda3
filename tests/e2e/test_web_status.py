"""The status as a page and as JSON: the same figures, and the history."""
import html.parser
import json

from lib.daytime_client import free_port
from lib.environment import wait_until
from lib.http_client import fetch, start_web
from lib.ntp import query_from


class Page(html.parser.HTMLParser):
    """Parses a page: checks that tags are nested and closed, and collects the rows of its table."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.name, self.value = [], {}, "", ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.name = self.value = ""
        if tag not in ("meta", "link", "br", "wbr"):
            self.open.append(tag)

    def handle_data(self, data):
        if self.open[-1:] == ["th"]:
            self.name += data
        elif self.open[-1:] == ["td"]:
            self.value += data

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()
        if tag == "td" and self.name:
            assert self.name not in self.rows
            self.rows[self.name], self.name = self.value, ""


def figures_of(status, before=""):
    """Every figure of the JSON by its path, as in clock.stratum."""
    if not isinstance(status, (dict, list)) or "buckets" in status:
        return {before[1:]: status}
    items = status.items() if isinstance(status, dict) else enumerate(status)
    return {path: value for name, item in items
            for path, value in figures_of(item, f"{before}.{name}").items()}


def status_of(port):
    return json.loads(fetch(port, "/status.json").body)


def test_the_status_page_has_every_figure_of_the_json(testbed, port):
    """In a plain table, for browsers without JavaScript. The page is small."""
    start_web(testbed, port, "http-show-clients", f"listen ntp 127.0.0.1:{free_port()}", "workers 8")
    status = status_of(port)
    text, history = fetch(port, "/status").body.decode(), status.pop("history")
    figures, rows = figures_of(status), Page(text).rows
    print(f"{len(figures)} figures in {len(text)} bytes; {len(history)} series of the last hour")
    assert sorted(rows) == sorted(figures)
    for name in ("version", "program", "process", "started", "confined", "clock.source",
                 "listen.0.address", "workers", "dropped.loop", "connections.max"):
        assert rows[name] == str(figures[name])
    assert len(text) < 30 << 10


def test_the_status_has_a_history(testbed, port):
    """It has a history of requests, and top clients only with http-show-clients."""
    ntp_port, other = free_port(), free_port()
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}")
    testbed.pidfile = testbed.dir / "other.pid"
    start_web(testbed, other, f"listen ntp 127.0.0.2:{ntp_port}", "http-show-clients")
    query_from("127.7.7.7", ntp_port, 20)
    query_from("127.7.7.7", ntp_port, 20, "127.0.0.2")
    for web, shown in ((port, False), (other, True)):
        # A sample may be taken between two requests.
        wait_until(lambda web=web: sum(status_of(web)["history"]["ntp"]) == 20, 12, "the samples")
        reply, page = fetch(web, "/status.json").body, fetch(web, "/status").body.decode()
        history, rows = json.loads(reply)["history"], Page(page).rows
        assert not any(history["dropped"]) and not any(history["time/udp"])
        assert history["synchronised"] == [True] * len(history["ntp"])
        assert rows["protocols.ntp.requests"] == rows["protocols.ntp.replies"] == "20"
        for text in (reply.decode(), page):
            assert ("127.7.7.0/24" in text) == shown and "127.7.7.7" not in text
