#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "protocol/ntp_packet.h"
#include "server/config/config_parse.h"

#define STRATUM_DEFAULT 10
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%"

static void parse_host(struct config_parser *parser, const char *word)
{
	struct config_clock *clock = &parser->config->clock;
	char text[sizeof(clock->host) + 8], *host, *port_text;
	struct address address;
	unsigned port = NTP_PORT;

	if (strlen(word) >= sizeof(text) || !address_split(strcpy(text, word), &host, &port_text) ||
	    strlen(host) >= sizeof(clock->host) || host[strspn(host, HOST_CHARACTERS)] != '\0' ||
	    (port_text && !text_to_number(port_text, 1, 65535, &port))) {
		config_error(parser, "'%s': expected HOST[:PORT], with an IPv6 address in []",
			     word);
		return;
	}
	if (address_parse(&address, host, 0) && address_lacks_zone(&address))
		config_error(parser, "'%s': %s", word, CONFIG_LACKS_ZONE);
	strcpy(clock->host, host);
	clock->port = (uint16_t)port;
}

bool config_clock_parse(struct config_parser *parser, const char **words)
{
	struct config_clock *clock = &parser->config->clock;
	unsigned stratum = STRATUM_DEFAULT;

	*clock = (struct config_clock){ .source = CLOCK_SOURCE_SYSTEM };
	snprintf(parser->clock_file, sizeof(parser->clock_file), "%s", parser->file);
	parser->clock_line = parser->line;
	if (strcmp(words[0], "follow") == 0 && words[1] && !words[2]) {
		clock->source = CLOCK_SOURCE_FOLLOW;
		parse_host(parser, words[1]);
		return true;
	}
	if (strcmp(words[0], "local") != 0)
		return strcmp(words[0], "system") == 0 && !words[1];
	if (words[1] && (strcmp(words[1], "stratum") != 0 || !words[2]))
		return false;
	if (words[1])
		config_parse_number(parser, words[1], words[2], 1, 15, &stratum);
	clock->source = CLOCK_SOURCE_LOCAL;
	clock->stratum = (uint8_t)stratum;
	return true;
}

/* The listener that a request to this server would come to; NULL: none, or that of another host. */
static const struct config_listen *find_listener(const struct config *config,
						 const struct address *server)
{
	struct config_listen wanted = { .protocol = protocol_find("ntp"), .address = *server };

	for (size_t i = 0; i < config->listen_count; i++) {
		const struct config_listen *listen = &config->listens[i];

		if (listen->protocol == wanted.protocol && config_listen_collide(listen, &wanted) &&
		    address_is_own(server))
			return listen;
	}
	return NULL;
}

/* The same for each address of a name. */
static const struct config_listen *look_up_listener(const struct config *config)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	const struct config_listen *listener = NULL;
	struct addrinfo *found = NULL;
	struct address address;
	char port[8];

	snprintf(port, sizeof(port), "%u", config->clock.port);
	if (getaddrinfo(config->clock.host, port, &hints, &found) != 0)
		return NULL;
	for (struct addrinfo *one = found; one && !listener; one = one->ai_next) {
		address = (struct address){ 0 };
		memcpy(&address, one->ai_addr, one->ai_addrlen);
		listener = find_listener(config, &address);
	}
	freeaddrinfo(found);
	return listener;
}

void config_clock_check(struct config_parser *parser, bool look_up)
{
	const struct config_clock *clock = &parser->config->clock;
	char text[ADDRESS_TEXT_SIZE], server[sizeof(clock->host) + sizeof("[]:65535")];
	const struct config_listen *own = NULL;
	struct address address;

	if (clock->source != CLOCK_SOURCE_FOLLOW)
		return;
	if (address_parse(&address, clock->host, clock->port))
		own = find_listener(parser->config, &address);
	else if (look_up)
		own = look_up_listener(parser->config);
	if (!own)
		return;
	parser->file = parser->clock_file;
	parser->line = parser->clock_line;
	parser->directive = "clock";
	config_error(parser, "%s is this daemon itself, by listen ntp %s: expected another server",
		     address_join(server, sizeof(server), clock->host, clock->port),
		     config_listen_format(own, text));
	parser->directive = NULL;
}

void config_clock_dump(const struct config *config, FILE *out)
{
	const struct config_clock *clock = &config->clock;
	char server[sizeof(clock->host) + sizeof("[]:65535")];

	switch (clock->source) {
	case CLOCK_SOURCE_SYSTEM:
		fputs("clock system\n", out);
		break;
	case CLOCK_SOURCE_LOCAL:
		fprintf(out, "clock local stratum %u\n", clock->stratum);
		break;
	case CLOCK_SOURCE_FOLLOW:
		fprintf(out, "clock follow %s\n",
			address_join(server, sizeof(server), clock->host, clock->port));
		break;
	}
}

bool config_clock_equal(const struct config_clock *a, const struct config_clock *b)
{
	return a->source == b->source && a->stratum == b->stratum && a->port == b->port &&
	       strcmp(a->host, b->host) == 0;
}
