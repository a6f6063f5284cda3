#include "web/query.h"

#include <string.h>
#include <strings.h>

bool query_read_stamp(const char *text, char stamp[static QUERY_STAMP_SIZE])
{
	size_t length = strlen(text);

	if (length == 0 || length >= QUERY_STAMP_SIZE || strspn(text, "0123456789.") != length)
		return false;
	memcpy(stamp, text, length + 1);
	return true;
}

bool query_is_host(const char *text)
{
	return text[0] != '\0' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 ".-_:%[]")] == '\0';
}

/* Thousandths, of what stands behind ";q="; without it a language is liked fully. */
static unsigned read_weight(const char *range, size_t length)
{
	const char *weight = memmem(range, length, ";q=", 3);
	unsigned thousandths = 0, unit = 1000;

	if (!weight)
		return 1000;
	for (weight += 3; weight < range + length && unit > 0; weight++) {
		if (*weight == '.')
			continue;
		if (*weight < '0' || *weight > '9')
			break;
		thousandths += (unsigned)(*weight - '0') * unit;
		unit /= 10;
	}
	return thousandths;
}

static bool is_language(const char *range, size_t length, const char *language)
{
	return length >= 2 && strncasecmp(range, language, 2) == 0 &&
	       (length == 2 || strchr("-;", range[2]));
}

/* Of two that are liked alike, the first. */
enum query_language query_choose_language(const char *header)
{
	enum query_language best = QUERY_ENGLISH;
	unsigned most = 0;

	while (*header != '\0') {
		size_t length = strcspn(header, ", ");
		unsigned weight = read_weight(header, length);
		bool chinese = is_language(header, length, "zh");

		if (weight > most && (chinese || is_language(header, length, "en"))) {
			best = chinese ? QUERY_CHINESE : QUERY_ENGLISH;
			most = weight;
		}
		header += length;
		header += strspn(header, ", ");
	}
	return best;
}
