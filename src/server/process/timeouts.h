/* Time-outs with an order, in seconds: a waiter waits longer than what it waits for may take, so
 * that it can report why. */
#ifndef SERVER_TIMEOUTS_H
#define SERVER_TIMEOUTS_H

/* Until a child sends ROLE_READY; a reload and a start wait for it. */
#define TIMEOUT_CHILD_START 5

/* Until the daemon has handed over everything to a process that takes over. */
#define TIMEOUT_TAKE_OVER 8

/* Until a daemon serves, as its parent in the terminal waits; until it has carried out --signal. */
#define TIMEOUT_START	10
#define TIMEOUT_COMMAND 10

/* Until the process that takes over serves, as the daemon that hands over waits. */
#define TIMEOUT_HAND_OVER 15

_Static_assert(TIMEOUT_CHILD_START < TIMEOUT_TAKE_OVER, "a reload may delay the reply");
_Static_assert(TIMEOUT_CHILD_START < TIMEOUT_COMMAND, "a reload waits for a child");
_Static_assert(TIMEOUT_TAKE_OVER < TIMEOUT_START, "a start waits for the reply");
_Static_assert(TIMEOUT_START < TIMEOUT_HAND_OVER, "a start is part of taking over");

#endif
