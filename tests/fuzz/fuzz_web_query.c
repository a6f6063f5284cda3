/* The parts of a request that the web process parses; libevent parses the others. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "web/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char stamp[QUERY_STAMP_SIZE], *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (query_read_stamp(text, stamp) && strcmp(stamp, text) != 0)
		abort();
	if (query_read_origin(text, stamp) && stamp[0] != '\0' && !strstr(text, stamp))
		abort();
	/* A valid host is copied into a page and into JSON unescaped. */
	if (query_is_host(text) && strpbrk(text, "<>\"'&\\ \t\r\n"))
		abort();
	query_choose_language(text);
	free(text);
	return 0;
}
