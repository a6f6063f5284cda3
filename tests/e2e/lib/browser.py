"""A browser to meet pages with: Debian's Chromium without a screen, and a tab for each test."""
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
OUT_OF_REACH = re.compile(r"/time\.json\S* - Failed to load resource: net::ERR_")


def options(directory):
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
    """The driver, so started that it and all that it starts end with it, and it ends with us.

    A pytest that is killed, as xdist does after -x, would else leave a dozen processes each time.
    """
    corner = "unshare --pid --mount-proc --fork --kill-child" if isolate.PRIVATE else ""
    program = testbed.dir / "driver"
    program.write_text(f'#!/bin/sh\nexec setpriv --pdeathsig KILL {corner} {PROGRAMS[1]} "$@"\n')
    program.chmod(0o755)
    return str(program)


@contextlib.contextmanager
def browser():
    """In a testbed of its own, so that it leaves nothing in the machine: no file, and no process."""
    testbed = Testbed()
    environment = testbed.environment({"HOME": str(testbed.dir), "TMPDIR": str(testbed.dir)})
    try:
        service = webdriver.chrome.service.Service(driver_program(testbed), env=environment)
        driver = webdriver.Chrome(service=service, options=options(testbed.dir))
        try:
            yield driver
        finally:
            driver.quit()
    finally:
        testbed.close()


class Page:
    """What one server on this machine shows, in a tab that nothing was done to before."""

    def __init__(self, driver, port):
        self.driver, self.origin = driver, f"http://127.0.0.1:{port}"
        self.before = driver.current_window_handle
        driver.switch_to.new_window("tab")
        self.size(1280, 800)
        self.logged("browser"), self.logged("performance")  # what an earlier test left

    def close(self):
        self.driver.close()
        self.driver.switch_to.window(self.before)

    def open(self, path="/"):
        self.driver.get(self.origin + path)
        return self

    def tell(self, command, **settings):
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, settings)

    def prepare(self, source):
        """Has this JavaScript run in every document before its own does."""
        self.tell("Page.addScriptToEvaluateOnNewDocument", source=source)

    def run(self, source, *arguments):
        return self.driver.execute_script(source, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def text(self, selector):
        """As it is seen: what is hidden has none."""
        return self.find(selector).text

    def settled_text(self, selector):
        """The same, but none while another document comes in."""
        with contextlib.suppress(exceptions.WebDriverException):
            return self.text(selector)
        return ""

    def style(self, selector, name):
        return self.find(selector).value_of_css_property(name)

    def size(self, width, height, mobile=False):
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)

    def media(self, **features):
        self.tell("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def language(self, accepted):
        agent = self.run("return navigator.userAgent")
        self.tell("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=accepted)

    def logged(self, kind):
        return self.driver.get_log(kind)

    def complaints(self):
        """What the console has to say, and each violation of the content security policy."""
        return [entry["message"] for entry in self.logged("browser")]

    def requests(self):
        """Every address that something was asked of."""
        messages = [json.loads(entry["message"])["message"] for entry in self.logged("performance")]
        return [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path):
        self.driver.save_screenshot(os.fspath(path))


class Clock(Page):
    """The page that shows the time."""
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
        """When the device's clock said that each second was drawn, and what: UTC, and the zone's."""
        return [(moment, utc.replace("\u00a0", " "), local)
                for moment, utc, local in self.run("return drawn")]

    def next_seconds(self, count):
        before = len(self.drawn())
        wait_until(lambda: len(self.drawn()) >= before + count, count + 5, "seconds")
        return self.drawn()[before:before + count]

    def synchronised_at(self):
        """A number that is another one after each synchronisation."""
        return self.run("return sample.moment")

    def cut_off(self, cut=True):
        """Lets nothing through to the server's clock any more."""
        self.tell("Network.enable")
        self.tell("Network.setBlockedURLs", urls=["*time.json*"] if cut else [])

    def pretend(self, ahead):
        """Lets the device's clock differ, in seconds."""
        self.prepare(f"{{ const now = Date.now; Date.now = () => now() + {ahead * 1000}; }}")

    def prefer(self, zone):
        self.prepare(f"localStorage.setItem('zone', '{zone}')")


@pytest.fixture(scope="module")
def driver():
    with browser() as driver:
        yield driver


@pytest.fixture
def page(driver, port):
    """Whatever a test does, the page asks only its server, and nothing but its absence is logged."""
    page = Clock(driver, port)
    yield page
    asked = {address for address in page.requests() if not address.startswith("data:")}
    unexpected = [line for line in page.complaints() if not OUT_OF_REACH.search(line)]
    page.close()
    assert all(address.startswith(f"{page.origin}/") for address in asked), asked
    assert not unexpected, unexpected
