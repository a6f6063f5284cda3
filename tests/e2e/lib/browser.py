"""Debian's headless Chromium, with a tab for each test."""
import contextlib
import json
import os
import re
import shutil

import pytest

from lib import isolate
from lib.environment import wait_until
from lib.testbed import Testbed

try:
    from selenium import webdriver
    from selenium.common import exceptions
except ImportError:
    webdriver = None

PROGRAMS = [shutil.which(name) for name in ("chromium", "chromedriver")]
needs_browser = pytest.mark.skipif(
    not (webdriver and all(PROGRAMS)),
    reason="needs a browser (Debian's packages chromium, chromium-driver, python3-selenium)")
UNREACHABLE = re.compile(r"/time\.json\S* - Failed to load resource: net::ERR_")


def browser_options(directory):
    chosen = webdriver.ChromeOptions()
    chosen.binary_location = PROGRAMS[0]
    chosen.ignore_local_proxy_environment_variables()
    for name in ("headless=new", "no-sandbox", "no-proxy-server", "disable-gpu", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "hide-scrollbars", f"user-data-dir={directory}/profile"):
        chosen.add_argument(f"--{name}")
    chosen.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return chosen


def driver_program(testbed):
    """A script that starts chromedriver. Its processes end with it, and it ends with pytest: xdist
    kills pytest after -x, which would leave a dozen processes each time."""
    namespace = "unshare --pid --mount-proc --fork --kill-child" if isolate.PRIVATE else ""
    program = testbed.dir / "driver"
    program.write_text(f'#!/bin/sh\nexec setpriv --pdeathsig KILL {namespace} {PROGRAMS[1]} "$@"\n')
    program.chmod(0o755)
    return str(program)


@contextlib.contextmanager
def browser():
    """A browser in its own testbed, which removes its files and processes."""
    testbed = Testbed()
    environment = testbed.environment({"HOME": str(testbed.dir), "TMPDIR": str(testbed.dir)})
    try:
        service = webdriver.chrome.service.Service(driver_program(testbed), env=environment)
        driver = webdriver.Chrome(service=service, options=browser_options(testbed.dir))
        try:
            yield driver
        finally:
            driver.quit()
    finally:
        testbed.close()


class Page:
    """A new tab for the pages of one server on this machine."""

    def __init__(self, driver, port):
        self.driver, self.origin = driver, f"http://127.0.0.1:{port}"
        self.before = driver.current_window_handle
        driver.switch_to.new_window("tab")
        self.size(1280, 800)
        self.logged("browser"), self.logged("performance")  # discards those of an earlier test

    def close(self):
        self.driver.close()
        self.driver.switch_to.window(self.before)

    def open(self, path="/"):
        self.driver.get(self.origin + path)
        return self

    def devtools(self, command, **settings):
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, settings)

    def prepare(self, source):
        """Runs this JavaScript in every document, before the scripts of the document."""
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source=source)

    def run(self, source, *arguments):
        return self.driver.execute_script(source, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def text(self, selector):
        """The visible text."""
        return self.find(selector).text

    def settled(self, read):
        """What read() returns, or None while another document loads."""
        with contextlib.suppress(exceptions.WebDriverException):
            return read()
        return None

    def settled_text(self, selector):
        return self.settled(lambda: self.text(selector)) or ""

    def style(self, selector, name):
        return self.find(selector).value_of_css_property(name)

    def size(self, width, height, mobile=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=mobile)

    def media(self, **features):
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def language(self, accepted):
        agent = self.run("return navigator.userAgent")
        self.devtools("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=accepted)

    def logged(self, kind):
        return self.driver.get_log(kind)

    def console_messages(self):
        """The messages of the console, among them violations of the content security policy."""
        return [entry["message"] for entry in self.logged("browser")]

    def requests(self):
        """The URLs of all requests."""
        messages = [json.loads(entry["message"])["message"] for entry in self.logged("performance")]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path):
        self.driver.save_screenshot(os.fspath(path))


class Clock(Page):
    """The clock page."""
    RECORDER = """
        const drawn = [];
        addEventListener("DOMContentLoaded", () => {
            const [utc, local] = ["utc", "time"].map(id => document.getElementById(id));
            const note = () => drawn.push([Date.now() / 1000, utc.textContent, local.textContent]);
            if (local)
                new MutationObserver(note).observe(local, {childList: true});
        });
    """

    def __init__(self, driver, port):
        super().__init__(driver, port)
        self.prepare(self.RECORDER)

    def show(self, path="/"):
        self.open(path)
        self.await_contact("good")

    def contact(self):
        return self.find("html").get_attribute("data-contact")

    def await_contact(self, state, seconds=5):
        wait_until(lambda: self.contact() == state, seconds, f"the contact to be {state}")

    def announced(self):
        return self.find("#announcement").get_attribute("textContent").replace("\u00a0", " ")

    def drawn(self):
        """For each second that was drawn: the device's time, the UTC text and the local text."""
        return [(moment, utc.replace("\u00a0", " "), local)
                for moment, utc, local in self.run("return drawn")]

    def next_seconds(self, count):
        before = len(self.drawn())
        wait_until(lambda: len(self.drawn()) >= before + count, count + 5, "seconds")
        return self.drawn()[before:before + count]

    def synchronised_at(self):
        """A number that changes with each synchronisation."""
        return self.run("return sample.mono")

    def block_time_requests(self, block=True):
        """Blocks the requests for the server's time."""
        self.devtools("Network.enable")
        self.devtools("Network.setBlockedURLs", urls=["*time.json*"] if block else [])

    def set_device_clock_ahead(self, ahead):
        """Sets the device's clock ahead, in seconds."""
        self.prepare(f"{{ const now = Date.now; Date.now = () => now() + {ahead * 1000}; }}")

    def choose_zone(self, zone):
        self.prepare(f"localStorage.setItem('zone', '{zone}')")


@pytest.fixture(scope="module")
def driver():
    with browser() as driver:
        yield driver


@pytest.fixture
def page(driver, port):
    """A clock page that must send requests to its server alone, and log nothing but its absence."""
    page = Clock(driver, port)
    yield page
    urls = {url for url in page.requests() if not url.startswith("data:")}
    unexpected = [line for line in page.console_messages() if not UNREACHABLE.search(line)]
    page.close()
    assert all(url.startswith(f"{page.origin}/") for url in urls), urls
    assert not unexpected, unexpected
