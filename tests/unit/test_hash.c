/* The keyed hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "child.h"

/* The key 00 01 02 ... 0f of the published vectors. */
static const struct hash_key published_key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

/* Hashes of the bytes 00 01 02 ...: size 15 is from the SipHash paper, appendix A, the others are
 * from the reference implementation. */
static void published_vectors(void **state)
{
	static const struct {
		size_t size;
		uint64_t hash;
	} rows[] = {
		{ 0, 0x726fdb47dd0e0e31 },  { 1, 0x74f839c593dc67fd },	{ 2, 0x0d6c8009d9a94f5a },
		{ 3, 0x85676696d7fb7e2d },  { 4, 0xcf2794e0277187b7 },	{ 5, 0x18765564cd99a68d },
		{ 6, 0xcbc9466e58fee3ce },  { 7, 0xab0200f58b01d137 },	{ 8, 0x93f5f5799a932462 },
		{ 9, 0x9e0082df0ba9e4b0 },  { 10, 0x7a5dbbc594ddb9f3 }, { 11, 0xf4b32f46226bada7 },
		{ 12, 0x751e8fbc860ee5fb }, { 13, 0x14ea5627c0843d90 }, { 14, 0xf723ca908e7af2ee },
		{ 15, 0xa129ca6149be45e5 }, { 16, 0x3f2acc7f57c29bdb }, { 17, 0x699ae9f52cbe4794 },
		{ 63, 0x958a324ceb064572 },
	};
	uint8_t bytes[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(hash_bytes(&published_key, bytes, rows[i].size) == rows[i].hash);
}

static void bytes_need_no_alignment(void **state)
{
	uint8_t bytes[64 + 8];

	(void)state;
	for (size_t start = 0; start < 8; start++) {
		memset(bytes, 0xee, sizeof(bytes));
		for (size_t i = 0; i < 63; i++)
			bytes[start + i] = (uint8_t)i;
		assert_true(hash_bytes(&published_key, bytes + start, 63) == 0x958a324ceb064572);
	}
}

static void trailing_zeros_change_the_hash(void **state)
{
	static const uint8_t zeros[32];
	uint64_t hashes[sizeof(zeros)];

	(void)state;
	for (size_t size = 0; size < sizeof(zeros); size++) {
		hashes[size] = hash_bytes(&published_key, zeros, size);
		for (size_t other = 0; other < size; other++)
			assert_true(hashes[size] != hashes[other]);
	}
}

static void every_bit_of_the_key_changes_the_hash(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 128; bit++) {
		struct hash_key key = published_key;

		*(bit < 64 ? &key.low : &key.high) ^= UINT64_C(1) << bit % 64;
		assert_true(hash_bytes(&key, "abc", 3) != hash_bytes(&published_key, "abc", 3));
	}
}

static int check_keys(void)
{
	struct hash_key keys[16];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		keys[i] = hash_key_make();
		for (size_t other = 0; other < i; other++) {
			if (keys[i].low == keys[other].low || keys[i].high == keys[other].high)
				return 1;
		}
		if (keys[i].low == keys[i].high)
			return 2;
	}
	return 0;
}

static void keys_are_different(void **state)
{
	(void)state;
	assert_int_equal(check_keys(), 0);
}

static int check_keys_without_randomness(void)
{
	return child_filter_calls(NULL, 0) ? check_keys() : 3;
}

/* Early at boot getrandom(2) has no randomness yet. */
static void keys_are_made_without_randomness(void **state)
{
	(void)state;
	if (!child_can_filter_calls())
		skip();
	child_run(check_keys_without_randomness);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(bytes_need_no_alignment),
		cmocka_unit_test(trailing_zeros_change_the_hash),
		cmocka_unit_test(every_bit_of_the_key_changes_the_hash),
		cmocka_unit_test(keys_are_different),
		cmocka_unit_test(keys_are_made_without_randomness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
