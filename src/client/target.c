#include "client/target.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"

#define PORT_MAX 65535

static bool report_problem(char problem[static TARGET_PROBLEM_SIZE], const char *reason)
{
	snprintf(problem, TARGET_PROBLEM_SIZE, "%s", reason);
	return false;
}

static bool report_unknown_scheme(char problem[static TARGET_PROBLEM_SIZE])
{
	size_t used = (size_t)snprintf(problem, TARGET_PROBLEM_SIZE, "unknown scheme: expected");

	for (size_t i = 0; i < query_scheme_count && used < TARGET_PROBLEM_SIZE; i++)
		used += (size_t)snprintf(problem + used, TARGET_PROBLEM_SIZE - used, "%s %s",
					 i > 0 ? "," : "", query_schemes[i].name);
	return false;
}

/* Checks the form only: a name needs no escaping afterwards, and colons or brackets require an IPv6
 * address. */
static bool is_valid_host(const char *host, bool bracketed)
{
	struct address address;

	for (const char *character = host; *character != '\0'; character++) {
		if (*character <= ' ' || *character > '~' || *character == '/')
			return false;
	}
	if (!bracketed && !strchr(host, ':'))
		return true;
	return address_parse(&address, host, 0) && address.any.sa_family == AF_INET6;
}

static void set_names(struct target *target)
{
	size_t length;

	address_join(target->name, sizeof(target->name), target->host, target->port);
	length = strlen(target->name);
	if (target->port == target->scheme->port)
		length = (size_t)(strrchr(target->name, ':') - target->name);
	snprintf(target->url, sizeof(target->url), "%s://%.*s", target->scheme->name, (int)length,
		 target->name);
}

/* Parses HOST[:PORT], which it changes. */
static bool parse_host_port(struct target *target, char *host_port,
			    char problem[static TARGET_PROBLEM_SIZE])
{
	bool bracketed = *host_port == '[';
	unsigned number = target->port;
	char *host, *port;

	if (!address_split(host_port, &host, &port))
		return report_problem(problem, "expected [SCHEME://]HOST[:PORT]");
	if (!is_valid_host(host, bracketed))
		return report_problem(problem,
				      "invalid host: expected a name, an IPv4 or an IPv6 address");
	if (port && !text_to_number(port, 1, PORT_MAX, &number))
		return report_problem(problem, "invalid port: expected a number from 1 to 65535");
	if (strlen(host) >= sizeof(target->host))
		return report_problem(problem, "invalid host: expected at most 253 characters");
	target->port = (uint16_t)number;
	memcpy(target->host, host, strlen(host) + 1);
	set_names(target);
	return true;
}

bool target_parse(struct target *target, const char *word, char problem[static TARGET_PROBLEM_SIZE])
{
	const char *mark = strstr(word, "://");
	char host_port[2 * TARGET_NAME_SIZE]; /* longer ones are wrong */

	*target = (struct target){ .scheme = &query_schemes[0], .port = TARGET_DEFAULT_PORT };
	if (mark) {
		target->scheme = query_find_scheme(word, (size_t)(mark - word));
		if (!target->scheme)
			return report_unknown_scheme(problem);
		target->port = target->scheme->port;
		word = mark + strlen("://");
	}
	if (strlen(word) >= sizeof(host_port))
		return report_problem(problem, "invalid host: expected at most 253 characters");
	memcpy(host_port, word, strlen(word) + 1);
	return parse_host_port(target, host_port, problem);
}
