/* --set: the one thing that this program does to the machine that it runs on. */
#ifndef CLIENT_SET_H
#define CLIENT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/format.h"
#include "client/result.h"

struct set_options {
	bool step;	    /* at once; otherwise little by little */
	bool trust_one;	    /* one target, of any scheme, is enough */
	bool dry_run;	    /* say it, but do not do it */
	int64_t max_offset; /* of the offset, in nanoseconds */
};

/* What to do, and on whose word. */
struct set_decision {
	bool agreed; /* otherwise reason says why nothing is done, in words that end a sentence */
	const char *reason;
	struct result_agreement agreement;
};

/* Decides by what NTP servers say: two or more of them have to agree, and no less than most. With
 * trust_one any answer that tells an offset counts, and one is enough. The offsets of answers that
 * do not count are taken from the results. */
struct set_decision set_decide(struct result *results, size_t count,
			       const struct set_options *options);

/* Says what is going to be done, does it, and says what was done. Returns false if nothing was,
 * having said why on standard error. */
bool set_clock(const struct set_decision *decision, const struct set_options *options,
	       const struct format_style *style);

#endif
