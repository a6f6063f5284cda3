/* The log: one line a record, to the system log or to standard error, and never in the way.
 *
 * syslog(3) would block as soon as syslogd stalls, so the records are written here, to the same
 * socket in the same form, without ever waiting. What cannot be delivered is counted, and the count
 * is told once records get through again. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

enum log_target {
	LOG_TO_SYSLOG,	 /* RFC 3164 records on /dev/log */
	LOG_TO_TERMINAL, /* standard error, "program: text" */
	LOG_TO_JOURNAL,	 /* standard error, "<priority>text", as sd-daemon(3) has it */
};

/* Says where records go from now on: program (kept, not copied) and, for syslog, a facility
 * (LOG_DAEMON and so on). Debug records are dropped unless debug is set. May be called again to
 * change any of it. */
void log_open(const char *program, enum log_target target, int facility, bool debug);

/* Changes the facility alone. */
void log_set_facility(int facility);

/* Closes the connection to syslogd. */
void log_close(void);

/* Writes a record of a priority (LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG). Control
 * bytes and bytes above 126 are escaped, so a record is always one line. Never blocks. Keeps
 * errno. */
void log_write(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a peer can bring about any number of times gets at most a record every ten seconds: one of
 * these, zero-initialised, for each such event. */
struct log_limit {
	int64_t next; /* seconds of the monotonic clock */
	unsigned suppressed;
};

/* As log_write, held to the limit; the next record says how many were left out. */
void log_limited(struct log_limit *limit, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
