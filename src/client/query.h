/* Asking a server for the time: what every scheme is given, what it gives back, and the table of
 * them. A new scheme is one file ask_NAME.c and one row in ask.c. */
#ifndef CLIENT_QUERY_H
#define CLIENT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"
#include "protocol/ntp_packet.h"

#define SAMPLE_TEXT_MAX	      256 /* bytes of a server's message */
#define SAMPLE_ERROR_SIZE     512
#define SAMPLE_REJECTIONS_MAX 16 /* kinds of them */

struct query {
	const struct address *addresses; /* of the server, with the port, the best first */
	size_t address_count;
	int64_t deadline;    /* a moment */
	const char *timeout; /* the seconds until then as the user wrote them, for messages; NULL:
				fewer than that */
};

/* What came and was no answer, by a name for what was wrong. */
struct sample_rejection {
	const char *reason; /* static; NULL: no more */
	unsigned count;
};

struct sample {
	bool valid;	 /* otherwise error is set, and what follows it is not */
	bool reached;	 /* address is set */
	bool has_offset; /* it tells how far the clocks are apart: told, offset and bound are set */
	bool is_ntp;	 /* packet is set */

	struct address address; /* the one that the server was reached at */
	struct sample_rejection rejected[SAMPLE_REJECTIONS_MAX];
	char error[SAMPLE_ERROR_SIZE]; /* what is wrong: printable ASCII, never empty */

	struct timespec local_time; /* the system clock as the answer came */
	int64_t delay; /* nanoseconds from the question to the sample, or to its first bytes;
				 NTP: without the server's share */
	struct timespec
		server_time; /* the server's clock as the answer came, or the second it named */
	int64_t offset;	     /* of the server's clock from this one: positive where it is ahead */
	int64_t bound;	     /* as far as offset may be from the truth, if the server is right */

	char text[SAMPLE_TEXT_MAX + 1]; /* Daytime: what it said: printable ASCII; others: "" */
	struct ntp_packet packet;
};

struct query_scheme {
	const char *name; /* as in NAME://HOST */
	uint16_t port;	  /* by IANA */

	/* Asks, and fills in answer, which comes zeroed. Returns by the deadline; is called from
	 * many threads at once. */
	void (*query)(const struct query *query, struct sample *sample);
};

/* The schemes there are. The first is the one of a target that names none. */
extern const struct query_scheme query_schemes[];
extern const size_t query_scheme_count;

/* Makes answer an invalid one for the reason given. Returns false, for the caller to hand on. */
bool sample_fail(struct sample *sample, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As sample_fail, for an errno value, where ETIME stands for the deadline, and with the size bytes
 * that had been received until then. */
bool sample_fail_errno(struct sample *sample, int error, const char *timeout, const void *received,
		       size_t size);

/* As sample_fail, for bytes that are not an answer: the reason, and the beginning of the bytes,
 * escaped. */
bool sample_fail_bytes(struct sample *sample, const char *reason, const void *bytes, size_t size);

/* Counts something that came and was no answer; reason is static. */
void sample_reject(struct sample *sample, const char *reason);

/* Adds to answer's refusals those of another one. */
void sample_add_rejected(struct sample *sample, const struct sample *other);

/* Writes what was refused as "2 x wrong origin, 1 x too short"; nothing, if nothing was. Returns
 * text. */
const char *sample_format_rejected(const struct sample *sample,
				   char text[static SAMPLE_ERROR_SIZE]);

/* The server's clock showed seconds (since 1970) when it answered, without a fraction, and may be
 * off by extra_error nanoseconds more than that. With time and delay set, fills in what follows from it,
 * unless it is too far away to be told. */
void sample_set_server_second(struct sample *sample, int64_t seconds, int64_t extra_error);

/* The time so many nanoseconds later. */
struct timespec timespan_add(struct timespec time, int64_t span);

#endif
