/* The access list: allow and deny by prefix; the longest prefix that contains an address
 * decides. */
#ifndef BASE_ACCESS_H
#define BASE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* An address as a key: a byte for the family, 4 or 6, then its bytes, then zeros. So no IPv6
 * prefix, not even ::/0, contains IPv4 addresses, and the prefix of no bits contains all of
 * both. */
#define ACCESS_KEY_SIZE 17

/* The first length bits of a key; the others are zero. */
struct access_prefix {
	uint8_t key[ACCESS_KEY_SIZE];
	unsigned length; /* 0: "all"; else 8 more than after the slash */
};

struct access_rule {
	struct access_prefix prefix;
	bool allow;
};

/* Addresses from first up to the first of the next range. */
struct access_range {
	uint8_t first[ACCESS_KEY_SIZE];
	bool allow;
};

struct access {
	struct access_rule *rules; /* in the order of the configuration */
	size_t rule_count;
	struct access_range *ranges; /* sorted, made by access_build; none: all are allowed */
	size_t range_count;
};

/* Reads "192.0.2.0/24", "2001:db8::/32", a single address, or "all", which means both families
 * (0.0.0.0/0 and ::/0 mean one). IPv4-mapped IPv6, ::ffff:192.0.2.0/120, is IPv4. Returns false for
 * anything else, also if bits are set beyond the length. */
bool access_prefix_parse(struct access_prefix *prefix, const char *text);

/* Adds a rule; of two for one prefix the later counts. Returns false if memory is short. */
bool access_add(struct access *access, const struct access_prefix *prefix, bool allow);

/* Makes the ranges once all rules were added; before, no address is allowed. Returns false if
 * memory is short. */
bool access_build(struct access *access);

/* Whether the address of peer is allowed; it is if no prefix contains it. */
bool access_allows(const struct access *access, const struct address *peer);

/* Writes a prefix as access_prefix_parse reads it, a single address without a length. Returns
 * text. */
const char *access_prefix_format(const struct access_prefix *prefix,
				 char text[static ADDRESS_TEXT_SIZE]);

void access_free(struct access *access);

#endif
