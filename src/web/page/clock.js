"use strict";

/*
 * The clock shows the server's time: the best of eight replies of /time.json, extrapolated with
 * performance.now(). The device's own clock is only compared with it.
 *
 * A time is in seconds of UTC since 1970, as in POSIX. A mono is a time of performance.now(), in
 * milliseconds. A bound is the largest possible error, in seconds.
 */

const SAMPLES = 8;
const TIMEOUT = 5000; // of one request, in milliseconds
const INTERVAL = 240; // between synchronisations, in seconds
const LONGEST_WAIT = 60; // between attempts, in seconds
const DRIFT = 50e-6; // the error of a device's oscillator, seconds in a second
const STEP = 250; // only sleep or setting the clock moves it so far, in milliseconds
const LATE = 2000; // only throttled timers or sleep delay a tick so long, in milliseconds
const DAY = 86400;

const texts = {
	en: {
		locale: "en-GB",
		units: { d: " d", h: " h", min: " min", s: " s", ms: " ms" },
		accurate: bound => `Accurate to ± ${bound}`,
		unsynchronised: bound => `Within ± ${bound} of this server’s clock`,
		ahead: (error, bound) => `This device is ${error} ahead (± ${bound})`,
		behind: (error, bound) => `This device is ${error} behind (± ${bound})`,
		right: bound => `This device is right, within ± ${bound}`,
		ifServerIs: ", if this server is right",
		querying: () => "Asking the server …",
		good: accuracy => accuracy,
		lost: (accuracy, age) =>
			`Server unreachable, last synchronised ${age} ago. ${accuracy}`,
		never: () => "Server unreachable: the time shown has stopped",
		suspect: () => "This device was asleep, or its clock was set: the time shown may be wrong",
	},
	zh: {
		locale: "zh-CN",
		units: { d: " 天", h: " 小时", min: " 分钟", s: " 秒", ms: " 毫秒" },
		accurate: bound => `误差在 ± ${bound}以内`,
		unsynchronised: bound => `与本服务器时钟相差在 ± ${bound}以内`,
		ahead: (error, bound) => `本设备快 ${error}（± ${bound}）`,
		behind: (error, bound) => `本设备慢 ${error}（± ${bound}）`,
		right: bound => `本设备时间准确，误差在 ± ${bound}以内`,
		ifServerIs: "，以本服务器为准",
		querying: () => "正在询问服务器……",
		good: accuracy => accuracy,
		lost: (accuracy, age) => `无法连接服务器，上次同步在 ${age}前。${accuracy}`,
		never: () => "无法连接服务器：所示时间已停止",
		suspect: () => "本设备曾休眠，或其时钟被调整：所示时间可能有误",
	},
};

const find = id => document.getElementById(id);
const root = document.documentElement;
const text = texts[root.lang] || texts.en;
const clockShift = () => Date.now() - performance.now(); // between the device's two clocks
const resolution = measureResolution();

let sample = null; // the best reply of the last synchronisation; all that is shown comes from it
let failures = 0; // of synchronisations since then
let querying = false; // a synchronisation is running
let ticking, waiting; // the timers of the next second and of the next synchronisation
let due = Infinity; // the mono to draw the next second
let shift = clockShift(); // at the last tick
let format; // of the chosen zone
let wakeLock = null;
let announced = ""; // the states that were announced last

/* Words and numbers */

/** Sets an element's text if it differs; no line break between a number and its unit. */
function put(id, words) {
	const content = words.replace(/([±\d]) /g, "$1\u00a0");
	if (find(id).textContent !== content)
		find(id).textContent = content;
}

/** A bound in words, rounded up. */
function boundWords(bound) {
	const [scale, unit] = bound < 1 ? [1000, text.units.ms] : [1, text.units.s];
	return Math.ceil(bound * scale) + unit;
}

/** The bound of a value that is shown with some decimals; it includes the rounding error. */
function roundedBoundWords(bound, decimals) {
	const unit = 10 ** -decimals;
	return (Math.ceil(bound / unit + 0.5) * unit).toFixed(decimals) + text.units.s;
}

