/* The directives allow, deny and ratelimit: allow, deny and ratelimit. */
#include <string.h>

#include "base/text.h"
#include "server/config/config_parse.h"

#define INTERVAL_MAX 3600 /* seconds */
#define BURST_MAX    255
#define LEAK_MAX     65535

const struct config_ratelimit config_ratelimit_default = {
	.rate = { .interval = CLOCK_SECOND / 5, .burst = 10 },
	.leak = 4,
};

bool config_access_parse(struct config_parser *parser, const char **words)
{
	bool allow = strcmp(parser->row->name, "allow") == 0;
	struct access_prefix prefix;

	for (; *words; words++) {
		if (!access_prefix_parse(&prefix, *words))
			config_error(parser,
				     "'%s': expected all, an address, or a prefix such as"
				     " 192.0.2.0/24 or 2001:db8::/32, with no bits set beyond its"
				     " length",
				     *words);
		else if (!access_add(&parser->config->access, &prefix, allow))
			config_error(parser, "out of memory");
	}
	return true;
}

/* Both allow and deny, since their order counts. */
void config_access_dump(const struct config *config, FILE *out)
{
	const struct access *access = &config->access;
	char prefix[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < access->rule_count; i++)
		fprintf(out, "%s %s\n", access->rules[i].allow ? "allow" : "deny",
			access_prefix_format(&access->rules[i].prefix, prefix));
}

/* Reads seconds with up to three decimals: "8", "0.2". */
static bool parse_seconds(const char *word, int64_t *nanoseconds)
{
	int whole = (int)strcspn(word, ".");
	const char *decimals = word[whole] == '.' ? word + whole + 1 : "0";
	size_t count = strlen(decimals);
	unsigned milliseconds;
	char digits[16];

	if (whole == 0 || count == 0 || count > 3 ||
	    snprintf(digits, sizeof(digits), "%.*s%s%s", whole, word, decimals, &"000"[count]) >=
		    (int)sizeof(digits) ||
	    !text_to_number(digits, 1, INTERVAL_MAX * 1000, &milliseconds))
		return false;
	*nanoseconds = milliseconds * CLOCK_MILLISECOND;
	return true;
}

static void parse_limit(struct config_parser *parser, const char *name, const char *value)
{
	struct config_ratelimit *limit = &parser->config->ratelimit;

	if (strcmp(name, "burst") == 0)
		config_parse_number(parser, name, value, 1, BURST_MAX, &limit->rate.burst);
	else if (strcmp(name, "leak") == 0)
		config_parse_number(parser, name, value, 0, LEAK_MAX, &limit->leak);
	else if (strcmp(name, "interval") != 0)
		config_error(parser, "'%s': expected interval, burst or leak", name);
	else if (!parse_seconds(value, &limit->rate.interval))
		config_error(parser,
			     "interval '%s': expected seconds from 0.001 to %d, with up to three"
			     " decimals",
			     value, INTERVAL_MAX);
}

bool config_ratelimit_parse(struct config_parser *parser, const char **words)
{
	struct config_ratelimit *limit = &parser->config->ratelimit;

	*limit = config_ratelimit_default;
	limit->scope = CONFIG_RATELIMIT_ALL;
	if (words[0] && !words[1] && strcmp(words[0], "off") == 0) {
		limit->scope = CONFIG_RATELIMIT_NONE;
		return true;
	}
	for (; words[0]; words += 2) {
		if (!words[1]) {
			config_error(parser, "expected %s", parser->row->expected);
			break;
		}
		parse_limit(parser, words[0], words[1]);
	}
	return true;
}

void config_ratelimit_dump(const struct config *config, FILE *out)
{
	const struct config_ratelimit *limit = &config->ratelimit;
	int64_t milliseconds = limit->rate.interval / CLOCK_MILLISECOND;

	if (limit->scope == CONFIG_RATELIMIT_NONE)
		fputs("ratelimit off\n", out);
	if (limit->scope == CONFIG_RATELIMIT_ALL)
		fprintf(out, "ratelimit interval %d.%03d burst %u leak %u\n",
			(int)(milliseconds / 1000), (int)(milliseconds % 1000), limit->rate.burst,
			limit->leak);
}
