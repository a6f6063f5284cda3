#include "base/access.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* The first byte of a key. */
#define FAMILY_IP4  4
#define FAMILY_IP6  6
#define FAMILY_BITS 8

#define KEY_BITS (8 * ACCESS_KEY_SIZE)

/* The prefix of IPv4-mapped addresses, RFC 4291 section 2.5.5.2. */
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
#define MAPPED_BITS 96

static void key_set_ip4(uint8_t key[static ACCESS_KEY_SIZE], const void *ip4)
{
	memset(key, 0, ACCESS_KEY_SIZE);
	key[0] = FAMILY_IP4;
	memcpy(key + 1, ip4, 4);
}

static void key_set_ip6(uint8_t key[static ACCESS_KEY_SIZE], const void *ip6)
{
	key[0] = FAMILY_IP6;
	memcpy(key + 1, ip6, 16);
}

static void key_set_peer(uint8_t key[static ACCESS_KEY_SIZE], const struct address *peer)
{
	uint32_t ip4;

	if (address_ip4(peer, &ip4)) {
		ip4 = htonl(ip4);
		key_set_ip4(key, &ip4);
	} else {
		key_set_ip6(key, peer->ip6.sin6_addr.s6_addr);
	}
}

/* Whether the first length bits of two keys are the same. */
static bool key_same_start(const uint8_t *a, const uint8_t *b, unsigned length)
{
	unsigned whole = length / 8, rest = length % 8;

	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* Sets the address part of a prefix and returns its number of bits; 0 if host is no address. */
static unsigned parse_host(struct access_prefix *prefix, const char *host)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, host, bytes) == 1) {
		key_set_ip4(prefix->key, bytes);
		return 32;
	}
	if (inet_pton(AF_INET6, host, bytes) != 1)
		return 0;
	key_set_ip6(prefix->key, bytes);
	return 128;
}

static bool has_bits_beyond(const struct access_prefix *prefix)
{
	for (unsigned bit = prefix->length; bit < KEY_BITS; bit++) {
		if (prefix->key[bit / 8] & 0x80 >> bit % 8)
			return true;
	}
	return false;
}

/* Turns a prefix of IPv4-mapped addresses into an IPv4 prefix. */
static void unmap(struct access_prefix *prefix)
{
	uint8_t ip4[4];

	if (prefix->key[0] != FAMILY_IP6 || prefix->length < FAMILY_BITS + MAPPED_BITS ||
	    memcmp(prefix->key + 1, mapped, sizeof(mapped)) != 0)
		return;
	memcpy(ip4, prefix->key + 1 + sizeof(mapped), sizeof(ip4));
	key_set_ip4(prefix->key, ip4);
	prefix->length -= MAPPED_BITS;
}

bool access_prefix_parse(struct access_prefix *prefix, const char *text)
{
	const char *slash = strchrnul(text, '/');
	size_t host_length = (size_t)(slash - text);
	char host[INET6_ADDRSTRLEN];
	unsigned most, length;

	memset(prefix, 0, sizeof(*prefix));
	if (strcmp(text, "all") == 0)
		return true;
	if (host_length >= sizeof(host))
		return false;
	memcpy(host, text, host_length);
	host[host_length] = '\0';
	most = parse_host(prefix, host);
	length = most;
	if (most == 0 || (*slash != '\0' && !text_to_number(slash + 1, 0, most, &length)))
		return false;
	prefix->length = FAMILY_BITS + length;
	unmap(prefix);
	return !has_bits_beyond(prefix);
}

const char *access_prefix_format(const struct access_prefix *prefix,
				 char text[static ADDRESS_TEXT_SIZE])
{
	bool is_ip4 = prefix->key[0] == FAMILY_IP4;
	unsigned most = is_ip4 ? 32 : 128, length = prefix->length - FAMILY_BITS;
	char literal[INET6_ADDRSTRLEN];

	if (prefix->length == 0)
		return strcpy(text, "all");
	inet_ntop(is_ip4 ? AF_INET : AF_INET6, prefix->key + 1, literal, sizeof(literal));
	if (length == most)
		return strcpy(text, literal);
	snprintf(text, ADDRESS_TEXT_SIZE, "%s/%u", literal, length);
	return text;
}

bool access_add(struct access *access, const struct access_prefix *prefix, bool allow)
{
	struct access_rule *grown =
		reallocarray(access->rules, access->rule_count + 1, sizeof(*grown));

	if (!grown)
		return false;
	grown[access->rule_count++] = (struct access_rule){ .prefix = *prefix, .allow = allow };
	access->rules = grown;
	return true;
}

