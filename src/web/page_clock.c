/* The clock page, and the same in plain text. In the browser, page/clock.js keeps it running. */
#include <string.h>
#include <time.h>

#include "web/http.h"
#include "web/page.h"
#include "web/query.h"
#include "web/template.h"

#define TEXT_SIZE 32

/* The value of data-state in page/clock.html. A leap second is shown on its day only. */
static const char *name_state(const struct clock_state *state, time_t now)
{
	if (!clock_state_is_synchronised(state))
		return "unsynchronised";
	if (state->leap == CLOCK_LEAP_NONE || !leap_may_end_day(now))
		return "synchronised";
	return state->leap == CLOCK_LEAP_INSERT ? "insert" : "delete";
}

static void write_text(struct http_response *response, const struct tm *now,
		       const struct clock_state *state)
{
	char text[64];

	strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S UTC", now);
	evbuffer_add_printf(response->body, "%s%s\n", text,
			    clock_state_is_synchronised(state) ? "" : " (not synchronised)");
}

static void write_document(struct http_response *response, const struct tm *now, const char *state)
{
	char datetime[TEXT_SIZE], time[TEXT_SIZE], date[TEXT_SIZE], week[TEXT_SIZE];
	const struct template_value values[] = {
		{ .name = "language",
		  .text = query_choose_language(http_header(response, "Accept-Language")) ==
					  QUERY_CHINESE ?
				  "zh" :
				  "en" },
		{ .name = "state", .text = state },
		{ .name = "datetime", .text = datetime },
		{ .name = "time", .text = time },
		{ .name = "date", .text = date },
		{ .name = "week", .text = week },
		{ .name = "host", .text = http_host(response) },
	};

	strftime(datetime, sizeof(datetime), "%Y-%m-%dT%H:%M:%SZ", now);
	strftime(time, sizeof(time), "%H:%M:%S", now);
	strftime(date, sizeof(date), "%Y-%m-%d", now);
	strftime(week, sizeof(week), "%G-W%V-%u", now);
	template_write(response, &template_clock, values, sizeof(values) / sizeof(values[0]));
}

void page_clock_write(struct http_response *response)
{
	time_t seconds = (time_t)(clock_realtime() / CLOCK_SECOND);
	struct clock_state state;
	struct tm now;

	clock_state_read(&response->server->stats->clock, clock_monotonic(), &state);
	if (!gmtime_r(&seconds, &now))
		http_fail(response, HTTP_INTERNAL, "The year of the clock is out of range.");
	else if (strstr(http_header(response, "Accept"), "text/html"))
		write_document(response, &now, name_state(&state, seconds));
	else
		write_text(response, &now, &state);
}
