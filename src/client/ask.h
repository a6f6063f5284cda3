/* Asking a server for the time: what every scheme is given, what it gives back, and the table of
 * them. A new scheme is one file ask_NAME.c and one row in ask.c. */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"

#define ASK_TEXT_LIMIT 256 /* bytes of a server's message */
#define ASK_ERROR_SIZE 384

struct ask_question {
	const struct address *addresses; /* of the server, with the port, the best first */
	size_t address_count;
	int64_t deadline;    /* a moment */
	const char *timeout; /* the seconds until then as the user wrote them, for messages */
};

struct ask_answer {
	bool valid;
	bool reached;		       /* address is set */
	struct address address;	       /* the one that the server was reached at */
	char text[ASK_TEXT_LIMIT + 1]; /* what it said: printable ASCII; valid answers only */
	int64_t delay;	      /* nanoseconds from the start of the connection to its first bytes */
	struct timespec time; /* the system clock as these came */
	char error[ASK_ERROR_SIZE]; /* what is wrong: printable ASCII, never empty; invalid answers
				       only */
};

struct ask_scheme {
	const char *name; /* as in NAME://HOST */
	uint16_t port;	  /* by IANA */

	/* Asks, and fills in answer, which comes zeroed. Returns by the deadline; is called from
	 * many threads at once. */
	void (*ask)(const struct ask_question *question, struct ask_answer *answer);
};

/* The schemes there are. The first is the one of a target that names none. */
extern const struct ask_scheme ask_schemes[];
extern const size_t ask_scheme_count;

/* Makes answer an invalid one for the reason given. Returns false, for the caller to hand on. */
bool ask_fail(struct ask_answer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As ask_fail, for an errno value, where ETIME stands for the deadline, and with the size bytes
 * that had been received until then. */
bool ask_fail_at(struct ask_answer *answer, int error, const char *timeout, const void *received,
		 size_t size);

/* As ask_fail, for bytes that are not an answer: the reason, and the beginning of the bytes,
 * escaped. */
bool ask_fail_with(struct ask_answer *answer, const char *reason, const void *bytes, size_t size);

#endif
