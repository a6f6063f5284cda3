/* The time-outs that have an order, in seconds: the one that waits for another must be the longer
 * one, so that there is a reason to report when it ends. */
#ifndef SERVER_TIMEOUTS_H
#define SERVER_TIMEOUTS_H

/* A child process is to say that it is ready. A reload waits for this, and so does a start. */
#define TIMEOUT_CHILD_START 5

/* The daemon is to reply to a process that wants to take over. */
#define TIMEOUT_TAKE_OVER 8

/* The daemon is to start, judged by the process that was run in the terminal; and it is to carry
 * out what --signal asks for. */
#define TIMEOUT_START	10
#define TIMEOUT_COMMAND 10

/* The process that takes over is to serve, judged by the daemon that hands over. */
#define TIMEOUT_HAND_OVER 15

_Static_assert(TIMEOUT_CHILD_START < TIMEOUT_TAKE_OVER, "a reload may delay the reply");
_Static_assert(TIMEOUT_CHILD_START < TIMEOUT_COMMAND, "a reload waits for a child");
_Static_assert(TIMEOUT_TAKE_OVER < TIMEOUT_START, "a start waits for the reply");
_Static_assert(TIMEOUT_START < TIMEOUT_HAND_OVER, "a start is part of taking over");

#endif
