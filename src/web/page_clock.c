/* The clock page, and the same in plain text. The page goes by itself from here on: see
 * page/clock.js. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "web/http.h"
#include "web/query.h"
#include "web/template.h"

#define TEXT_SIZE 32

/* The state of the clock in the words of the page, which tells a leap second on its own day. */
static const char *name_state(const struct clock_state *state, time_t now)
{
	if (!clock_state_is_synchronised(state))
		return "unsynchronised";
	if (state->leap == CLOCK_LEAP_NONE || !leap_may_end_day(now))
		return "synchronised";
	return state->leap == CLOCK_LEAP_INSERT ? "insert" : "delete";
}

/* For programs and for people with no more than a terminal. */
static void write_text(struct page *page, const struct tm *now, const struct clock_state *state)
{
	char text[64];

	strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S UTC", now);
	evbuffer_add_printf(page->body, "%s%s\n", text,
			    clock_state_is_synchronised(state) ? "" : " (not synchronised)");
}

/* state is a word of the page. */
static void write_document(struct page *page, const struct tm *now, const char *state)
{
	char datetime[TEXT_SIZE], time[TEXT_SIZE], date[TEXT_SIZE], week[TEXT_SIZE];
	const struct replacement replacements[] = {
		{ .name = "language",
		  .text = query_choose_language(page_header(page, "Accept-Language")) ==
					  QUERY_CHINESE ?
				  "zh" :
				  "en" },
		{ .name = "state", .text = state },
		{ .name = "datetime", .text = datetime },
		{ .name = "time", .text = time },
		{ .name = "date", .text = date },
		{ .name = "week", .text = week },
		{ .name = "host", .text = page_host(page) },
	};

	strftime(datetime, sizeof(datetime), "%Y-%m-%dT%H:%M:%SZ", now);
	strftime(time, sizeof(time), "%H:%M:%S", now);
	strftime(date, sizeof(date), "%Y-%m-%d", now);
	strftime(week, sizeof(week), "%G-W%V-%u", now);
	template_write(page, &document_clock, replacements,
		       sizeof(replacements) / sizeof(replacements[0]));
}

void page_write_clock(struct page *page)
{
	time_t seconds = (time_t)(clock_realtime() / CLOCK_SECOND);
	struct clock_state state;
	struct tm now;

	clock_state_read(&page->site->stats->clock, clock_monotonic(), &state);
	if (!gmtime_r(&seconds, &now))
		page_fail(page, HTTP_INTERNAL, "No calendar has this year.");
	else if (strstr(page_header(page, "Accept"), "text/html"))
		write_document(page, &now, name_state(&state, seconds));
	else
		write_text(page, &now, &state);
}
