/* The log: one line a record, to the system log or to standard error.
 *
 * syslog(3) blocks when syslogd stalls, so records are written here, to the same socket in the same
 * format, without blocking. Records that cannot be delivered are counted, and the count is logged
 * once records get through again. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

enum log_target {
	LOG_TO_SYSLOG,	 /* RFC 3164 records on /dev/log, datagrams or a stream */
	LOG_TO_TERMINAL, /* standard error, "program: text" */
	LOG_TO_JOURNAL,	 /* standard error, "<priority>text", as sd-daemon(3) has it */
};

/* Whether a descriptor leads to the journal, by JOURNAL_STREAM. */
bool log_is_journal(int fd);

/* Sets where records go. program is kept, not copied; facility (LOG_DAEMON ...) is for syslog;
 * debug records are dropped unless debug is set. May be called again. */
void log_open(const char *program, enum log_target target, int facility, bool debug);

/* Changes the facility alone. */
void log_set_facility(int facility);

/* Closes the connection to syslogd. */
void log_close(void);

/* Writes a record of a priority (LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG). Control
 * bytes and bytes above 126 are escaped, so a record is always one line. Never blocks. Keeps
 * errno. */
void log_write(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes a record to standard error, also when records go to syslog: for the messages of a command.
 * Waits for the reader. */
void log_print(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the result of a command to standard output, with the program's name, or as a record of the
 * journal. The caller checks the stream for errors. */
void log_result(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Limits the records of an event that peers can cause to one in ten seconds. Zero-initialised, one
 * for each event. */
struct log_limit {
	int64_t next; /* seconds on the monotonic clock */
	unsigned suppressed;
};

/* As log_write, within the limit; the next record says how many were suppressed. */
void log_limited(struct log_limit *limit, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
