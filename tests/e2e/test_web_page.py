"""The clock page in a browser."""
import calendar
import datetime
import itertools
import json
import re
import time

import pytest

from lib import browser
from lib.daytime_client import free_port
from lib.environment import not_instrumented, wait_until
from lib.http_client import fetch, start_web

pytestmark = [browser.needs_browser, pytest.mark.xdist_group("browser")]  # one xdist worker has the browser
in_each_language = pytest.mark.parametrize("language", ["en", "zh-CN"])

UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1, "ms": 0.001,
         "天": 86400, "小时": 3600, "分钟": 60, "秒": 1, "毫秒": 0.001}


def seconds_in(words):
    """"2 h 5 min" as a number."""
    parts = re.findall(r"([\d.]+)\s*(ms|min|[dhs]|天|小时|分钟|秒|毫秒)", words)
    assert parts, words
    return sum(float(count) * UNITS[unit] for count, unit in parts)


def device_error(words):
    """The error of the device's clock and its bound, as the page shows them; positive: ahead."""
    right = re.search(r"(?:is right, within|时间准确，误差在) ± (.+)", words)
    if right:
        return 0, seconds_in(right[1])
    match = re.search(r"is (.+) (ahead|behind) \(± (.+)\)", words)
    if match:
        error, way, bound = match.groups()
    else:
        way, error, bound = re.search(r"设备(快|慢) (.+)（± (.+)）", words).groups()
    return seconds_in(error) * (1 if way in ("ahead", "快") else -1), seconds_in(bound)


def assert_synchronises(page, what, event):
    before = page.synchronised_at()
    page.run(event)
    wait_until(lambda: page.synchronised_at() != before, what=f"a synchronisation on {what}")


@not_instrumented("the delay")
def test_each_second_is_drawn_when_it_begins(testbed, port, page):
    """Never earlier. Server and browser have the same clock here."""
    start_web(testbed, port)
    page.show()
    error, bound = page.run("""
        const error = timeAt(performance.now()).time - Date.now() / 1000;
        return [error, sample.bound]""")
    assert abs(error) < bound + 0.002 and bound < 0.05
    drawn = page.next_seconds(4)
    late = [moment - round(moment) for moment, _, _ in drawn]
    print(f"bound {bound * 1000:.1f} ms, drawn {min(late) * 1000:.1f} to {max(late) * 1000:.1f} ms late")
    assert [local for _, _, local in drawn] == [
        time.strftime("%T", time.gmtime(round(moment))) for moment, _, _ in drawn]
    assert min(late) > -bound - 0.002 and sorted(late)[1] < 0.05


@pytest.mark.parametrize("ahead, language", [
    *((ahead, "en") for ahead in (-0.31, 0, 0.05, 12.5, -75, 7200, -200000)),
    *((ahead, "zh-CN") for ahead in (-0.31, 0, 7265))])
def test_the_error_of_the_devices_clock(testbed, port, page, ahead, language):
    """The error shown is within the bound shown, and the time shown is right."""
    start_web(testbed, port)
    page.language(language)
    page.set_device_clock_ahead(ahead)
    page.show()
    words = page.text("#device")
    print(f"{ahead} s: {words}")
    error, bound = device_error(words)
    assert abs(error - ahead) <= bound + 1e-9, words
    assert 0 < bound <= (1 if abs(ahead) >= 60 else 0.25), words
    shown = page.run("return document.getElementById('time').dateTime")
    assert abs(calendar.timegm(time.strptime(shown, "%Y-%m-%dT%H:%M:%SZ")) - time.time()) < 3


def test_the_accuracy_decreases_with_age(testbed, port, page):
    """By 50 ppm, for the time shown and for the error of the device."""
    start_web(testbed, port)
    page.set_device_clock_ahead(5)
    page.show()
    page.block_time_requests()
    page.run("sample.mono -= 3.6e6; sample.time -= 3600; dispatchEvent(new Event('online'));")
    page.await_contact("lost")
    words = page.text("#accuracy")
    age, accuracy = re.search(r"last synchronised (.+) ago\. Accurate to ± (.+)", words).groups()
    assert seconds_in(age) == 3600 and 0.18 <= seconds_in(accuracy) < 0.3, words
    error, bound = device_error(page.text("#device"))
    assert abs(error - 5) < bound and 0.18 <= bound < 0.5
    page.block_time_requests(False)
    page.await_contact("good", 10)


