#include "web/query.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool read_stamp(const char *text, size_t length, char stamp[static QUERY_STAMP_SIZE])
{
	if (length == 0 || length >= QUERY_STAMP_SIZE || strspn(text, "0123456789.") != length)
		return false;
	memcpy(stamp, text, length);
	stamp[length] = '\0';
	return true;
}

bool query_read_stamp(const char *text, char stamp[static QUERY_STAMP_SIZE])
{
	return read_stamp(text, strlen(text), stamp);
}

bool query_read_origin(const char *query, char origin[static QUERY_STAMP_SIZE])
{
	static const char name[] = "origin=";
	size_t length;

	origin[0] = '\0';
	for (; *query != '\0'; query += length + (query[length] == '&')) {
		length = strcspn(query, "&");
		if (strncmp(query, name, strlen(name)) == 0)
			return read_stamp(query + strlen(name), length - strlen(name), origin);
	}
	return true;
}

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define HOST_MAX	255
#define PORT_DIGITS_MAX 5

bool query_is_host(const char *text)
{
	bool bracket = text[0] == '[';
	const char *name = text + bracket;
	size_t length = strspn(name, bracket ? HOST_CHARACTERS ":%" : HOST_CHARACTERS), digits;

	if (length == 0 || length > HOST_MAX || (bracket && name[length] != ']'))
		return false;
	name += length + bracket;
	if (*name == '\0')
		return true;
	digits = strspn(name + 1, "0123456789");
	return *name == ':' && digits <= PORT_DIGITS_MAX && name[1 + digits] == '\0';
}

/* Skips blanks, then a character, in either case. Returns whether it was there. */
static bool skip(const char **text, char character)
{
	*text += strspn(*text, " \t");
	if (tolower((unsigned char)**text) != character)
		return false;
	++*text;
	return true;
}

/* The weight of ";q=0.5", in thousandths; 1000 without it. */
static unsigned read_weight(const char *text)
{
	unsigned thousandths = 0, unit = 1000;

	if (!skip(&text, ';') || !skip(&text, 'q') || !skip(&text, '='))
		return 1000;
	for (; unit > 0; text++) {
		if (*text == '.')
			continue;
		if (*text < '0' || *text > '9')
			break;
		thousandths += (unsigned)(*text - '0') * unit;
		unit /= 10;
	}
	return thousandths;
}

/* Whether a language range is this language or a variety of it: "zh", "zh-TW". */
static bool is_language(const char *range, const char *language)
{
	return strncasecmp(range, language, 2) == 0 && !isalnum((unsigned char)range[2]);
}

/* Of two languages with the same weight, the first is chosen. */
enum query_language query_choose_language(const char *header)
{
	enum query_language best = QUERY_ENGLISH;
	unsigned most = 0;

	for (; *header != '\0'; header += strcspn(header, ",")) {
		unsigned weight;
		bool chinese;

		header += strspn(header, ", \t");
		weight = read_weight(header + strcspn(header, "; \t,"));
		chinese = is_language(header, "zh");
		if (weight > most && (chinese || is_language(header, "en"))) {
			best = chinese ? QUERY_CHINESE : QUERY_ENGLISH;
			most = weight;
		}
	}
	return best;
}