/** "2 h 5 min 3 s", without zeros. */
function durationWords(seconds) {
	const [minutes, hours] = [seconds / 60, seconds / 3600];
	const parts = { d: seconds / DAY, h: hours % 24, min: minutes % 60, s: seconds % 60 };
	const words = Object.entries(parts).filter(([, count]) => count >= 1)
		.map(([unit, count]) => Math.floor(count) + text.units[unit]);
	return words.join(" ") || "0" + text.units.s;
}

/** The error of the device's clock, without insignificant digits. */
function deviceWords(error, bound) {
	const size = Math.abs(error);
	const decimals = size < 60 ? Math.max(Math.ceil(-Math.log10(bound)), 0) : 0;
	const within = roundedBoundWords(bound, decimals);
	if (size <= bound)
		return text.right(within);
	const amount = size < 60 ? size.toFixed(decimals) + text.units.s
		: durationWords(Math.round(size));
	return error > 0 ? text.ahead(amount, within) : text.behind(amount, within);
}

/* The device's clocks */

/** The resolution of performance.now(), in seconds: browsers make it coarse on purpose. */
function measureResolution() {
	let least = Infinity;
	for (let round = 0; round < 5; round++) {
		const start = performance.now();
		let next = start;
		while (next === start)
			next = performance.now();
		least = Math.min(least, next - start);
	}
	return least / 1000;
}

/** Whether the device slept, or its clock was set, since clockShift() was this. */
function jumpedSince(earlier) {
	return Math.abs(clockShift() - earlier) > STEP;
}

/** By how much the device's clock is ahead of the server's, and the bound of that. */
function compareDevice() {
	const before = performance.now();
	const device = Date.now() / 1000;
	const after = performance.now();
	const error = device - timeAt((before + after) / 2).time;
	const coarseness = Math.max(0.001, resolution) + (after - before) / 1000;
	return { error, bound: sample.bound + coarseness };
}

/* The server's clock */

/** One request. Half the round trip is the bound, for neither way can take less than no time. */
async function query() {
	const sent = performance.now();
	const origin = sent.toFixed(3);
	const limit = new AbortController();
	setTimeout(() => limit.abort(), TIMEOUT); // no effect on a request that has ended
	const response = await fetch(`/time.json?origin=${origin}`,
		{ cache: "no-store", credentials: "omit", signal: limit.signal });
	const received = performance.now();
	const reply = await response.json();
	if (!response.ok || reply.origin !== origin)
		throw new Error("not a reply to this request");
	const delay = (received - sent) / 1000 - (reply.transmit - reply.receive);
	const distance = reply.synchronised ? reply.root_distance : 0; // else it has no meaning
	const bound = Math.max(delay, 0) / 2 + distance + 1.5 * resolution;
	const time = (reply.receive + reply.transmit) / 2;
	return { mono: (sent + received) / 2, time, bound, delay, reply, ...leapOf(reply) };
}

/**
 * When UTC jumps for an announced leap second, and by how much: into 23:59:60, or over 23:59:59.
 * Only the last day of a month can have one, whatever a server says.
 */
function leapOf({ leap, transmit }) {
	const midnight = (Math.floor(transmit / DAY) + 1) * DAY;
	const jump = { 1: -1, 2: 1 }[leap];
	if (!jump || new Date(midnight * 1000).getUTCDate() !== 1)
		return { turn: Infinity, jump: 0 };
	return { turn: jump < 0 ? midnight : midnight - 1, jump };
}

/** The best of several replies, requested one after the other; undefined without a reply. */
async function querySamples() {
	const earlier = clockShift();
	const samples = [];
	try {
		while (samples.length < SAMPLES)
			samples.push(await query());
	} catch {
		// The replies before it are still good.
	}
	samples.sort((one, other) => one.delay - other.delay);
	return jumpedSince(earlier) ? null : samples[0];
}

