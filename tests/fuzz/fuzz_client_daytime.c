/* What a Daytime server says, from any bytes: a valid answer is a line of printable text that was
 * in them; an invalid one has a reason that is printable text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/ask_daytime.h"

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
	struct ask_answer answer = { .valid = false };
	bool valid = ask_daytime_check(&answer, data, size);

	check(valid == answer.valid);
	if (valid) {
		check_printable(answer.text);
		check(memmem(data, size, answer.text, strlen(answer.text)) != NULL);
	} else {
		check_printable(answer.error);
	}
	return 0;
}
