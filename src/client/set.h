/* --set: sets the clock of this machine. */
#ifndef CLIENT_SET_H
#define CLIENT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/format.h"
#include "client/result.h"

struct set_options {
	bool step;	    /* or slew */
	bool trust_one;	    /* one target of any scheme is enough */
	bool dry_run;	    /* print only */
	int64_t max_offset; /* nanoseconds */
};

struct set_decision {
	const char *problem; /* why the clock must not be set; NULL: it can be */
	struct result_agreement agreement;
};

/* Decides whether to set the clock. The majority of at least two NTP servers, of different address
 * and port, has to agree; with trust_one, one target of any scheme with an offset is enough. An NTP
 * server with an error bound above 1.5 s does not count.
 * Removes the offsets of other results and marks falsetickers. */
struct set_decision set_decide(struct result *results, size_t count,
			       const struct set_options *options);

/* Prints the change, makes it, and prints the outcome. If the change cannot be printed it is not
 * made. Returns false, with a message on standard error, if the clock was not set. */
bool set_clock(const struct set_decision *decision, const struct set_options *options,
	       const struct format_style *style);

#endif
