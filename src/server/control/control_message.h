/* What is said at the control socket: a line of JSON each way.
 *
 *	{"version":1,"command":"status"}	or "reload", or "upgrade"
 *	{"version":1,"status":0,"text":""}	an exit status, and why
 *
 * The reply to "status" is what stats/describe.h describes, with a status too. */
#ifndef SERVER_CONTROL_MESSAGE_H
#define SERVER_CONTROL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"

#define CONTROL_MESSAGE_VERSION 1

enum control_command {
	CONTROL_COMMAND_STATUS,
	CONTROL_COMMAND_RELOAD,
	CONTROL_COMMAND_UPGRADE,
	CONTROL_COMMAND_INVALID, /* it is not to be understood */
};

/* The reply where there is no memory for another. */
#define CONTROL_MESSAGE_FAILED "{\"version\":1,\"status\":1,\"text\":\"cannot do that now\"}"

/* Reads a request. */
enum control_command control_message_read(const char *line);

/* The line for a request. */
const char *control_message_command(enum control_command request);

/* The line for a reply without more in it, to be freed; NULL if memory is short. */
char *control_message_reply(enum exit_status status, const char *text);

/* Reads such a reply: its status, and its text into text. One that is not to be understood is
 * EXIT_NOT_STARTED. */
enum exit_status control_message_read_reply(const char *line, char *text, size_t size);

#endif
