#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"

#define RECORD_SIZE   1024
#define MESSAGE_SIZE  (PATH_MAX + RECORD_SIZE) /* of a command: with a path */
#define SYSLOG_SIZE   (RECORD_SIZE + 128)
#define LIMIT_SECONDS 10

/* The only global state of the program. */
static struct {
	const char *program;
	enum log_target target;
	int facility;
	bool debug;
	int socket;		  /* to syslogd, or -1 */
	bool stream;		  /* it is a stream */
	char record[SYSLOG_SIZE]; /* that the stream has taken in part */
	size_t size, sent;	  /* its size; 0: there is none */
	unsigned lost;
	pthread_mutex_t lock; /* records are written one at a time */
} log_state = {
	.program = "", .target = LOG_TO_TERMINAL, .socket = -1, .lock = PTHREAD_MUTEX_INITIALIZER
};

void log_open(const char *program, enum log_target target, int facility, bool debug)
{
	log_close();
	log_state.program = program;
	log_state.target = target;
	log_state.facility = facility;
	log_state.debug = debug;
}

bool log_is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat file;

	if (!stream || fstat(fd, &file) < 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)file.st_dev, (uintmax_t)file.st_ino);
	return strcmp(own, stream) == 0;
}

void log_set_facility(int facility)
{
	pthread_mutex_lock(&log_state.lock);
	log_state.facility = facility;
	pthread_mutex_unlock(&log_state.lock);
}

void log_close(void)
{
	fd_close(&log_state.socket);
}

static bool syslog_connect_by(int type)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int error;

	log_state.socket = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_state.socket < 0)
		return false;
	log_state.stream = type == SOCK_STREAM;
	log_state.sent = 0; /* a new connection gets the whole record */
	if (connect(log_state.socket, (struct sockaddr *)&path, sizeof(path)) == 0)
		return true;
	error = errno;
	log_close();
	errno = error;
	return false;
}

/* syslogd chooses the type of /dev/log. */
static bool syslog_connect(void)
{
	return syslog_connect_by(SOCK_DGRAM) ||
	       (errno == EPROTOTYPE && syslog_connect_by(SOCK_STREAM));
}

/* Sends the record, or what a stream has not taken of it yet. In a stream a NUL ends a record, as
 * syslog(3) has it. */
static bool syslog_send(void)
{
	size_t size = log_state.size + (log_state.stream ? 1 : 0);
	ssize_t sent = send(log_state.socket, log_state.record + log_state.sent,
			    size - log_state.sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0)
		return false;
	log_state.sent += (size_t)sent;
	if (log_state.sent < size) {
		errno = EAGAIN;
		return false;
	}
	log_state.size = 0;
	return true;
}

/* Sends a record, after the rest of an earlier one. If a stream takes a part of it, the rest is
 * sent before the next record. */
static bool syslog_send_record(const char *record, size_t size)
{
	if (log_state.size > 0 && !syslog_send())
		return false;
	memcpy(log_state.record, record, size + 1);
	log_state.size = size;
	log_state.sent = 0;
	if (syslog_send() || log_state.sent > 0)
		return true;
	log_state.size = 0;
	return false;
}

/* The second attempt reconnects after a restart of syslogd. */
static bool syslog_deliver(const char *record, size_t size)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		if (log_state.socket < 0 && !syslog_connect())
			return false;
		if (syslog_send_record(record, size))
			return true;
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
			return false;
		log_close();
	}
	return false;
}

/* RFC 3164; LC_TIME is not set, so the month is English. */
static bool syslog_write(int priority, const char *text)
{
	char record[SYSLOG_SIZE], stamp[32];
	time_t now = time(NULL);
	struct tm local;
	int size;

	if (!localtime_r(&now, &local) || strftime(stamp, sizeof(stamp), "%b %e %T", &local) == 0)
		strcpy(stamp, "Jan  1 00:00:00");
	size = snprintf(record, sizeof(record), "<%d>%s %s[%ld]: %s", log_state.facility | priority,
			stamp, log_state.program, (long)getpid(), text);
	return syslog_deliver(record, (size_t)size);
}

