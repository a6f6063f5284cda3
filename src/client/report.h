/* What is to be said about each target, once all are known: the series of its samples, and whether
 * it can be right together with the others. */
#ifndef CLIENT_REPORT_H
#define CLIENT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "client/intersect.h"
#include "client/series.h"
#include "client/target.h"

struct report {
	const struct target *target;
	struct series series;
	bool falseticker; /* most of the others agree, and it does not */
};

/* What those that tell an offset have in common. */
struct agreement {
	size_t total;	       /* how many there are */
	size_t agreeing;       /* how many of them agree; 0: not even most of them do */
	struct interval span;  /* of the offset, as the agreeing ones have it */
	int64_t offset, bound; /* the same as its middle and half of its width */
};

/* Marks the falsetickers among count reports, and returns what the others agree on. It takes more
 * than half of those that tell an offset to agree. */
struct agreement report_compare(struct report *reports, size_t count);

#endif