/** A hidden page waits until it is visible again. */
async function synchronise() {
	if (querying || document.hidden)
		return;
	clearTimeout(waiting);
	querying = true;
	const best = await querySamples();
	querying = false;
	failures = best ? 0 : failures + 1;
	if (best)
		use(best);
	else
		miss();
	announce();
	waiting = setTimeout(synchronise, secondsToNext() * 1000);
}

/** Soon after a leap second, to see whether it happened; else spread, to spare the server. */
function secondsToNext() {
	if (failures > 0)
		return Math.min(2 ** (failures - 1), LONGEST_WAIT);
	const usual = INTERVAL * (0.9 + 0.2 * Math.random());
	const afterTurn = sample.turn + 5 - timeAt(performance.now()).time;
	return afterTurn > 0 ? Math.min(usual, afterTurn) : usual;
}

function use(best) {
	sample = best;
	sample.device = compareDevice();
	shift = clockShift();
	due = Infinity;
	root.dataset.contact = "good";
	root.dataset.state = stateOf(sample);
	for (const element of document.getElementsByClassName("reason"))
		element.textContent = sample.reply.reason;
	tick();
}

/** The value of data-state. A leap second is shown on its day only. */
function stateOf({ reply, jump }) {
	if (!reply.synchronised)
		return "unsynchronised";
	return { "-1": "insert", 0: "synchronised", 1: "delete" }[jump];
}

function miss() {
	if (root.dataset.contact !== "suspect")
		root.dataset.contact = sample ? "lost" : "never";
	report();
}

/** The time at mono, and whether it is in an inserted second, which repeats 23:59:59. */
function timeAt(mono) {
	const time = sample.time + (mono - sample.mono) / 1000;
	if (time < sample.turn)
		return { time, leap: false };
	return { time: time + sample.jump, leap: sample.jump < 0 && time < sample.turn + 1 };
}

/* Display */

/** Draws a second when it begins, never earlier, and sets the timer for the next one. */
function tick() {
	clearTimeout(ticking);
	const mono = performance.now();
	const now = timeAt(mono);
	draw(now);
	report();
	noticeSleep(mono);
	due = mono + 1000 * (1 - now.time % 1);
	ticking = setTimeout(tick, Math.max(Math.ceil(due - performance.now()), 0));
}

function draw({ time, leap }) {
	const date = new Date(Math.floor(time) * 1000);
	const seconds = leap ? "60" : "$&"; // $& leaves it
	const [day, clock] = date.toISOString().slice(0, 19).replace(/\d\d$/, seconds).split("T");
	put("time", format.clock.format(date).replace(/\d\d$/, seconds));
	find("time").dateTime = `${day}T${clock}Z`;
	put("place", format.place);
	put("date", format.date.format(date));
	put("week", isoWeek(format.day.format(date)));
	put("shift", shiftWords(date));
	put("utc", `${day} ${clock}`);
}

/** The ISO week of a date: the week and the year of its Thursday. */
function isoWeek(day) {
	const date = new Date(day + "T00:00:00Z");
	const weekday = date.getUTCDay() || 7;
	date.setUTCDate(date.getUTCDate() + 4 - weekday);
	const year = date.getUTCFullYear();
	const week = Math.floor((date - Date.UTC(year, 0, 1)) / 1000 / DAY / 7) + 1;
	return `${year}-W${String(week).padStart(2, "0")}-${weekday}`;
}

/** "UTC+5:30": the difference between the zone's time and UTC at a whole second. */
function shiftWords(date) {
	const shown = Date.parse(`${format.day.format(date)}T${format.clock.format(date)}Z`);
	const minutes = Math.abs(shown - date) / 60000;
	const part = minutes % 60 ? ":" + String(minutes % 60).padStart(2, "0") : "";
	const sign = shown < date ? "-" : "+";
	return minutes ? `UTC${sign}${Math.floor(minutes / 60)}${part}` : "UTC";
}