def test_events_that_cause_a_synchronisation(testbed, port, page):
    start_web(testbed, port)
    page.show()
    assert_synchronises(page, "the network's return", "dispatchEvent(new Event('online'))")
    page.run("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true})")
    before = page.synchronised_at()
    page.run("document.dispatchEvent(new Event('visibilitychange')); synchronise()")
    assert page.synchronised_at() == before and not page.run("return querying"), "the page is hidden"
    assert_synchronises(page, "being seen", "delete document.hidden; "
                        "document.dispatchEvent(new Event('visibilitychange'))")
    assert_synchronises(page, "a late tick", "const real = setTimeout; window.setTimeout = "
                        "(f, wait) => { window.setTimeout = real; return real(f, wait + 2500); }")
    wait = page.run("return [secondsToNext(), secondsToNext()]")
    assert all(200 < seconds < 280 for seconds in wait) and wait[0] != wait[1]


def test_a_synchronisation_after_sleep(testbed, port, page):
    """performance.now() may have stopped meanwhile, so the page says that the time may be wrong."""
    daemon = start_web(testbed, port)
    page.show()
    assert_synchronises(page, "the end of sleep",
                        "const now = Date.now; Date.now = () => now() + 60000")
    page.await_contact("good")
    assert abs(device_error(page.text("#device"))[0] - 60) < 1
    daemon.stop()
    page.run("const now = Date.now; Date.now = () => now() - 60000")
    page.await_contact("suspect")
    wait_until(lambda: "may be wrong" in page.text("#accuracy"), what="the warning")
    assert page.text("#device") == ""
    start_web(testbed, port)
    page.await_contact("good", 15)
    assert abs(device_error(page.text("#device"))[0]) < 1


def test_the_server_stops_and_starts_again(testbed, port, page):
    daemon = start_web(testbed, port)
    page.show()
    daemon.stop()
    page.run("dispatchEvent(new Event('online'))")
    page.await_contact("lost")
    assert "unreachable" in page.text("#accuracy") and "Accurate to" in page.text("#accuracy")
    assert "unreachable" in page.announced()
    first, second = page.next_seconds(2)
    assert first[1] < second[1], "the clock goes on"
    start_web(testbed, port)
    page.await_contact("good", 15)
    assert page.text("#accuracy").startswith("Accurate to")


def test_a_server_that_never_replies(testbed, port, page):
    """The page shows the time at which it was made, dimmed."""
    start_web(testbed, port)
    page.block_time_requests()
    page.open()
    page.await_contact("never")
    assert "has stopped" in page.text("#accuracy")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", page.text("#time"))
    dimmed = page.style("#time", "color")
    page.block_time_requests(False)
    page.await_contact("good", 10)
    assert page.style("#time", "color") != dimmed


LEAP = """{
    const real = fetch, before = Date.now() / 1000, midnight = %d;
    window.fetch = async (...all) => {
        const answer = await (await real(...all)).json(), shift = midnight - 3.5 - before;
        return {ok: true, json: async () => ({...answer, leap: %d,
            receive: answer.receive + shift, transmit: answer.transmit + shift})};
    };
}"""


@pytest.mark.parametrize("leap, day, expected", [
    (1, "2027-01-01", ["58", "59", "60", "00", "01"]), (2, "2027-01-01", ["58", "00", "01"]),
    (1, "2026-12-31", ["58", "59", "00", "01"])], ids=["inserted", "deleted", "in mid-month"])
def test_a_leap_second(testbed, port, page, leap, day, expected):
    """As announced, in every zone at once; a synchronisation follows."""
    start_web(testbed, port)
    midnight = calendar.timegm(time.strptime(day, "%Y-%m-%d"))
    page.prepare(LEAP % (midnight, leap))
    page.choose_zone("Asia/Kabul")
    page.show()
    announced = [notice.text for notice in page.all(".insert, .delete") if notice.is_displayed()]
    if day.endswith("-01-01"):
        assert len(announced) == 1 and announced[0].startswith("This UTC day ends")
        assert page.run("return secondsToNext()") < 9
    else:
        assert announced == [], "no leap second at the end of this day"
    wait_until(lambda: page.drawn()[-1][1].endswith(expected[-1]), 10, "the other day")
    drawn = page.drawn()[-len(expected):]
    assert [utc[-2:] for _, utc, _ in drawn] == expected
    assert all(0.5 < after[0] - before[0] < 1.5 for before, after in itertools.pairwise(drawn))
    for _, utc, local in drawn:
        assert local == utc[11:].replace("23:59", "04:29").replace("00:00", "04:30")


