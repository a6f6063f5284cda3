#include "server/config/config.h"

#include <string.h>

const char *config_listen_format(const struct config_listen *listen,
				 char text[static ADDRESS_TEXT_SIZE])
{
	if (!listen->any_family)
		return address_format(&listen->address, text);
	snprintf(text, ADDRESS_TEXT_SIZE, "*:%u", address_port(&listen->address));
	return text;
}

static void dump_clock(const struct config_clock *clock, FILE *out)
{
	bool is_ip6 = strchr(clock->host, ':') != NULL;

	switch (clock->source) {
	case CLOCK_SOURCE_SYSTEM:
		fputs("clock system\n", out);
		break;
	case CLOCK_SOURCE_LOCAL:
		fprintf(out, "clock local stratum %u\n", clock->stratum);
		break;
	case CLOCK_SOURCE_FOLLOW:
		fprintf(out, "clock follow %s%s%s:%u\n", is_ip6 ? "[" : "", clock->host,
			is_ip6 ? "]" : "", clock->port);
		break;
	}
}

static void dump_access(const struct access *access, FILE *out)
{
	char prefix[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < access->rule_count; i++)
		fprintf(out, "%s %s\n", access->rules[i].allow ? "allow" : "deny",
			access_prefix_format(&access->rules[i].prefix, prefix));
}

static void dump_ratelimit(const struct config_ratelimit *limit, FILE *out)
{
	int64_t milliseconds = limit->rate.interval / CLOCK_MILLISECOND;

	if (limit->off)
		fputs("ratelimit off\n", out);
	if (limit->given)
		fprintf(out, "ratelimit interval %d.%03d burst %u leak %u\n",
			(int)(milliseconds / 1000), (int)(milliseconds % 1000), limit->rate.burst,
			limit->leak);
}

void config_dump(const struct config *config, FILE *out)
{
	char address[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < config->listen_count; i++)
		fprintf(out, "listen %s %s\n", config->listens[i].protocol->word,
			config_listen_format(&config->listens[i], address));
	dump_clock(&config->clock, out);
	if (config->require_sync)
		fputs("require-sync\n", out);
	if (config->http_show_clients)
		fputs("http-show-clients\n", out);
	dump_access(&config->access, out);
	dump_ratelimit(&config->ratelimit, out);
	if (config->workers > 0)
		fprintf(out, "workers %u\n", config->workers);
	else
		fputs("workers auto\n", out);
	fprintf(out, "busy-poll %u\n", config->busy_poll);
	if (config->user.name[0] != '\0')
		fprintf(out, "user %s\n", config->user.name);
	fprintf(out, "pidfile %s\n", config->pidfile);
	fprintf(out, "syslog %s\n", config->facility_name);
}
