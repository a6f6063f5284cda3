/* The command line of timeserver from any text: one word per line. */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/options.h"

#define WORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text, program[] = "timeserver";
	char *words[WORDS + 2] = { program };
	struct options options = { .action = ACTION_SERVE };
	int count = 1;
	bool valid;

	while (rest && count <= WORDS)
		words[count++] = strsep(&rest, "\n");
	optind = 0; /* resets getopt */
	valid = options_parse(&options, count, words);
	if (valid && (options.action > ACTION_STATUS || options.line_count > WORDS))
		abort();
	free((void *)options.lines);
	free(text);
	return 0;
}
