/* The command line of timeclient from any text: one word per line. */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/options.h"

#define WORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text, program[] = "timeclient";
	char *words[WORDS + 2] = { program };
	static struct options options;
	int count = 1;

	while (rest && count <= WORDS)
		words[count++] = strsep(&rest, "\n");
	optind = 0; /* resets getopt */
	if (options_parse(&options, count, words) && options.action <= ACTION_SET &&
	    (options.target_count == 0 || options.target_count > SURVEY_TARGETS_MAX))
		abort();
	free(text);
	return 0;
}