/** performance.now() may stop during sleep: a time extrapolated with it can be wrong. */
function noticeSleep(mono) {
	const slept = jumpedSince(shift);
	if (slept)
		root.dataset.contact = "suspect";
	if (slept || mono > due + LATE)
		synchronise();
	shift = clockShift();
}

/** Shows the accuracy of the time shown, and the error of the device's clock. */
function report() {
	const contact = root.dataset.contact;
	if (!sample)
		return put("accuracy", text[contact]());
	const synchronised = root.dataset.state !== "unsynchronised";
	const age = (performance.now() - sample.mono) / 1000;
	const aged = age * DRIFT;
	const bound = boundWords(sample.bound + aged);
	const accuracy = synchronised ? text.accurate(bound) : text.unsynchronised(bound);
	put("accuracy", text[contact](accuracy, durationWords(age < 60 ? age : age - age % 60)));
	const device = deviceWords(sample.device.error, sample.device.bound + aged);
	put("device", contact === "suspect" ? "" : device + (synchronised ? "" : text.ifServerIs));
}

/** Tells screen readers a change of state, once. */
function announce() {
	const now = `${root.dataset.contact} ${root.dataset.state}`;
	const seen = [...document.querySelectorAll(".notice, #accuracy, #device")]
		.filter(element => element.offsetHeight > 0);
	if (now !== announced)
		put("announcement", seen.map(element => element.innerText).join(". "));
	announced = now;
}

/* The zone */

function chooseZone(zone) {
	const formatter = (locale, options) =>
		new Intl.DateTimeFormat(locale, { timeZone: zone, ...options });
	format = {
		clock: formatter("en-GB", { hourCycle: "h23", timeStyle: "medium" }),
		day: formatter("sv-SE", { dateStyle: "short" }), // Sweden writes ISO 8601
		date: formatter(text.locale, { dateStyle: "full" }),
		place: zone.replaceAll("_", " "),
	};
}

/** Gets or sets the stored zone. Storage throws where it is denied. */
function rememberedZone(chosen) {
	try {
		if (chosen)
			localStorage.setItem("zone", chosen);
		return localStorage.getItem("zone");
	} catch {
		return null;
	}
}

function offerZones() {
	const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
	const own = timeZone === "Etc/Unknown" ? "UTC" : timeZone; // reported by ICU, but not accepted
	const known = Intl.supportedValuesOf?.("timeZone") ?? [];
	const zones = [...new Set(["UTC", own, ...known])];
	const select = find("zone");
	select.append(...zones.map(zone => new Option(zone.replaceAll("_", " "), zone)));
	select.value = zones.includes(rememberedZone()) ? rememberedZone() : own;
	select.addEventListener("change", () => {
		rememberedZone(select.value);
		chooseZone(select.value);
		if (sample)
			tick();
	});
	chooseZone(select.value);
}

/* The wall: a full-screen layout, chosen by #wall so that a kiosk can open it */

const onWall = () => location.hash === "#wall";

function toggleWall() {
	if (!onWall())
		root.requestFullscreen?.()?.catch(() => {}); // if denied, the layout still applies
	else if (document.fullscreenElement)
		document.exitFullscreen();
	location.hash = onWall() ? "" : "wall";
}

async function keepAwake() {
	find("full").setAttribute("aria-pressed", onWall());
	await wakeLock?.release();
	wakeLock = null;
	if (onWall() && !document.hidden)
		wakeLock = await navigator.wakeLock?.request("screen").catch(() => null);
}

function watchWall() {
	find("full").addEventListener("click", toggleWall);
	addEventListener("hashchange", keepAwake);
	document.addEventListener("fullscreenchange", () => {
		if (!document.fullscreenElement && onWall())
			location.hash = "";
	});
	keepAwake();
}

root.dataset.contact = "querying";
offerZones();
watchWall();
report();
document.addEventListener("visibilitychange", () => { synchronise(); keepAwake(); });
addEventListener("online", synchronise);
synchronise();
