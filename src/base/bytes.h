/* Bounded cursors for reading and writing bytes. Running out of bytes or of room sets a sticky
 * error instead of going past the end, so a caller handles all its fields and checks once. Numbers
 * are in network byte order. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes_reader {
	const uint8_t *next;
	const uint8_t *end;
	bool failed; /* a read went past the end; stays set */
};

/* A reader of size bytes, which stay the caller's. */
static inline struct bytes_reader bytes_reader_open(const void *bytes, size_t size)
{
	const uint8_t *start = bytes;

	return (struct bytes_reader){ .next = start, .end = start + size };
}

/* The bytes left to read: 0 after a failure. */
static inline size_t bytes_left(const struct bytes_reader *reader)
{
	return reader->failed ? 0 : (size_t)(reader->end - reader->next);
}

/* Skips size bytes and returns their start; NULL if there are fewer. */
static inline const uint8_t *bytes_skip(struct bytes_reader *reader, size_t size)
{
	const uint8_t *bytes = reader->next;

	if (bytes_left(reader) < size) {
		reader->failed = true;
		return NULL;
	}
	reader->next += size;
	return bytes;
}

/* The next number of 8, 16, 32 or 64 bits; 0 if it is missing. */
static inline uint8_t bytes_get_8(struct bytes_reader *reader)
{
	const uint8_t *bytes = bytes_skip(reader, 1);

	return bytes ? *bytes : 0;
}

static inline uint16_t bytes_get_16(struct bytes_reader *reader)
{
	const uint8_t *bytes = bytes_skip(reader, sizeof(uint16_t));
	uint16_t number = 0;

	if (bytes)
		memcpy(&number, bytes, sizeof(number));
	return be16toh(number);
}

static inline uint32_t bytes_get_32(struct bytes_reader *reader)
{
	const uint8_t *bytes = bytes_skip(reader, sizeof(uint32_t));
	uint32_t number = 0;

	if (bytes)
		memcpy(&number, bytes, sizeof(number));
	return be32toh(number);
}

static inline uint64_t bytes_get_64(struct bytes_reader *reader)
{
	const uint8_t *bytes = bytes_skip(reader, sizeof(uint64_t));
	uint64_t number = 0;

	if (bytes)
		memcpy(&number, bytes, sizeof(number));
	return be64toh(number);
}

struct bytes_writer {
	uint8_t *start;
	uint8_t *next;
	uint8_t *end;
	bool failed; /* something did not fit; stays set */
};

/* A writer to buffer, which has size bytes and stays the caller's. */
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

/* Appends a number of 32 or 64 bits. */
static inline void bytes_put_32(struct bytes_writer *writer, uint32_t number)
{
	number = htobe32(number);
	bytes_put(writer, &number, sizeof(number));
}

static inline void bytes_put_64(struct bytes_writer *writer, uint64_t number)
{
	number = htobe64(number);
	bytes_put(writer, &number, sizeof(number));
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

/* The bytes written: 0 after a failure, so that a reply is whole or there is none. */
static inline size_t bytes_written(const struct bytes_writer *writer)
{
	return writer->failed ? 0 : (size_t)(writer->next - writer->start);
}

#endif
