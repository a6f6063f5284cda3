/* Who may ask: allow and deny by prefix; the longest one that holds an address decides. */
#ifndef BASE_ACCESS_H
#define BASE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* An address as the rules see it: a byte for its family, 4 or 6, then its own, then zeros. So no
 * IPv6 prefix, not even ::/0, has IPv4 addresses in it, and a prefix of no bits has all of both. */
#define ACCESS_KEY_SIZE 17

/* The first length bits of such keys; the others are zero. */
struct access_prefix {
	uint8_t key[ACCESS_KEY_SIZE];
	unsigned length; /* 0: "all"; otherwise 8 more than is written behind the slash */
};

struct access_rule {
	struct access_prefix prefix;
	bool allow;
};

/* The rules, worked out into ranges that can be searched. */
struct access_range {
	uint8_t first[ACCESS_KEY_SIZE];
	bool allow; /* from first up to the next range's first */
};

struct access {
	struct access_rule *rules; /* in the order given */
	size_t rule_count;
	struct access_range *ranges; /* sorted; none where there is no rule: all are allowed */
	size_t range_count;
};

/* Reads "192.0.2.0/24", "2001:db8::/32", a lone address, or "all": those of both families, while
 * 0.0.0.0/0 and ::/0 are all of one. IPv4 in IPv6 form, ::ffff:192.0.2.0/120, is IPv4. Returns
 * false for anything else, also where bits are set beyond the length. */
bool access_prefix_parse(struct access_prefix *prefix, const char *text);

/* Adds a rule; of two for the same prefix the later one counts. Returns false if memory is
 * short. */
bool access_add(struct access *access, const struct access_prefix *prefix, bool allow);

/* Works the rules out; to be called once they are all there, for until then they allow nobody.
 * Returns false if memory is short. */
bool access_build(struct access *access);

/* Whether the address of peer may ask; one that no rule holds may. An IPv4 address in IPv6 form is
 * an IPv4 address. */
bool access_allows(const struct access *access, const struct address *peer);

/* Writes a prefix as access_prefix_parse reads it: "all", "192.0.2.0/24", "2001:db8::/32", and a
 * lone address without a length. Returns text. */
const char *access_prefix_format(const struct access_prefix *prefix,
				 char text[static ADDRESS_TEXT_SIZE]);

void access_free(struct access *access);

#endif
