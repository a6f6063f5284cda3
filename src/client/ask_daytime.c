#include "client/ask_daytime.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/connect.h"
#include "client/moment.h"

#define LINE_GRACE (200 * CLOCK_MILLISECOND) /* for a server to close after its line */

struct reading {
	char bytes[2 * ASK_TEXT_LIMIT]; /* room for line ends; more than that is too much anyway */
	size_t size;
	bool ended;		     /* by the server */
	bool whole;		     /* holds a line with its end */
	int64_t until;		     /* the moment to stop */
	int64_t first_came;	     /* the moment of the first bytes */
	struct timespec first_clock; /* and what the system clock said then */
};

static bool is_line_end(char byte)
{
	return byte == '\r' || byte == '\n';
}

static bool is_printable(char byte)
{
	return byte >= ' ' && byte <= '~';
}

bool ask_daytime_check(struct ask_answer *answer, const void *bytes, size_t size)
{
	const char *text = bytes;
	bool lines = false;

	for (; size > 0 && is_line_end(*text); size--)
		text++;
	while (size > 0 && is_line_end(text[size - 1]))
		size--;
	if (size == 0)
		return ask_fail(answer, "empty answer");
	if (size > ASK_TEXT_LIMIT)
		return ask_fail_with(answer, "answer is too long", text, size);
	for (size_t i = 0; i < size; i++) {
		if (is_line_end(text[i]))
			lines = true;
		else if (!is_printable(text[i]))
			return ask_fail_with(answer, "answer is not text", text, size);
	}
	if (lines)
		return ask_fail_with(answer, "answer of several lines", text, size);
	memcpy(answer->text, text, size);
	answer->text[size] = '\0';
	answer->valid = true;
	return true;
}

/* A line end that nothing precedes does not count: NIST's servers begin with one. */
static bool holds_line(const struct reading *reading)
{
	size_t i = 0;

	while (i < reading->size && is_line_end(reading->bytes[i]))
		i++;
	while (i < reading->size && !is_line_end(reading->bytes[i]))
		i++;
	return i < reading->size;
}

/* Takes in what has come. Returns 0 or an errno value. */
static int take(int socket, struct reading *reading)
{
	ssize_t got = recv(socket, reading->bytes + reading->size,
			   sizeof(reading->bytes) - reading->size, MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN ? 0 : errno;
	if (got > 0 && reading->size == 0) {
		reading->first_came = clock_monotonic();
		clock_gettime(CLOCK_REALTIME, &reading->first_clock);
	}
	reading->size += (size_t)got;
	reading->ended = got == 0;
	if (!reading->whole && holds_line(reading)) {
		int64_t grace_end = clock_monotonic() + LINE_GRACE;

		reading->whole = true;
		if (reading->until > grace_end)
			reading->until = grace_end;
	}
	return 0;
}

/* Reads until there is an answer to judge. Returns 0, or an errno value with ETIME for the
 * deadline. A whole line stays good whatever becomes of the connection behind it. */
static int read_answer(int socket, struct reading *reading)
{
	struct pollfd readable = { .fd = socket, .events = POLLIN };
	int error = 0;

	while (error == 0 && !reading->ended && reading->size < sizeof(reading->bytes)) {
		int ready = moment_poll(&readable, 1, reading->until);

		if (ready > 0)
			error = take(socket, reading);
		else
			error = ready == 0 ? ETIME : errno;
	}
	return reading->whole ? 0 : error;
}

void ask_daytime(const struct ask_question *question, struct ask_answer *answer)
{
	struct reading reading = { .until = question->deadline };
	struct connection connection;
	int error = connect_first(&connection, question->addresses, question->address_count,
				  question->deadline);

	if (error != 0) {
		ask_fail_at(answer, error, question->timeout, NULL, 0);
		return;
	}
	answer->reached = true;
	answer->address = connection.address;
	error = read_answer(connection.socket, &reading);
	close(connection.socket);
	if (error != 0) {
		ask_fail_at(answer, error, question->timeout, reading.bytes, reading.size);
		return;
	}
	answer->delay = reading.first_came - connection.started;
	answer->time = reading.first_clock;
	ask_daytime_check(answer, reading.bytes, reading.size);
}
