/* Daytime replies from any bytes: a valid sample has a line of printable text from the reply, an
 * invalid one a printable error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_printable(const char *text)
{
	check(*text != '\0');
	for (; *text != '\0'; text++)
		check(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sample sample = { .local_time = { 1795374908, 0 }, .delay = 40000000 };
	bool valid = query_daytime_parse(&sample, data, size);

	check(valid == sample.valid);
	if (valid) {
		check_printable(sample.text);
		check(!sample.has_offset || (!sample.zone_unknown && sample.bound >= 0));
		check(memmem(data, size, sample.text, strlen(sample.text)) != NULL);
	} else {
		check_printable(sample.error);
	}
	return 0;
}
