/* RFC 867. */
#include "protocol/protocol.h"

/* Not strftime(3), which depends on the locale, nor asctime(3), which has no bounds. */
static const char days[7][3] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][3] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static void put_time(struct bytes_writer *writer, const struct tm *local)
{
	bytes_put_decimal(writer, (unsigned)local->tm_hour, 2, '0');
	bytes_put_byte(writer, ':');
	bytes_put_decimal(writer, (unsigned)local->tm_min, 2, '0');
	bytes_put_byte(writer, ':');
	bytes_put_decimal(writer, (unsigned)local->tm_sec, 2, '0');
}

/* The time as one line of text, whatever the client sends: "Sun Nov 22 19:15:08 2026\r\n". As
 * ctime(3) writes it: in English and in the host's time zone. Silent outside the years 1000 to
 * 9999, which that form cannot hold. */
void daytime_reply(const struct protocol_request *request, struct bytes_writer *writer)
{
	const struct tm *local = &request->now->local;

	if (!request->now->valid || local->tm_year < 1000 - 1900 || local->tm_year > 9999 - 1900)
		return;
	bytes_put(writer, days[local->tm_wday], sizeof(days[0]));
	bytes_put_byte(writer, ' ');
	bytes_put(writer, months[local->tm_mon], sizeof(months[0]));
	bytes_put_byte(writer, ' ');
	bytes_put_decimal(writer, (unsigned)local->tm_mday, 2, ' ');
	bytes_put_byte(writer, ' ');
	put_time(writer, local);
	bytes_put_byte(writer, ' ');
	bytes_put_decimal(writer, (unsigned)(local->tm_year + 1900), 4, '0');
	bytes_put(writer, "\r\n", 2);
}
