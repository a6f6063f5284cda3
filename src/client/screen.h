/* The picture that --watch keeps on the terminal. */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/print.h"
#include "client/target.h"

#define SCREEN_SAMPLES 240 /* as many are remembered, and drawn where there is room */

struct screen_sample {
	bool has_offset; /* otherwise there was no offset to draw */
	int64_t offset;
};

/* What is known of one target. */
struct screen_line {
	struct sample last; /* the last sample */
	unsigned queries, replies;
	struct screen_sample samples[SCREEN_SAMPLES]; /* number n is at n modulo SCREEN_SAMPLES */
};

/* Adds a sample to a line that begins zeroed. */
void screen_add(struct screen_line *line, const struct sample *sample);

/* Draws count lines over whatever is on the screen, from its first row on, and clears the rest of
 * it. Where the columns do not suffice for a line a target, each has two. Of rows that there is no
 * room for the number is told. */
void screen_draw(FILE *out, const struct target *targets, const struct screen_line *lines,
		 size_t count, size_t rows, const struct print_style *style);

#endif
