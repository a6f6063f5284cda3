/* The directives: a row each, and a function that takes the words behind it. */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/text.h"
#include "server/config/config_parse.h"
#include "stats/role.h"

static const struct {
	const char *name;
	int facility;
} facilities[] = {
	{ "auth", LOG_AUTH },	  { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON },
	{ "daemon", LOG_DAEMON }, { "ftp", LOG_FTP },		{ "local0", LOG_LOCAL0 },
	{ "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },	{ "local3", LOG_LOCAL3 },
	{ "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },	{ "local6", LOG_LOCAL6 },
	{ "local7", LOG_LOCAL7 }, { "lpr", LOG_LPR },		{ "mail", LOG_MAIL },
	{ "news", LOG_NEWS },	  { "syslog", LOG_SYSLOG },	{ "user", LOG_USER },
	{ "uucp", LOG_UUCP },
};

/* Whether two sockets could not both be opened. */
static bool listens_collide(const struct config_listen *a, const struct config_listen *b)
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

/* The web process is told its sockets, and has room for so many. */
static bool has_room(const struct config *config, const struct config_listen *listen)
{
	unsigned count = 0;

	if (listen->protocol->reply)
		return true;
	for (size_t i = 0; i < config->listen_count; i++) {
		if (config->listens[i].protocol == listen->protocol)
			count += config->listens[i].any_family ? 2 : 1;
	}
	return count + (listen->any_family ? 2 : 1) <= ROLE_LISTENERS_MAX;
}

static void add_listen(struct config_parser *parser, const struct config_listen *listen)
{
	struct config *config = parser->config;
	char text[ADDRESS_TEXT_SIZE], other[ADDRESS_TEXT_SIZE];
	struct config_listen *grown;

	for (size_t i = 0; i < config->listen_count; i++) {
		if (listens_collide(&config->listens[i], listen)) {
			config_error(parser, "%s is taken by an earlier listen, %s",
				     config_listen_format(listen, text),
				     config_listen_format(&config->listens[i], other));
			return;
		}
	}
	if (!has_room(config, listen)) {
		config_error(parser, "%s is more than the %d addresses of %s that there can be",
			     config_listen_format(listen, text), ROLE_LISTENERS_MAX,
			     listen->protocol->word);
		return;
	}
	grown = reallocarray(config->listens, config->listen_count + 1, sizeof(*grown));
	if (!grown) {
		config_error(parser, "out of memory");
		return;
	}
	grown[config->listen_count++] = *listen;
	config->listens = grown;
}

/* [ADDRESS:]PORT, where PORT may stand alone. */
static bool parse_listen_address(struct config_listen *listen, const char *word)
{
	char text[ADDRESS_TEXT_SIZE], *host, *port_text;
	unsigned port;

	if (strlen(word) >= sizeof(text))
		return false;
	listen->any_family = true;
	if (text_to_number(word, 1, 65535, &port)) {
		listen->address = address_any(AF_INET, (uint16_t)port);
		return true;
	}
	strcpy(text, word);
	if (!address_split(text, &host, &port_text) || !port_text ||
	    !text_to_number(port_text, 1, 65535, &port))
		return false;
	if (word[0] != '[' && strcmp(host, "*") == 0) {
		listen->address = address_any(AF_INET, (uint16_t)port);
		return true;
	}
	listen->any_family = false;
	return address_parse(&listen->address, host, (uint16_t)port) &&
	       (listen->address.any.sa_family == AF_INET6) == (word[0] == '[');
}

static void list_protocols(char *list, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < PROTOCOL_COUNT && used < size; i++)
		used += (size_t)snprintf(list + used, size - used, "%s%s", i > 0 ? ", " : "",
					 protocol_table[i].word);
}

static void apply_listen(struct config_parser *parser, char **words, size_t count)
{
	struct config_listen listen = { .protocol = protocol_find(words[0]) };
	char known[256];

	if (!listen.protocol) {
		list_protocols(known, sizeof(known));
		config_error(parser, "unknown protocol '%s': expected one of: %s", words[0], known);
	}
	for (size_t i = 1; i < count; i++) {
		if (!parse_listen_address(&listen, words[i]))
			config_error(parser,
				     "'%s': expected [ADDRESS:]PORT, with ADDRESS an IPv4 or [IPv6]"
				     " address or *, and PORT from 1 to 65535",
				     words[i]);
		else if (listen.protocol)
			add_listen(parser, &listen);
	}
}

static void apply_user(struct config_parser *parser, char **words, size_t count)
{
	(void)count;
	if (!user_find(&parser->config->user, words[0]))
		config_error(parser, "unknown user '%s'", words[0]);
}

static void apply_pidfile(struct config_parser *parser, char **words, size_t count)
{
	char *path = parser->config->pidfile;

	(void)count;
	/* A daemon's directory is "/", so a relative path would not mean what it seems to. */
	if (words[0][0] != '/' || strlen(words[0]) >= PATH_MAX)
		config_error(parser, "'%s': expected an absolute path", words[0]);
	else
		strcpy(path, words[0]);
}

static void apply_syslog(struct config_parser *parser, char **words, size_t count)
{
	(void)count;
	for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
		if (strcmp(words[0], facilities[i].name) == 0) {
			parser->config->facility_name = facilities[i].name;
			parser->config->facility = facilities[i].facility;
			return;
		}
	}
	config_error(parser, "'%s': expected a facility: daemon, user, local0 to local7, ...",
		     words[0]);
}

/* In a file, a relative path starts from that file; on the command line there is nothing that would
 * still be there when the daemon reads it again. */
static bool has_start(struct config_parser *parser, const char *path)
{
	if (path[0] == '/' || parser->depth > 0)
		return true;
	config_error(parser, "'%s': expected an absolute path", path);
	return false;
}

static void apply_include(struct config_parser *parser, char **words, size_t count)
{
	(void)count;
	if (has_start(parser, words[0]))
		config_read_file(parser, words[0]);
}

static void apply_confdir(struct config_parser *parser, char **words, size_t count)
{
	(void)count;
	if (has_start(parser, words[0]))
		config_read_directory(parser, words[0]);
}

const struct config_directive config_directives[] = {
	{ "listen", 2, CONFIG_WORDS_MAX, false, "PROTOCOL and one [ADDRESS:]PORT or more",
	  apply_listen },
	{ "clock", 1, 3, true, CONFIG_EXPECTED_CLOCK, config_apply_clock },
	{ "require-sync", 0, 0, true, "nothing more", config_apply_require_sync },
	{ "http-show-clients", 0, 0, true, "nothing more", config_apply_http_show_clients },
	{ "allow", 1, CONFIG_WORDS_MAX, false, "all, or prefixes", config_apply_allow },
	{ "deny", 1, CONFIG_WORDS_MAX, false, "all, or prefixes", config_apply_deny },
	{ "ratelimit", 0, 6, true, CONFIG_EXPECTED_RATELIMIT, config_apply_ratelimit },
	{ "workers", 1, 1, true, "auto or a number", config_apply_workers },
	{ "busy-poll", 1, 1, true, "a number of microseconds", config_apply_busy_poll },
	{ "user", 1, 1, true, "the name of a user", apply_user },
	{ "pidfile", 1, 1, true, "an absolute path", apply_pidfile },
	{ "syslog", 1, 1, true, "the name of a facility", apply_syslog },
	{ "include", 1, 1, false, "the path of a file", apply_include },
	{ "confdir", 1, 1, false, "the path of a directory", apply_confdir },
};

const size_t config_directive_count = sizeof(config_directives) / sizeof(config_directives[0]);