/* The journal adds the program's name itself. */
static bool stderr_write(int priority, const char *text)
{
	char record[MESSAGE_SIZE + 128];
	int size;

	if (log_state.target == LOG_TO_JOURNAL)
		size = snprintf(record, sizeof(record), "<%d>%s\n", priority, text);
	else
		size = snprintf(record, sizeof(record), "%s: %s\n", log_state.program, text);
	return write(STDERR_FILENO, record, (size_t)size) == size;
}

/* A terminal or pipe without a reader must not block either. */
static bool stderr_write_at_once(int priority, const char *text)
{
	struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && stderr_write(priority, text);
}

static bool record_write(int priority, const char *text)
{
	return log_state.target == LOG_TO_SYSLOG ? syslog_write(priority, text) :
						   stderr_write_at_once(priority, text);
}

/* Reports lost records first, so that the log shows where the gap is. */
static void record_or_count(int priority, const char *text)
{
	char notice[64];

	if (log_state.lost > 0) {
		snprintf(notice, sizeof(notice), "%u log records were lost here", log_state.lost);
		if (record_write(LOG_WARNING, notice))
			log_state.lost = 0;
	}
	if (log_state.lost > 0 || !record_write(priority, text))
		log_state.lost++;
}

/* The text of a record, escaped; empty after an error. */
__attribute__((format(printf, 3, 0))) static const char *format_text(char *text, size_t size,
								     const char *format,
								     va_list arguments)
{
	char raw[MESSAGE_SIZE];
	int length = vsnprintf(raw, size, format, arguments);

	return text_escape(text, size, raw, length < 0 ? 0 : strlen(raw));
}

__attribute__((format(printf, 2, 0))) static void log_record(int priority, const char *format,
							     va_list arguments)
{
	char text[RECORD_SIZE];

	format_text(text, sizeof(text), format, arguments);
	pthread_mutex_lock(&log_state.lock);
	record_or_count(priority, text);
	pthread_mutex_unlock(&log_state.lock);
}

/* Whether a record may be written; sets *suppressed to the number left out before it. */
static bool is_within_limit(struct log_limit *limit, unsigned *suppressed)
{
	struct timespec now;
	bool within;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	pthread_mutex_lock(&log_state.lock);
	within = now.tv_sec >= limit->next;
	*suppressed = limit->suppressed;
	limit->suppressed = within ? 0 : limit->suppressed + 1;
	if (within)
		limit->next = now.tv_sec + LIMIT_SECONDS;
	pthread_mutex_unlock(&log_state.lock);
	return within;
}

void log_write(int priority, const char *format, ...)
{
	int saved_errno = errno;
	va_list arguments;

	if (priority == LOG_DEBUG && !log_state.debug)
		return;
	va_start(arguments, format);
	log_record(priority, format, arguments);
	va_end(arguments);
	errno = saved_errno;
}

void log_print(int priority, const char *format, ...)
{
	char text[MESSAGE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	stderr_write(priority, format_text(text, sizeof(text), format, arguments));
	va_end(arguments);
}

void log_result(const char *format, ...)
{
	char text[MESSAGE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	format_text(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (log_is_journal(STDOUT_FILENO))
		printf("<%d>%s\n", LOG_NOTICE, text);
	else
		printf("%s: %s\n", log_state.program, text);
}

void log_limited(struct log_limit *limit, int priority, const char *format, ...)
{
	int saved_errno = errno;
	unsigned suppressed;
	va_list arguments;

	if (!is_within_limit(limit, &suppressed))
		return;
	errno = saved_errno;
	va_start(arguments, format);
	log_record(priority, format, arguments);
	va_end(arguments);
	if (suppressed > 0)
		log_write(priority, "the same %u times more in between", suppressed);
	errno = saved_errno;
}
