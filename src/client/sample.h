/* A sample: the result of one query. A series: the samples of one target. */
#ifndef CLIENT_SAMPLE_H
#define CLIENT_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/address.h"
#include "protocol/ntp_packet.h"

#define SAMPLE_TEXT_MAX	      256 /* bytes of a Daytime text */
#define SAMPLE_ERROR_SIZE     512
#define SAMPLE_REJECTIONS_MAX 16 /* different reasons */

/* Why a Daytime reply that is a date gives no offset. */
#define SAMPLE_ZONE_UNKNOWN "text without a zone that can be told"

/* Packets received that did not count as the reply, by reason. */
struct sample_rejection {
	const char *reason; /* static; NULL after the last one */
	unsigned count;
};

struct sample {
	bool valid;	 /* a usable reply came; otherwise error is set */
	bool reached;	 /* address is set */
	bool has_offset; /* server_time, offset and bound are set */
	bool is_ntp;	 /* packet is set */

	struct address address; /* of the server */
	struct sample_rejection rejected[SAMPLE_REJECTIONS_MAX];
	char error[SAMPLE_ERROR_SIZE]; /* printable ASCII */

	struct timespec local_time; /* of the system clock when the reply arrived */
	int64_t delay;		    /* nanoseconds from the request to the first bytes of the reply;
					NTP: without the time spent in the server */
	struct timespec server_time; /* of the server's clock at local_time; Time and Daytime: the
					second in the reply */
	int64_t offset; /* nanoseconds from this clock to the server's: positive if that is ahead */
	int64_t bound;	/* error bound of the offset, if the server is right */

	char text[SAMPLE_TEXT_MAX + 1]; /* of a Daytime reply, printable ASCII; otherwise "" */
	bool zone_unknown;		/* the text gives no offset: see SAMPLE_ZONE_UNKNOWN */
	bool rate_limited; /* the server asks for fewer queries (RFC 5905 section 7.4) */
	bool denied;	   /* every address has denied access: the last sample of its target */
	struct ntp_packet packet;
};

/* Makes sample invalid, with the formatted error. Returns false, as the next two do. */
bool sample_fail(struct sample *sample, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same for an errno value, ETIME meaning that timeout seconds passed, and for the bytes
 * received so far. */
bool sample_fail_errno(struct sample *sample, int error, const char *timeout, const void *received,
		       size_t size);

/* The same for a reply that cannot be parsed: the reason and the first bytes, escaped. */
bool sample_fail_bytes(struct sample *sample, const char *reason, const void *bytes, size_t size);

/* Counts a rejected packet; reason is static. */
void sample_reject(struct sample *sample, const char *reason);

/* Writes the rejections as "2 x wrong origin, 1 x too short". Returns text. */
const char *sample_format_rejected(const struct sample *sample,
				   char text[static SAMPLE_ERROR_SIZE]);

/* Sets the offset from a server time in whole seconds since 1970, given local_time and delay.
 * extra_error, in nanoseconds, is added to the bound. Without effect if the clocks are more than
 * 280 years apart. */
void sample_set_server_second(struct sample *sample, int64_t seconds, int64_t extra_error);

/* Zeroed before its first sample. */
struct sample_series {
	unsigned queries, replies; /* replies: valid ones */
	struct sample best;	   /* with the rejections of all samples */
	int64_t lowest, highest;   /* of the offsets */
};

/* Adds a sample. The best one has an offset and the least delay: the network can have distorted it
 * least. Without an offset, the best is the last valid sample, or else the last one. A denied one
 * replaces all others, since the target must not be used any more. */
void sample_series_add(struct sample_series *series, const struct sample *sample);

/* The range of the offsets, in nanoseconds. */
int64_t sample_series_spread(const struct sample_series *series);

#endif