/* The order in which a walk over all addresses enters the prefixes: by first address, outer before
 * inner, and of one prefix the earlier rule first. */
static int compare_rules(const void *a, const void *b)
{
	const struct access_rule *const *one = a, *const *other = b;
	int order = memcmp((*one)->prefix.key, (*other)->prefix.key, ACCESS_KEY_SIZE);

	if (order != 0)
		return order;
	if ((*one)->prefix.length != (*other)->prefix.length)
		return (*one)->prefix.length < (*other)->prefix.length ? -1 : 1;
	return *one < *other ? -1 : *one > *other;
}

static bool same_prefix(const struct access_prefix *a, const struct access_prefix *b)
{
	return a->length == b->length && memcmp(a->key, b->key, ACCESS_KEY_SIZE) == 0;
}

/* A walk over all addresses, and the nested prefixes it is in. */
struct walk {
	struct access *access;
	const struct access_rule *inside[KEY_BITS + 1];
	size_t depth;
};

/* Begins a range at first. Omits empty ranges, and merges neighbours with the same decision. */
static void begin_range(struct access *access, const uint8_t *first, bool allow)
{
	struct access_range *ranges = access->ranges;

	if (access->range_count > 0 &&
	    memcmp(ranges[access->range_count - 1].first, first, ACCESS_KEY_SIZE) == 0)
		access->range_count--;
	if (access->range_count > 0 && ranges[access->range_count - 1].allow == allow)
		return;
	memcpy(ranges[access->range_count].first, first, ACCESS_KEY_SIZE);
	ranges[access->range_count++].allow = allow;
}

static void enter(struct walk *walk, const struct access_rule *rule)
{
	begin_range(walk->access, rule->prefix.key, rule->allow);
	walk->inside[walk->depth++] = rule;
}

/* Leaves the innermost prefix: after its last address the one around it decides again. */
static void leave(struct walk *walk)
{
	struct access_prefix after = walk->inside[--walk->depth]->prefix;
	bool allow = walk->depth == 0 || walk->inside[walk->depth - 1]->allow;

	while (after.length > 0) { /* adds one to the first length bits, as a number */
		unsigned bit = --after.length;
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		after.key[bit / 8] ^= mask;
		if (after.key[bit / 8] & mask) {
			begin_range(walk->access, after.key, allow);
			return;
		}
	} /* overflow: it ends with the last address */
}

static void walk_over(struct walk *walk, const struct access_rule **sorted, size_t count)
{
	static const uint8_t lowest[ACCESS_KEY_SIZE];

	begin_range(walk->access, lowest, true);
	for (size_t i = 0; i < count; i++) {
		const struct access_prefix *next = &sorted[i]->prefix;

		if (i + 1 < count && same_prefix(next, &sorted[i + 1]->prefix))
			continue; /* the later rule counts */
		while (walk->depth > 0 &&
		       !key_same_start(next->key, walk->inside[walk->depth - 1]->prefix.key,
				       walk->inside[walk->depth - 1]->prefix.length))
			leave(walk);
		enter(walk, sorted[i]);
	}
	while (walk->depth > 0)
		leave(walk);
}

bool access_build(struct access *access)
{
	size_t count = access->rule_count;
	struct walk walk = { .access = access };
	const struct access_rule **sorted;

	free(access->ranges);
	access->ranges = NULL;
	access->range_count = 0;
	if (count == 0)
		return true;
	sorted = calloc(count, sizeof(const struct access_rule *));
	if (!sorted)
		return false;
	for (size_t i = 0; i < count; i++)
		sorted[i] = &access->rules[i];
	qsort(sorted, count, sizeof(const struct access_rule *), compare_rules);
	/* A prefix begins two ranges at most; one more begins with the lowest address. */
	access->ranges = calloc(2 * count + 1, sizeof(*access->ranges));
	if (access->ranges)
		walk_over(&walk, sorted, count);
	free(sorted);
	return access->ranges != NULL;
}

bool access_allows(const struct access *access, const struct address *peer)
{
	uint8_t key[ACCESS_KEY_SIZE];
	size_t low = 0, high = access->range_count;

	if (access->range_count == 0)
		return access->rule_count == 0;
	key_set_peer(key, peer);
	while (high - low > 1) { /* the range is at low or after it, before high */
		size_t middle = low + (high - low) / 2;

		if (memcmp(access->ranges[middle].first, key, ACCESS_KEY_SIZE) <= 0)
			low = middle;
		else
			high = middle;
	}
	return access->ranges[low].allow;
}

void access_free(struct access *access)
{
	free(access->rules);
	free(access->ranges);
	memset(access, 0, sizeof(*access));
}
