/* A bounded cursor over bytes to be written. Running out of room sets a sticky error instead of
 * writing past the end, so a caller writes all its fields and asks once whether they fitted. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes_writer {
	uint8_t *start;
	uint8_t *next;
	uint8_t *end;
	bool failed; /* something did not fit, or could not be expressed; stays set */
};

/* Starts writing at buffer, which stays the caller's and holds size bytes. */
static inline struct bytes_writer bytes_writer_open(void *buffer, size_t size)
{
	uint8_t *start = buffer;

	return (struct bytes_writer){ .start = start, .next = start, .end = start + size };
}

/* Appends size bytes, all or none. */
static inline void bytes_put(struct bytes_writer *writer, const void *bytes, size_t size)
{
	if (writer->failed || (size_t)(writer->end - writer->next) < size) {
		writer->failed = true;
		return;
	}
	memcpy(writer->next, bytes, size);
	writer->next += size;
}

/* Appends a byte. */
static inline void bytes_put_byte(struct bytes_writer *writer, uint8_t byte)
{
	bytes_put(writer, &byte, 1);
}

/* Appends value in decimal, at least width wide, filled on the left with pad. */
static inline void bytes_put_decimal(struct bytes_writer *writer, unsigned value, unsigned width,
				     char pad)
{
	uint8_t digits[16];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (uint8_t)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (first > 0 && sizeof(digits) - first < width)
		digits[--first] = (uint8_t)pad;
	bytes_put(writer, digits + first, sizeof(digits) - first);
}

/* How many bytes are ready to be sent: 0 if anything failed, so that a reply is whole or
 * silence. */
static inline size_t bytes_written(const struct bytes_writer *writer)
{
	return writer->failed ? 0 : (size_t)(writer->next - writer->start);
}

#endif
