"use strict";

/* Charts of the last hour, out of status.json: of each protocol that is served, of drops, and of the
 * clock. The page is complete without them. */
const WIDTH = 360, HEIGHT = 48;

function element(parent, name, text) {
	const made = document.createElement(name);
	made.textContent = text;
	return parent.appendChild(made);
}

/* A line that ends at the right; the caption has in words what a reader may not see. */
function addChart(name, words, values) {
	const figure = element(document.getElementById("charts"), "figure", "");
	const caption = element(figure, "figcaption", ""), max = Math.max(1e-9, ...values);
	const points = values.map((value, i) =>
		`${WIDTH - values.length + i} ${(HEIGHT - 1) * (1 - value / max) + 0.5}`);
	element(caption, "span", name);
	element(caption, "span", words);
	figure.insertAdjacentHTML("beforeend",
		`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">` +
		`<path d="M${points.join("L")}"/></svg>`);
}

async function addCharts() {
	const status = await (await fetch("status.json")).json(), history = status.history;
	const served = new Set(status.listen.map((listen) => listen.protocol));
	const seconds = history.synchronised.length * history.interval;
	const good = history.synchronised.filter(Boolean).length * history.interval;
	if (seconds === 0)
		return;
	for (const name of [...served, "dropped"]) {
		const rates = history[name].map((count) => count / history.interval);
		addChart(`${name}, requests a second`,
			`now ${rates[rates.length - 1].toFixed(1)}, max ${Math.max(...rates).toFixed(1)}`, rates);
	}
	addChart("synchronised", `${good} of the last ${seconds} s`, history.synchronised.map(Number));
}

addCharts().catch(() => { /* the next page may have them */ });
