/* The configuration: what the operator wrote, checked, with every error told at once. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/access.h"
#include "base/address.h"
#include "base/limiter.h"
#include "protocol/protocol.h"
#include "server/process/user.h"

#define CONFIG_DEFAULT_FILE "/etc/timeserver/timeserver.conf"

/* A socket to open. */
struct config_listen {
	const struct protocol *protocol;
	struct address address; /* with any_family: only the port counts */
	bool any_family;	/* all addresses of IPv4 and of IPv6: "*" */
};

/* Whose word the state of the clock rests on. */
enum clock_source {
	CLOCK_SOURCE_SYSTEM, /* the kernel's */
	CLOCK_SOURCE_LOCAL,  /* nobody's: it is taken as right */
	CLOCK_SOURCE_FOLLOW, /* an NTP server's */
};

struct config_clock {
	enum clock_source source;
	uint8_t stratum; /* of a local clock, 1 to 15 */
	char host[256];	 /* to follow: a name or an address */
	uint16_t port;	 /* and its port */
};

/* One rate for all datagrams that are limited. */
struct config_ratelimit {
	bool given; /* there is such a line, and it is not "off": NTP is limited too */
	bool off;
	struct limiter_rate rate;
	uint32_t leak; /* of NTP requests above the rate one in so many is answered; 0: none */
};

struct config {
	struct config_listen *listens; /* never empty after config_load */
	size_t listen_count;
	bool listens_are_default; /* no listen line was given */
	struct config_clock clock;
	struct access access;
	struct config_ratelimit ratelimit;
	unsigned workers;	/* 0: one a core */
	unsigned busy_poll;	/* microseconds */
	bool http_show_clients; /* on the status page */
	bool require_sync; /* Daytime and Time are silent while the clock is not synchronised */
	struct user user;
	char pidfile[PATH_MAX];
	const char *facility_name; /* "daemon" */
	int facility;		   /* LOG_DAEMON */
};

/* Where the configuration comes from, in this order. Strings stay the caller's. */
struct config_source {
	const char *file;	    /* NULL: none is read */
	bool file_may_lack;	    /* no such file is no error then */
	const char *const *options; /* lines given on the command line */
	size_t option_count;
	const char *user;    /* --user; NULL: not given */
	const char *pidfile; /* --pidfile; NULL: not given */
};

/* Reads source into config, which config_free later releases, also after errors. Each error is
 * written to errors as a line "FILE:LINE: DIRECTIVE: what was expected"; returns whether there was
 * none. */
bool config_load(struct config *config, const struct config_source *source, FILE *errors);

/* Writes the configuration in effect as a file that config_load reads back to the same. */
void config_dump(const struct config *config, FILE *out);

/* Writes a listen's address as in the configuration: "*:5050", "127.0.0.1:13", "[::1]:13". */
const char *config_listen_format(const struct config_listen *listen,
				 char text[static ADDRESS_TEXT_SIZE]);

/* Whether two configurations rest on the same word. */
bool config_clock_equal(const struct config_clock *a, const struct config_clock *b);

/* Whether it is limited how often a network may ask by a protocol over UDP. */
static inline bool config_limits(const struct config *config, const struct protocol *protocol)
{
	return config->ratelimit.given || (protocol->loop_guard && !config->ratelimit.off);
}

void config_free(struct config *config);

#endif
