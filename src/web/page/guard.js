"use strict";

/* In words that every browser understands. Where the clock's script fails, the page is what it is
 * without one: the server's, each second anew. A clock must not stand still and look right. */
function fallBack() {
	document.documentElement.removeAttribute("data-contact");
	setTimeout(function () { location.reload(); }, 1000);
}

addEventListener("error", fallBack);
addEventListener("unhandledrejection", fallBack);
