#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/config/config_parse.h"
#include "stats/web_role.h"

bool config_listen_collide(const struct config_listen *a, const struct config_listen *b)
{
	if (a->protocol->transport != b->protocol->transport ||
	    address_port(&a->address) != address_port(&b->address))
		return false;
	if (a->any_family || b->any_family)
		return true;
	return a->address.any.sa_family == b->address.any.sa_family &&
	       (address_is_any(&a->address) || address_is_any(&b->address) ||
		address_equal(&a->address, &b->address));
}

static unsigned socket_count(const struct config_listen *listen)
{
	return listen->any_family ? 2 : 1;
}

/* Those before line_start are of other lines. */
static void report_collision(struct config_parser *parser, const char *text, size_t index,
			     size_t line_start)
{
	const struct config_listen *other = &parser->config->listens[index];
	char other_text[ADDRESS_TEXT_SIZE];

	config_listen_format(other, other_text);
	if (index >= line_start)
		config_error(parser, "%s is already in this line, as %s", text, other_text);
	else
		config_error(parser, "%s is already used by listen %s %s at %s", text,
			     other->protocol->word, other_text, parser->listens[index]);
}

static void add_listen(struct config_parser *parser, const struct config_listen *listen,
		       size_t line_start)
{
	struct config *config = parser->config;
	char text[ADDRESS_TEXT_SIZE];
	const struct config_listen *other = config->listens;
	unsigned sockets = socket_count(listen); /* of the protocol */
	struct config_listen *grown;
	char **places;

	config_listen_format(listen, text);
	for (size_t i = 0; i < config->listen_count; i++, other++) {
		if (config_listen_collide(other, listen)) {
			report_collision(parser, text, i, line_start);
			return;
		}
		sockets += other->protocol == listen->protocol ? socket_count(other) : 0;
	}
	/* A protocol without a reply function is served by a process that is passed its sockets. */
	if (!listen->protocol->reply && sockets > WEB_ROLE_LISTENERS_MAX) {
		config_error(parser, "%s: too many addresses for %s (more than %d)", text,
			     listen->protocol->word, WEB_ROLE_LISTENERS_MAX);
		return;
	}
	places = reallocarray(parser->listens, config->listen_count + 1, sizeof(*places));
	parser->listens = places ? places : parser->listens;
	grown = reallocarray(config->listens, config->listen_count + 1, sizeof(*grown));
	config->listens = grown ? grown : config->listens;
	if (!places || !grown) {
		config_error(parser, "out of memory");
		return;
	}
	places[config->listen_count] = config_place(parser);
	if (places[config->listen_count])
		grown[config->listen_count++] = *listen;
}

/* ADDRESS, [ADDRESS:]PORT; port is the default. */
static bool parse_address(struct config_listen *listen, const char *word, unsigned port)
{
	char text[ADDRESS_TEXT_SIZE], *host = text, *port_text;
	bool port_only = text_to_number(word, 1, 65535, &port), brackets = word[0] == '[';

	if (!port_only && (strlen(word) >= sizeof(text) ||
			   !address_split(strcpy(text, word), &host, &port_text) ||
			   (port_text && !text_to_number(port_text, 1, 65535, &port))))
		return false;
	listen->any_family = port_only || (!brackets && strcmp(host, "*") == 0);
	if (listen->any_family) {
		listen->address = address_any(AF_INET, (uint16_t)port);
		return true;
	}
	return address_parse(&listen->address, host, (uint16_t)port) &&
	       (listen->address.any.sa_family == AF_INET6) == brackets;
}

/* Whether only the interface of a link-local address is missing, which may come later. */
static bool lacks_interface(const char *word, char name[static IF_NAMESIZE])
{
	const char *zone = strchr(word, '%');
	size_t length = zone ? strcspn(++zone, "]") : 0;
	char text[ADDRESS_TEXT_SIZE];
	struct config_listen ignored;

	if (length == 0 || length >= IF_NAMESIZE)
		return false;
	snprintf(name, IF_NAMESIZE, "%.*s", (int)length, zone);
	snprintf(text, sizeof(text), "%.*s%s", (int)(zone - 1 - word), word, zone + length);
	return !strchr(name, ':') && if_nametoindex(name) == 0 && parse_address(&ignored, text, 1);
}

static void list_protocols(char *list, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < PROTOCOL_COUNT && used < size; i++)
		used += (size_t)snprintf(list + used, size - used, "%s%s", i > 0 ? ", " : "",
					 protocol_table[i].word);
}

/* Returns why no socket can be bound to address, or NULL. */
static const char *check_address(const struct address *address)
{
	if (address_is_group(address))
		return "expected the address of one host, not a broadcast or multicast address";
	if (address_lacks_zone(address))
		return CONFIG_LACKS_ZONE;
	return NULL;
}

/* Adds a listener for word, an address of listen->protocol; NULL: only checks the address. */
static void parse_word(struct config_parser *parser, struct config_listen *listen, const char *word,
		       size_t line_start)
{
	char interface[IF_NAMESIZE];
	struct address unbracketed;
	const char *problem;

	if (parse_address(listen, word, listen->protocol ? listen->protocol->port : 0)) {
		problem = check_address(&listen->address);
		if (problem)
			config_error(parser, "'%s': %s", word, problem);
		else if (listen->protocol)
			add_listen(parser, listen, line_start);
	} else if (address_parse(&unbracketed, word, 0)) {
		config_error(parser, "'%s': an IPv6 address needs brackets: [IPv6] or [IPv6]:PORT",
			     word);
	} else if (lacks_interface(word, interface)) {
		config_error(parser, "%s: this machine does not have interface %s (yet)", word,
			     interface);
		parser->passing_count++;
	} else {
		config_error(parser,
			     "'%s': expected ADDRESS or [ADDRESS:]PORT, with ADDRESS an IPv4 or"
			     " [IPv6] address or *, and PORT from 1 to 65535",
			     word);
	}
}

bool config_listen_parse(struct config_parser *parser, const char **words)
{
	struct config_listen listen = { .protocol = protocol_find(words[0]) };
	size_t line_start = parser->config->listen_count;
	char known[256];

	if (!listen.protocol) {
		list_protocols(known, sizeof(known));
		config_error(parser, "unknown protocol '%s': expected one of: %s", words[0], known);
	}
	while (*++words)
		parse_word(parser, &listen, *words, line_start);
	return true;
}

const char *config_listen_format(const struct config_listen *listen,
				 char text[static ADDRESS_TEXT_SIZE])
{
	if (!listen->any_family)
		return address_format(&listen->address, text);
	snprintf(text, ADDRESS_TEXT_SIZE, "*:%u", address_port(&listen->address));
	return text;
}

void config_listen_dump(const struct config *config, FILE *out)
{
	char address[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < config->listen_count; i++)
		fprintf(out, "listen %s %s\n", config->listens[i].protocol->word,
			config_listen_format(&config->listens[i], address));
}
