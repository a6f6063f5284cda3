#include "web/chart.h"

#define WIDTH  HISTORY_SAMPLES
#define HEIGHT 48

#define SAMPLE_SECONDS ((unsigned)(HISTORY_INTERVAL / CLOCK_SECOND))

static double a_second(uint32_t value)
{
	return (double)value * CLOCK_SECOND / HISTORY_INTERVAL;
}

/* Where the value number i of count is. */
static unsigned column(unsigned i, unsigned count)
{
	return WIDTH - count + i;
}

void chart_write_line(struct evbuffer *body, const char *name, const uint32_t *values,
		      unsigned count)
{
	uint32_t most = 0, last = count > 0 ? values[count - 1] : 0;

	for (unsigned i = 0; i < count; i++)
		most = values[i] > most ? values[i] : most;
	evbuffer_add_printf(body,
			    "<figure><figcaption><span>%s</span><span>now %.1f, most %.1f"
			    "</span></figcaption>\n"
			    "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\""
			    " aria-hidden=\"true\"><path d=\"",
			    name, a_second(last), a_second(most), WIDTH, HEIGHT);
	for (unsigned i = 0; i < count; i++)
		evbuffer_add_printf(body, "%c%u %.1f", i == 0 ? 'M' : 'L', column(i, count),
				    (HEIGHT - 1) * (1 - (double)values[i] / (most > 0 ? most : 1)) +
					    0.5);
	evbuffer_add_printf(body, "\"/></svg></figure>\n");
}

/* A rectangle for each run of samples that are alike. */
void chart_write_clock(struct evbuffer *body, const struct history_sample *samples, unsigned count)
{
	unsigned first = 0, good = 0;

	for (unsigned i = 0; i < count; i++)
		good += samples[i].clock == HISTORY_SYNCHRONISED;
	evbuffer_add_printf(body,
			    "<figure><figcaption><span>synchronised</span><span>%u of the last %u s"
			    "</span></figcaption>\n<svg class=\"strip\" viewBox=\"0 0 %d 1\""
			    " preserveAspectRatio=\"none\" aria-hidden=\"true\">",
			    good * SAMPLE_SECONDS, count * SAMPLE_SECONDS, WIDTH);
	for (unsigned i = 1; i <= count; i++) {
		if (i < count && samples[i].clock == samples[first].clock)
			continue;
		evbuffer_add_printf(body, "<path class=\"%s\" d=\"M%u 0H%uV1H%uZ\"/>",
				    samples[first].clock == HISTORY_SYNCHRONISED ? "yes" : "no",
				    column(first, count), column(i, count), column(first, count));
		first = i;
	}
	evbuffer_add_printf(body, "</svg></figure>\n");
}
