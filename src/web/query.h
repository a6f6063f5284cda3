/* Reading what clients write into a request. */
#ifndef WEB_QUERY_H
#define WEB_QUERY_H

#include <stdbool.h>
#include <stddef.h>

/* A client's own time stamp, with its end. */
#define QUERY_STAMP_SIZE 33

/* Reads a time stamp, "1795469446.123": digits and points, 32 at most. Returns false for anything
 * else. */
bool query_read_stamp(const char *text, char stamp[static QUERY_STAMP_SIZE]);

/* Reads the stamp behind "origin=" among the parameters of a query, "a=b&origin=1.5"; without
 * that parameter stamp is empty. Returns false if it is no time stamp. */
bool query_read_origin(const char *query, char origin[static QUERY_STAMP_SIZE]);

/* Whether text is a host as in a Host header (RFC 9112 section 3.2): a name of letters, digits and
 * ".-_", an IPv4 address, or an IPv6 address in [], perhaps with its zone; then perhaps ":" and a port. */
bool query_is_host(const char *text);

enum query_language {
	QUERY_ENGLISH,
	QUERY_CHINESE,
};

/* The language that an Accept-Language header (RFC 9110 section 12.5.4) prefers; English if it
 * names neither. */
enum query_language query_choose_language(const char *header);

#endif
