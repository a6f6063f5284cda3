/* Showing answers: text for people, JSON for programs. */
#ifndef CLIENT_PRINT_H
#define CLIENT_PRINT_H

#include <stdbool.h>

#include "client/ask.h"
#include "client/target.h"

/* Prints a valid answer on standard output, at once, or the error on standard error unless quiet
 * is set. Returns false, with errno set, if standard output cannot be written. */
bool print_text(const struct target *target, const struct ask_answer *answer, bool quiet);

/* Prints either kind on standard output, at once, as a JSON object on a line of its own: seconds
 * are numbers, times are ISO 8601 in UTC. Returns false as print_text does. */
bool print_json(const struct target *target, const struct ask_answer *answer);

#endif
