/* The live view of --watch on a terminal. */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/print.h"
#include "client/target.h"

#define SCREEN_SAMPLES 240 /* the maximum of a graph */

struct screen_sample {
	bool has_offset;
	int64_t offset;
};

/* The samples of one target. Zeroed before the first one. */
struct screen_line {
	struct sample last;
	unsigned queries, replies;
	struct screen_sample samples[SCREEN_SAMPLES]; /* a ring, indexed by queries */
};

void screen_add(struct screen_line *line, const struct sample *sample);

/* Draws count lines from the top of the screen and clears the rest. Each target has two lines if
 * there are too few columns. Lines without room are counted in a last line. */
void screen_draw(FILE *out, const struct target *targets, const struct screen_line *lines,
		 size_t count, size_t rows, const struct print_style *style);

#endif