def test_zones(testbed, port, page):
    """The zone of the browser, until another one is chosen, which is remembered."""
    start_web(testbed, port)
    page.devtools("Emulation.setTimezoneOverride", timezoneId="Asia/Kabul")
    page.show()
    assert page.run("return document.getElementById('zone').value") == "Asia/Kabul"
    assert page.text("#shift") == "UTC+4:30"
    moment, utc, local = page.next_seconds(1)[0]
    assert utc == time.strftime("%Y-%m-%d %T", time.gmtime(round(moment)))
    assert local == time.strftime("%T", time.gmtime(round(moment) + 16200))
    options = page.run("return [...document.getElementById('zone').options].map(o => o.value)")
    assert options[0] == "UTC" and "Europe/Berlin" in options and len(options) == len(set(options))
    page.find("#zone").send_keys("Pacific/Kir")
    assert page.text("#shift") == "UTC+14" and "wall" not in page.driver.current_url
    page.show()
    assert page.run("return document.getElementById('zone').value") == "Pacific/Kiritimati"


def test_weeks(testbed, port, page):
    """The ISO week of every day of 40 years, compared with Python."""
    start_web(testbed, port)
    page.open()
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(number) for number in range(14610)]
    weeks = page.run("return arguments[0].map(isoWeek)", [str(day) for day in days])
    assert weeks == [day.strftime("%G-W%V-%u") for day in days]


@in_each_language
def test_languages(testbed, port, page, language):
    """Each text is in one language."""
    start_web(testbed, port)
    page.language(language)
    page.show()
    seen, chinese = page.text("body"), language == "zh-CN"
    assert ("误差在 ±" if chinese else "Accurate to ±") in seen
    assert ("服务器" in seen) == ("device" not in seen) == chinese
    now = time.gmtime()
    date = f"%Y年{now.tm_mon}月{now.tm_mday}日星期{'一二三四五六日'[now.tm_wday]}" if chinese \
        else f"%A {now.tm_mday} %B %Y"
    assert page.text("#date").replace(",", "") == time.strftime(date, now)
    assert page.text("#week") == time.strftime("%G-W%V-%u", now)


@in_each_language
def test_a_server_whose_clock_is_not_synchronised(testbed, port, page, language):
    words = "This server’s clock is not synchronised: " if language == "en" else "本服务器的时钟未同步："
    start_web(testbed, port, clock=f"follow 127.0.0.1:{free_port()}")
    page.language(language)
    reasons = [json.loads(fetch(port, "/time.json").body)["reason"]]
    page.show()
    reasons += [json.loads(fetch(port, "/time.json").body)["reason"]]  # it may have changed
    assert page.text(".unsynchronised") in [words + reason for reason in reasons]
    assert words in page.announced()
    accuracy = page.text("#accuracy")
    assert re.search("server’s clock|服务器时钟", accuracy) and seconds_in(accuracy) < 0.25
    assert re.search("if this server is right|以本服务器为准", page.text("#device"))
    page.open("/#wall")
    assert page.find(".unsynchronised").is_displayed()


WITHOUT_SCRIPTS = """
    const text = selector => document.querySelector(selector).innerText;
    const controls = [...document.querySelectorAll("button, select, .utc, .notice")];
    return [text("#time"), text("h1"), text("#week"), text("#place"),
            controls.some(control => control.checkVisibility())];
"""


@in_each_language
def test_without_scripts(testbed, port, page, language):
    """The time is shown and goes on, by a new document every second; elements that need a script are hidden."""
    def shown():
        return page.settled(lambda: page.run(WITHOUT_SCRIPTS))
    start_web(testbed, port)
    page.language(language)
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    page.open()
    first, *others = wait_until(shown, what="the page")
    assert others == [{"en": "The time at 127.0.0.1", "zh-CN": "127.0.0.1 的时间"}[language],
                      time.strftime("%G-W%V-%u", time.gmtime()), "UTC", False]
    wait_until(lambda: page.settled_text("#time") not in ("", first), what="the next second")


