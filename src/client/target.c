#include "client/target.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"

#define PORT_MAX       65535
#define HOST_PORT_SIZE (2 * TARGET_NAME_SIZE) /* longer ones are wrong */

__attribute__((format(printf, 2, 3))) static bool report_problem(
	char problem[static TARGET_PROBLEM_SIZE], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem, TARGET_PROBLEM_SIZE, format, arguments);
	va_end(arguments);
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

#define HOST_EXPECTED "invalid host: expected a name, an IPv4 or an IPv6 address"

static bool check_ip6(const char *host, char problem[static TARGET_PROBLEM_SIZE])
{
	const char *zone = strchr(host, '%');
	char literal[HOST_PORT_SIZE];
	struct address address;

	snprintf(literal, sizeof(literal), "%.*s", (int)strcspn(host, "%"), host);
	if (!address_parse(&address, literal, 0) || address.any.sa_family != AF_INET6)
		return report_problem(problem, HOST_EXPECTED);
	if (zone && !address_lacks_zone(&address))
		return report_problem(problem,
				      "invalid host: only a link-local address has a zone");
	if (zone ? zone[1] == '\0' : address_lacks_zone(&address))
		return report_problem(problem, "link-local address without a zone: expected the"
					       " interface after it, such as fe80::1%%eth0");
	if (zone && strchr(zone, ':'))
		return report_problem(problem, "an IPv6 address needs brackets before a port, such"
					       " as [fe80::1%%eth0]:13");
	return address_parse(&address, host, 0) ||
	       report_problem(problem, "no interface %s", zone + 1);
}

/* Checks the form only: a name needs no escaping afterwards, and colons or brackets require an IPv6
 * address. */
static bool check_host(const char *host, bool bracketed, char problem[static TARGET_PROBLEM_SIZE])
{
	for (const char *character = host; *character != '\0'; character++) {
		if (*character <= ' ' || *character > '~' || *character == '/')
			return report_problem(problem, HOST_EXPECTED);
	}
	return !(bracketed || strchr(host, ':')) || check_ip6(host, problem);
}

/* A URL has the path "/" at most. In it a zone follows "%25" (RFC 6874), or "%" as elsewhere. */
static void decode_url(char *host_port)
{
	size_t length = strlen(host_port);
	char *zone = *host_port == '[' ? strstr(host_port, "%25") : NULL;

	if (length > 0 && host_port[length - 1] == '/')
		host_port[length - 1] = '\0';
	if (zone && zone[3] != ']')
		memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
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
	if (!check_host(host, bracketed, problem))
		return false;
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
	char host_port[HOST_PORT_SIZE];

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
	if (mark)
		decode_url(host_port);
	return parse_host_port(target, host_port, problem);
}
