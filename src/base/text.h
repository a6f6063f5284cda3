/* Text from untrusted sources. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Copies size bytes into escaped, which has room for capacity (at least 4) bytes: printable ASCII
 * as it is, everything else as \n, \r, \t or \xNN. A second escape changes nothing. Always
 * terminated; text that does not fit is cut between escapes and ends in "...". Returns escaped. */
char *text_escape(char *escaped, size_t capacity, const void *bytes, size_t size);

/* Writes size bytes to out as text_escape does, all of them. */
void text_print(FILE *out, const void *bytes, size_t size);

/* Sets number from text, decimal digits only, if it is from minimum to maximum. Returns false for
 * anything else. */
bool text_to_number(const char *text, unsigned minimum, unsigned maximum, unsigned *number);

#endif
