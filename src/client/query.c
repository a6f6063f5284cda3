#include "client/query.h"

#include <string.h>

#include "protocol/ntp_packet.h"

const struct query_scheme query_schemes[] = {
	{ "daytime", 13, query_daytime }, { "daytime+udp", 13, query_daytime_udp },
	{ "time", 37, query_time },	  { "time+udp", 37, query_time_udp },
	{ "ntp", NTP_PORT, query_ntp },
};
const size_t query_scheme_count = sizeof(query_schemes) / sizeof(query_schemes[0]);

/* Of ASCII letters, in every locale. */
static bool equals_ignoring_case(const char *one, const char *other, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char letter = other[i];

		if (letter >= 'A' && letter <= 'Z')
			letter = (char)(letter - 'A' + 'a');
		if (one[i] != letter)
			return false;
	}
	return true;
}

const struct query_scheme *query_find_scheme(const char *name, size_t length)
{
	for (size_t i = 0; i < query_scheme_count; i++) {
		if (strlen(query_schemes[i].name) == length &&
		    equals_ignoring_case(query_schemes[i].name, name, length))
			return &query_schemes[i];
	}
	return NULL;
}
