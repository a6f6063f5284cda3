/* Who may ask: allow and deny by prefix; the longest one that holds an address decides. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/* A prefix of IPv6, where IPv4 is ::ffff:0:0/96. */
struct access_prefix {
	uint8_t bytes[16];
	unsigned length; /* 0 to 128 */
};

struct access_rule {
	struct access_prefix prefix;
	bool allow;
};

/* The rules, worked out into ranges that can be searched. */
struct access_range {
	uint8_t first[16];
	bool allow; /* from first up to the next range's first */
};

struct access {
	struct access_rule *rules; /* in the order given */
	size_t rule_count;
	struct access_range *ranges; /* sorted; none where there is no rule: all are allowed */
	size_t range_count;
};

/* Reads "192.0.2.0/24", "2001:db8::/32", a lone address, or "all" (::/0). Returns false for
 * anything else, also where bits are set beyond the length. */
bool access_prefix_parse(struct access_prefix *prefix, const char *text);

/* Adds a rule; of two for the same prefix the later one counts. Returns false if memory is short. */
bool access_add(struct access *access, const struct access_prefix *prefix, bool allow);

/* Works the rules out; to be called once they are all there. Returns false if memory is short. */
bool access_build(struct access *access);

/* Whether the address of peer may ask. An IPv4 address in IPv6 form is an IPv4 address. */
bool access_allows(const struct access *access, const struct address *peer);

/* Writes a prefix as it is configured: "all", "192.0.2.0/24", "2001:db8::/32"; returns text. */
const char *access_prefix_format(const struct access_prefix *prefix,
				 char text[static ADDRESS_TEXT_SIZE]);

void access_free(struct access *access);

#endif
