/* Text that strangers had a hand in, made fit to be shown to people and to logs. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copies size bytes into escaped, which holds capacity (at least 4) bytes: printable ASCII as it
 * is, everything else as \n, \r, \t or \xNN. Escaping twice is escaping once. Always terminated;
 * what does not fit is cut off before an escape, never inside one, and shown as "...". Returns
 * escaped. */
char *text_escape(char *escaped, size_t capacity, const void *bytes, size_t size);

/* Reads text as a decimal number from minimum to maximum: digits only, no sign, no blank.
 * Returns false, and leaves number alone, for anything else. */
bool text_to_number(const char *text, unsigned minimum, unsigned maximum, unsigned *number);

#endif
