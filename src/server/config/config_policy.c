/* The directives that say whose word is believed, and who is answered how often. */
#include <string.h>

#include "base/text.h"
#include "protocol/ntp_packet.h"
#include "server/config/config_parse.h"
#include "server/request/workers.h"

#define INTERVAL_MAX  3600 /* seconds */
#define HOST_LETTERS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%"
#define BURST_MAX     255
#define LEAK_MAX      65535
#define BUSY_POLL_MAX 1000000 /* microseconds */

const struct config_clock config_default_clock = { .stratum = 10 };

const struct config_ratelimit config_default_ratelimit = {
	.rate = { .interval = CLOCK_SECOND / 5, .burst = 10 },
	.leak = 4,
};

static void parse_stratum(struct config_parser *parser, const char *word)
{
	unsigned stratum;

	if (text_to_number(word, 1, 15, &stratum))
		parser->config->clock.stratum = (uint8_t)stratum;
	else
		config_error(parser, "stratum '%s': expected a number from 1 to 15", word);
}

static void parse_host(struct config_parser *parser, const char *word)
{
	struct config_clock *clock = &parser->config->clock;
	char text[sizeof(clock->host) + 8], *host, *port_text;
	unsigned port = NTP_PORT;

	if (strlen(word) >= sizeof(text) || !address_split(strcpy(text, word), &host, &port_text) ||
	    strlen(host) >= sizeof(clock->host) || host[strspn(host, HOST_LETTERS)] != '\0' ||
	    (port_text && !text_to_number(port_text, 1, 65535, &port))) {
		config_error(parser, "'%s': expected HOST[:PORT], with an IPv6 address in []",
			     word);
		return;
	}
	strcpy(clock->host, host);
	clock->port = (uint16_t)port;
}

void config_apply_clock(struct config_parser *parser, char **words, size_t count)
{
	struct config_clock *clock = &parser->config->clock;

	*clock = config_default_clock;
	if (strcmp(words[0], "system") == 0 && count == 1) {
		clock->source = CLOCK_SOURCE_SYSTEM;
	} else if (strcmp(words[0], "local") == 0 && count == 1) {
		clock->source = CLOCK_SOURCE_LOCAL;
	} else if (strcmp(words[0], "local") == 0 && count == 3 &&
		   strcmp(words[1], "stratum") == 0) {
		clock->source = CLOCK_SOURCE_LOCAL;
		parse_stratum(parser, words[2]);
	} else if (strcmp(words[0], "follow") == 0 && count == 2) {
		clock->source = CLOCK_SOURCE_FOLLOW;
		parse_host(parser, words[1]);
	} else {
		config_error(parser, "'%s': expected " CONFIG_EXPECTED_CLOCK, words[0]);
	}
}

bool config_clock_equal(const struct config_clock *a, const struct config_clock *b)
{
	return a->source == b->source && a->stratum == b->stratum && a->port == b->port &&
	       strcmp(a->host, b->host) == 0;
}

static void apply_access(struct config_parser *parser, const char *word, bool allow)
{
	struct access_prefix prefix;

	if (!access_prefix_parse(&prefix, word))
		config_error(parser,
			     "'%s': expected all, an address, or a prefix such as 192.0.2.0/24 or"
			     " 2001:db8::/32, with no bits set beyond its length",
			     word);
	else if (!access_add(&parser->config->access, &prefix, allow))
		config_error(parser, "out of memory");
}

void config_apply_allow(struct config_parser *parser, char **words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		apply_access(parser, words[i], true);
}

void config_apply_deny(struct config_parser *parser, char **words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		apply_access(parser, words[i], false);
}

/* A decimal number of seconds, to the millisecond: "8", "0.2". */
static bool parse_seconds(const char *word, int64_t *nanoseconds)
{
	char whole[16], fraction[4] = "000";
	const char *point = strchr(word, '.');
	size_t length = point ? (size_t)(point - word) : strlen(word);
	size_t digits = point ? strlen(point + 1) : 0;
	unsigned seconds, milliseconds;

	if (length == 0 || length >= sizeof(whole) || digits > 3 || (point && digits == 0))
		return false;
	memcpy(whole, word, length);
	whole[length] = '\0';
	memcpy(fraction, point ? point + 1 : "", digits);
	if (!text_to_number(whole, 0, INTERVAL_MAX, &seconds) ||
	    !text_to_number(fraction, 0, 999, &milliseconds))
		return false;
	*nanoseconds = seconds * CLOCK_SECOND + milliseconds * CLOCK_MILLISECOND;
	return *nanoseconds > 0 && *nanoseconds <= INTERVAL_MAX * CLOCK_SECOND;
}

static void apply_limit(struct config_parser *parser, const char *name, const char *value)
{
	struct config_ratelimit *limit = &parser->config->ratelimit;

	if (strcmp(name, "interval") == 0) {
		if (!parse_seconds(value, &limit->rate.interval))
			config_error(parser,
				     "interval '%s': expected seconds from 0.001 to %d, with three"
				     " decimals at most",
				     value, INTERVAL_MAX);
	} else if (strcmp(name, "burst") == 0) {
		if (!text_to_number(value, 1, BURST_MAX, &limit->rate.burst))
			config_error(parser, "burst '%s': expected a number from 1 to %d", value,
				     BURST_MAX);
	} else if (strcmp(name, "leak") == 0) {
		if (!text_to_number(value, 0, LEAK_MAX, &limit->leak))
			config_error(parser, "leak '%s': expected a number from 0 to %d", value,
				     LEAK_MAX);
	} else {
		config_error(parser, "'%s': expected interval, burst or leak", name);
	}
}

void config_apply_ratelimit(struct config_parser *parser, char **words, size_t count)
{
	struct config_ratelimit *limit = &parser->config->ratelimit;

	*limit = config_default_ratelimit;
	limit->off = count == 1 && strcmp(words[0], "off") == 0;
	limit->given = !limit->off;
	if (limit->off)
		return;
	if (count % 2 != 0) {
		config_error(parser, "expected " CONFIG_EXPECTED_RATELIMIT);
		return;
	}
	for (size_t i = 0; i < count; i += 2)
		apply_limit(parser, words[i], words[i + 1]);
}

void config_apply_workers(struct config_parser *parser, char **words, size_t count)
{
	(void)count;
	if (strcmp(words[0], "auto") == 0)
		parser->config->workers = 0;
	else if (!text_to_number(words[0], 1, WORKERS_MAX, &parser->config->workers))
		config_error(parser, "'%s': expected auto or a number from 1 to %d", words[0],
			     WORKERS_MAX);
}

void config_apply_busy_poll(struct config_parser *parser, char **words, size_t count)
{
	(void)count;
	if (!text_to_number(words[0], 0, BUSY_POLL_MAX, &parser->config->busy_poll))
		config_error(parser, "'%s': expected microseconds from 0 to %d", words[0],
			     BUSY_POLL_MAX);
}

void config_apply_require_sync(struct config_parser *parser, char **words, size_t count)
{
	(void)words;
	(void)count;
	parser->config->require_sync = true;
}

void config_apply_http_show_clients(struct config_parser *parser, char **words, size_t count)
{
	(void)words;
	(void)count;
	parser->config->http_show_clients = true;
}
