#include "base/text.h"

#include <string.h>

static size_t escape_byte(char out[static 5], unsigned char byte)
{
	switch (byte) {
	case '\n':
		return (size_t)snprintf(out, 5, "\\n");
	case '\r':
		return (size_t)snprintf(out, 5, "\\r");
	case '\t':
		return (size_t)snprintf(out, 5, "\\t");
	default:
		if (byte >= 0x20 && byte <= 0x7e)
			return (size_t)snprintf(out, 5, "%c", byte);
		return (size_t)snprintf(out, 5, "\\x%02x", byte);
	}
}

char *text_escape(char *escaped, size_t capacity, const void *bytes, size_t size)
{
	static const char cut[] = "...";
	const unsigned char *in = bytes;
	size_t used = 0,
	       whole = 0; /* whole: the longest prefix that leaves room for the cut mark */
	char piece[5];

	for (size_t i = 0; i < size; i++) {
		size_t length = escape_byte(piece, in[i]);

		if (used + length >= capacity) {
			memcpy(escaped + whole, cut, sizeof(cut));
			return escaped;
		}
		memcpy(escaped + used, piece, length);
		used += length;
		if (used + sizeof(cut) <= capacity)
			whole = used;
	}
	escaped[used] = '\0';
	return escaped;
}

void text_print(FILE *out, const void *bytes, size_t size)
{
	const unsigned char *in = bytes;
	char piece[5];

	for (size_t i = 0; i < size; i++)
		fwrite(piece, 1, escape_byte(piece, in[i]), out);
}

bool text_to_number(const char *text, unsigned minimum, unsigned maximum, unsigned *number)
{
	unsigned long long value = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > maximum)
			return false;
	}
	if (value < minimum)
		return false;
	*number = (unsigned)value;
	return true;
}
