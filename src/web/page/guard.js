"use strict";

/* For any browser: if clock.js fails, the page reloads every second, as it does without scripts, so
 * that no stopped clock is shown. */
function fallBack() {
	document.documentElement.removeAttribute("data-contact");
	setTimeout(function () { location.reload(); }, 1000);
}

addEventListener("error", fallBack);
addEventListener("unhandledrejection", fallBack);
