/* Messages on the control socket: a line of JSON each way.
 *
 *	{"version":1,"command":"status"}	or "reload", "upgrade", "serving"
 *	{"version":1,"status":0,"text":""}	an exit status, and the errors
 *
 * The text is one phrase, or lines that end in a newline, as --signal prints them. The reply to
 * "status" is figures_json (stats/figures_json.h) with a status. "upgrade" and "serving" are the
 * new process's: see upgrade/upgrade_message.h. */
#ifndef SERVER_CONTROL_MESSAGE_H
#define SERVER_CONTROL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"

enum control_command {
	CONTROL_COMMAND_STATUS,
	CONTROL_COMMAND_RELOAD,
	CONTROL_COMMAND_UPGRADE,
	CONTROL_COMMAND_SERVING,
	CONTROL_COMMAND_INVALID, /* malformed or unknown */
};

/* The reply when memory is short. */
#define CONTROL_MESSAGE_FAILED "{\"version\":1,\"status\":1,\"text\":\"out of memory\"}"

/* Reads a request. */
enum control_command control_message_read(const char *line);

/* The request for a command. */
const char *control_message_command(enum control_command command);

/* Makes the reply to a request other than "status", to be freed; NULL if memory is short. */
char *control_message_reply(enum exit_status status, const char *text);

/* Reads a reply: returns its status and copies its text, cut to size bytes. A malformed reply
 * counts as EXIT_NOT_STARTED. */
enum exit_status control_message_read_reply(const char *line, char *text, size_t size);

#endif
