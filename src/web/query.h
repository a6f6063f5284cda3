/* What strangers write into a request, read: text in, words out. */
#ifndef WEB_QUERY_H
#define WEB_QUERY_H

#include <stdbool.h>
#include <stddef.h>

/* Room for a client's own time stamp and its end. */
#define QUERY_STAMP_SIZE 33

/* Reads a time stamp, "1795469446.123": digits and points, 32 at most. Returns false for anything
 * else. */
bool query_read_stamp(const char *text, char stamp[static QUERY_STAMP_SIZE]);

/* Reads the stamp behind "origin=" among the parameters of a query, "a=b&origin=1.5"; where there
 * is none it is empty. Returns false if it is not one. */
bool query_read_origin(const char *query, char origin[static QUERY_STAMP_SIZE]);

/* Whether text can be the name or the address of a host: letters, digits and ".-_:%[]". */
bool query_is_host(const char *text);

enum query_language {
	QUERY_ENGLISH,
	QUERY_CHINESE,
};

/* Which of the two an Accept-Language header likes better (RFC 9110 section 12.5.4); English where
 * it likes neither. */
enum query_language query_choose_language(const char *header);

#endif
