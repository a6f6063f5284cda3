/* The configuration: the directives of files and of the command line, checked. */
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

#define CONFIG_NO_PIDFILE   "none"
#define CONFIG_DEFAULT_FILE "/etc/timeserver/timeserver.conf"

/* An address to serve a protocol on. */
struct config_listen {
	const struct protocol *protocol;
	struct address address; /* with any_family: only the port counts */
	bool any_family;	/* all addresses of IPv4 and of IPv6: "*" */
};

/* Where the clock state comes from. */
enum clock_source {
	CLOCK_SOURCE_SYSTEM, /* the kernel */
	CLOCK_SOURCE_LOCAL,  /* nowhere: the system clock is taken as right */
	CLOCK_SOURCE_FOLLOW, /* an NTP server */
};

struct config_clock {
	enum clock_source source;
	uint8_t stratum; /* with local: 1 to 15 */
	char host[256];	 /* with follow: a name or an address */
	uint16_t port;	 /* with follow */
};

/* The protocols over UDP that have a rate limit. */
enum config_ratelimit_scope {
	CONFIG_RATELIMIT_DEFAULT, /* those with a loop guard: Daytime, Time */
	CONFIG_RATELIMIT_ALL,
	CONFIG_RATELIMIT_NONE,
};

struct config_ratelimit {
	enum config_ratelimit_scope scope;
	struct limiter_rate rate;

	/* Of NTP requests above the rate 1 in leak gets a reply, and of the others 1 in leak a KoD;
	 * 0: none does. */
	uint32_t leak;
};

struct config {
	const char *file;	       /* that was read, the source's; NULL: none */
	struct config_listen *listens; /* never empty after config_load */
	size_t listen_count;
	enum exit_status error_status; /* after an error; EXIT_NOT_STARTED: it may pass by itself */
	bool default_listen;	       /* no listen directive: listens is the built-in one */
	struct config_clock clock;
	struct access access;
	struct config_ratelimit ratelimit;
	unsigned ceiling;	/* replies a second of the protocols with a loop guard; 0: off */
	unsigned workers;	/* 1 to STATS_WORKERS; 0: one per core */
	unsigned busy_poll;	/* microseconds */
	bool http_show_clients; /* top clients on the status page */
	bool require_sync;	/* no Daytime and Time while the clock is not synchronised */
	struct user user;
	char pidfile[PATH_MAX]; /* "": none */
	int facility;		/* of syslog: LOG_DAEMON */
};

/* Where the configuration comes from; later sources override earlier ones. The strings stay the
 * caller's. */
struct config_source {
	const char *file;	    /* NULL: none */
	bool file_optional;	    /* a file that does not exist is no error */
	const char *const *options; /* directives from the command line */
	size_t option_count;
	const char *user;		 /* --user; NULL: not given */
	const char *pidfile;		 /* --pidfile; NULL: not given */
	const char *default_pidfile;	 /* of the user who started the program; NULL: none */
	const struct user *default_user; /* likewise; NULL: none */
	const char *running_as;		 /* the user of a daemon that reloads; NULL: not known */
	bool look_up;			 /* look up names to check them, which may take seconds */
};

/* A hash of file, options and user: sources with different files, options or users have
 * different hashes. */
uint64_t config_source_hash(const struct config_source *source);

/* Reads source into config; release it with config_free, also after errors. Writes each error to
 * errors as a line "FILE:LINE: DIRECTIVE: MESSAGE"; returns whether there was none. */
bool config_load(struct config *config, const struct config_source *source, FILE *errors);

/* Writes lines, such as config_load's errors, to the log with a priority of syslog(3). Only the
 * lines in the first size bytes are written, and then the number of the others. */
void config_log_lines(int priority, const char *lines, size_t size);

/* Writes them to standard error: as they are, or, if that is the journal, to the log. */
void config_print_errors(const char *errors);

/* Writes the configuration as a file that config_load reads back to the same configuration. */
void config_dump(const struct config *config, FILE *out);

/* Writes the address of a listen as in the configuration: "*:5050", "127.0.0.1:13", "[::1]:13". */
const char *config_listen_format(const struct config_listen *listen,
				 char text[static ADDRESS_TEXT_SIZE]);

/* Whether both have the same source of the clock state. */
bool config_clock_equal(const struct config_clock *a, const struct config_clock *b);

/* Whether requests of a protocol over UDP have a rate limit. */
static inline bool config_limits(const struct config *config, const struct protocol *protocol)
{
	return config->ratelimit.scope == CONFIG_RATELIMIT_ALL ||
	       (config->ratelimit.scope == CONFIG_RATELIMIT_DEFAULT && protocol->loop_guard);
}

void config_free(struct config *config);

#endif