def test_the_wall_clock(testbed, port, page):
    """The wall clock: by the button, with mouse or keyboard, and by the URL."""
    start_web(testbed, port)
    page.show()
    button, header = page.find("button"), page.find("h1")
    for toggle in (lambda: button.send_keys("\ue007"), button.click):
        toggle()
        wait_until(lambda: not header.is_displayed(), what="the wall clock")
        wait_until(lambda: page.run("return document.fullscreenElement !== null"), what="full screen")
        assert page.driver.current_url.endswith("#wall")
        assert button.get_attribute("aria-pressed") == "true"
        wait_until(lambda: page.run("return wakeLock !== null"), what="the wake lock")
        toggle()
        wait_until(lambda: header.is_displayed(), what="the page")
        wait_until(lambda: page.run("return document.fullscreenElement === null"), what="the end of full screen")
    page.open("/status")
    page.show("/#wall")
    assert page.find("#time").is_displayed() and page.find("#date").is_displayed()
    assert page.text("#place") == "UTC" and page.find(".dot").is_displayed()
    assert not any(part.is_displayed() for part in page.all("h1, select, footer, #device, .utc"))
    page.find("button").send_keys("\ue007")
    wait_until(lambda: page.find("h1").is_displayed(), what="the page")


def test_the_wall_clock_fills_the_screen(testbed, port, page):
    start_web(testbed, port)
    page.show("/#wall")
    for width, height in [(3840, 2160), (1920, 1080), (1024, 768), (390, 844), (844, 390)]:
        page.size(width, height)
        shown = page.run("""
            const range = document.createRange();
            range.selectNodeContents(document.getElementById("time"));
            return range.getBoundingClientRect().width""")
        assert 0.4 * width < shown <= width
        assert page.run("return [document.documentElement.scrollWidth, scrollY]") == [width, 0]
        assert page.run("return document.documentElement.scrollHeight") <= height


@in_each_language
def test_small_screens_never_scroll_sideways(testbed, port, page, language):
    """Also with all notices."""
    start_web(testbed, port, clock=f"follow 127.0.0.1:{free_port()}")
    page.language(language)
    page.choose_zone("America/Argentina/Buenos_Aires")
    page.set_device_clock_ahead(-98765)
    page.show()
    for width in (320, 390, 768):
        page.size(width, 700, mobile=True)
        assert page.run("return document.documentElement.scrollWidth") == width


CONTRASTS = """
    const light = colour => {
        const [red, green, blue] = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    const paper = light(getComputedStyle(document.documentElement).backgroundColor);
    const texts = [...document.querySelectorAll("body *")].filter(element => element.innerText);
    return [paper, Math.min(...texts.map(element => light(getComputedStyle(element).color))
        .map(ink => Math.max(ink, paper) / Math.min(ink, paper)))];
"""


@pytest.mark.parametrize("clock", ["local", "follow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_in_dark_and_light(testbed, port, page, scheme, clock):
    """At least level AA of WCAG."""
    start_web(testbed, port, clock="local" if clock == "local" else f"follow 127.0.0.1:{free_port()}")
    page.media(prefers_color_scheme=scheme)
    page.show()
    paper, contrast = page.run(CONTRASTS)
    assert (paper < 0.2) == (scheme == "dark") and contrast >= 4.5


def test_reduced_motion(testbed, port, page):
    start_web(testbed, port)
    page.media(prefers_reduced_motion="reduce")
    page.show()
    assert page.run("""return document.getAnimations().length === 0
        && [...document.querySelectorAll("*")].every(
            element => getComputedStyle(element).transitionDuration === "0s")""")


def test_screen_readers(testbed, port, page):
    """A state is announced once, not each second, and every control has a name."""
    start_web(testbed, port)
    page.show()
    wait_until(lambda: "Accurate to" in page.announced(), what="the announcement")
    nodes = page.devtools("Accessibility.getFullAXTree")["nodes"]
    by_role = {}
    for node in nodes:
        name = node.get("name", {}).get("value", "")
        by_role.setdefault(node.get("role", {}).get("value"), []).append(name)
    assert by_role["timer"] == ["The time at 127.0.0.1"] == by_role["heading"]
    assert by_role["button"] == ["Full screen"] and by_role["combobox"] == ["Time zone"]
    assert by_role["link"] == ["Status of this server", "time.json"]
    assert {"main", "status"} <= by_role.keys()
    page.run("document.getElementById('announcement').textContent = ''")
    assert_synchronises(page, "the network's return", "dispatchEvent(new Event('online'))")
    page.next_seconds(2)
    assert page.announced() == "", "no new announcement"


def test_keyboard(testbed, port, page):
    start_web(testbed, port)
    page.show()
    found = []
    for _ in range(4):
        page.driver.switch_to.active_element.send_keys("\ue004")  # Tab
        active = page.driver.switch_to.active_element
        found.append(active.tag_name)
        assert active.value_of_css_property("outline-style") == "solid"
    assert found == ["button", "select", "a", "a"]
