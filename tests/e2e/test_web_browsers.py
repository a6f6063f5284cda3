"""Pages in older browsers, with failing scripts, and for accessibility tools."""
import json
import re
import time
from html.parser import HTMLParser

import pytest

from lib import browser, ntp
from lib.daytime_client import free_port
from lib.environment import wait_until
from lib.http_client import fetch, start_web

pytestmark = [browser.needs_browser, pytest.mark.xdist_group("browser")]  # one xdist worker has the browser

# Removes what Chrome, Firefox and Safari lacked in the versions that the manual names.
REMOVE_NEWER_FEATURES = """
    delete AbortSignal.timeout;
    delete AbortSignal.any;
    delete Intl.supportedValuesOf;
    delete Navigator.prototype.wakeLock;
    delete Element.prototype.requestFullscreen;
    delete Array.prototype.at;
    delete String.prototype.at;
    delete window.structuredClone;
    delete crypto.randomUUID;
    for (const name of ["findLast", "findLastIndex", "toSorted", "toReversed", "with"])
        delete Array.prototype[name];
    {
        const Format = Intl.DateTimeFormat;
        Intl.DateTimeFormat = function (locale, options) {
            if (/Offset|Generic/.test(options?.timeZoneName))
                throw new RangeError("timeZoneName");
            return new Format(locale, options);
        };
    }
"""

FAILURES = {
    "syntax error": "var SAMPLES;",
    "at its start": "document.getElementById = null",
    "after the first request": "Math.random = null",
    "when it draws": "Date.prototype.toISOString = () => { throw new Error('no') }",
}


def wait_two_seconds_drawn(page):
    """Waits until the page has shown two more seconds."""
    for _ in range(2):
        shown = page.settled_text("#time")
        wait_until(lambda: page.settled_text("#time") not in ("", shown), what="another second")


def test_a_browser_of_2021(testbed, port, page):
    start_web(testbed, port)
    page.prepare(REMOVE_NEWER_FEATURES)
    page.devtools("Emulation.setTimezoneOverride", timezoneId="Asia/Kabul")
    page.show()
    assert page.text("#shift") == "UTC+4:30"
    assert page.run("return [...document.getElementById('zone').options].map(o => o.value)") == [
        "UTC", "Asia/Kabul"]
    page.find("button").click()
    wait_until(lambda: page.driver.current_url.endswith("#wall"), what="the wall clock")


@pytest.mark.parametrize("zone, shift", [
    ("UTC", "UTC"), ("Australia/Eucla", "UTC+8:45"), ("America/Phoenix", "UTC-7"),
    ("Pacific/Marquesas", "UTC-9:30"), ("Pacific/Kiritimati", "UTC+14"), ("Africa/Abidjan", "UTC")])
def test_utc_offset_of_a_zone(testbed, port, page, zone, shift):
    start_web(testbed, port)
    page.choose_zone(zone)
    page.show()
    assert page.text("#shift") == shift


@pytest.mark.parametrize("source", FAILURES.values(), ids=FAILURES)
def test_a_failing_script(testbed, port, page, source):
    """The page reloads every second, and so the time goes on."""
    start_web(testbed, port)
    page.prepare(source)
    page.open()
    wait_two_seconds_drawn(page)
    shown, now = wait_until(lambda: page.settled_text("#time"), what="the time"), time.time()
    assert shown in [time.strftime("%T", time.gmtime(now - age)) for age in range(4)]
    page.open("/time.json")
    assert page.console_messages(), "the script failed"


def test_a_script_failing_later(testbed, port, page):
    """The page reloads."""
    start_web(testbed, port)
    page.prepare("setTimeout(() => { Date.prototype.toISOString = null; }, 1500)")
    page.show()
    page.run("window.old = true")
    wait_until(lambda: page.driver.execute_script("return !window.old"), what="another page")
    page.await_contact("good")
    page.open("/time.json")
    assert page.console_messages(), "the script failed"


class Document(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


def test_the_status_page_can_be_held(testbed, port, page):
    """It reloads by itself unless the URL says hold."""
    start_web(testbed, port)
    refresh = {"http-equiv": "refresh", "content": "10"}
    assert refresh in Document(fetch(port, "/status").body.decode()).all("meta")
    page.open("/status")
    page.driver.find_element("link text", "hold still").click()
    assert page.driver.current_url.endswith("/status?hold")
    assert refresh not in Document(fetch(port, "/status?hold").body.decode()).all("meta")
    page.driver.find_element("link text", "keep up to date").click()
    assert page.driver.current_url.endswith("/status")


def test_the_status_page_has_charts(testbed, port, page):
    """Of requests, drops and the clock. Each has its values in the caption, too."""
    ntp_port = free_port()
    start_web(testbed, port, f"listen ntp 127.0.0.1:{ntp_port}")
    for _ in range(20):
        ntp.query(ntp_port)
    wait_until(lambda: json.loads(fetch(port, "/status.json").body)["history"]["ntp"], 12, "a sample")
    page.open("/status?hold")
    wait_until(lambda: len(page.all("figure")) == 4, what="the charts")
    texts = [figure.text.split("\n") for figure in page.all("figcaption")]
    found = {words[0]: words[1] for words in texts}
    rate = "requests a second"
    assert found.keys() == {f"http, {rate}", f"ntp, {rate}", f"dropped, {rate}", "synchronised"}
    assert found[f"ntp, {rate}"].endswith("max 2.0")
    assert found[f"dropped, {rate}"] == "now 0.0, max 0.0"
    assert re.fullmatch(r"(\d+) of the last \1 s", found["synchronised"])
    drawings = page.all("svg")
    assert [drawing.get_attribute("aria-hidden") for drawing in drawings] == ["true"] * 4
    assert all(drawing.get_attribute("d").startswith("M") for drawing in page.all("svg path"))


def test_the_status_page_without_javascript(testbed, port, page):
    """It is complete, and shows the state of the clock."""
    start_web(testbed, port)
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    page.open("/status")
    assert page.text("header .synchronised") == "synchronised" and page.all("figure") == []
    assert len(page.all("tbody tr")) > 40 and page.text("h1") == "127.0.0.1"
    for width in (320, 1280):
        page.size(width, 700, mobile=True)
        assert page.run("return document.documentElement.scrollWidth") == width


def test_the_status_page_is_accessible(testbed, port):
    """Each header cell has a scope, and the table a caption."""
    start_web(testbed, port)
    document = Document(fetch(port, "/status").body.decode())
    assert {head.get("scope") for head in document.all("th")} == {"row", "col"}
    assert len(document.all("caption")) == 1
