/* Small charts of the last hour, as SVG within HTML. */
#ifndef WEB_CHART_H
#define WEB_CHART_H

#include <event2/buffer.h>

#include "stats/history.h"

/* A line of so many values, one for each interval, the latest at the right end; the highest is
 * what is told beside the name. Requests a second. */
void chart_write_line(struct evbuffer *body, const char *name, const uint32_t *values,
		      unsigned count);

/* A strip that tells when the clock could be trusted. */
void chart_write_clock(struct evbuffer *body, const struct history_sample *samples, unsigned count);

#endif
