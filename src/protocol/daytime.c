#include "protocol/protocol.h"

/* Tables of our own, since strftime(3) and asctime(3) answer to the locale or to nobody's
 * bounds. */
static const char days[7][3] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][3] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static void put_clock(struct bytes_writer *reply, const struct tm *local)
{
	bytes_put_decimal(reply, (unsigned)local->tm_hour, 2, '0');
	bytes_put_byte(reply, ':');
	bytes_put_decimal(reply, (unsigned)local->tm_min, 2, '0');
	bytes_put_byte(reply, ':');
	bytes_put_decimal(reply, (unsigned)local->tm_sec, 2, '0');
}

void daytime_reply(const struct protocol_request *request, struct bytes_writer *reply)
{
	const struct tm *local = &request->now->local;

	if (!request->now->valid || local->tm_year < 1000 - 1900 || local->tm_year > 9999 - 1900)
		return;
	bytes_put(reply, days[local->tm_wday], sizeof(days[0]));
	bytes_put_byte(reply, ' ');
	bytes_put(reply, months[local->tm_mon], sizeof(months[0]));
	bytes_put_byte(reply, ' ');
	bytes_put_decimal(reply, (unsigned)local->tm_mday, 2, ' ');
	bytes_put_byte(reply, ' ');
	put_clock(reply, local);
	bytes_put_byte(reply, ' ');
	bytes_put_decimal(reply, (unsigned)(local->tm_year + 1900), 4, '0');
	bytes_put(reply, "\r\n", 2);
}
