#include "server/control/control_message.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define VERSION 1

static const char *const commands[] = {
	[CONTROL_COMMAND_STATUS] = "status",
	[CONTROL_COMMAND_RELOAD] = "reload",
	[CONTROL_COMMAND_UPGRADE] = "upgrade",
	[CONTROL_COMMAND_SERVING] = "serving",
};

static enum control_command find_command(const char *command)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(command, commands[i]) == 0)
			return (enum control_command)i;
	}
	return CONTROL_COMMAND_INVALID;
}

enum control_command control_message_read(const char *line)
{
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	enum control_command found = CONTROL_COMMAND_INVALID;
	const char *command;
	int version;

	if (request &&
	    json_unpack(request, "{s:i, s:s}", "version", &version, "command", &command) == 0 &&
	    version == VERSION)
		found = find_command(command);
	json_decref(request);
	return found;
}

const char *control_message_command(enum control_command command)
{
	static const char *const lines[] = {
		[CONTROL_COMMAND_STATUS] = "{\"version\":1,\"command\":\"status\"}\n",
		[CONTROL_COMMAND_RELOAD] = "{\"version\":1,\"command\":\"reload\"}\n",
		[CONTROL_COMMAND_UPGRADE] = "{\"version\":1,\"command\":\"upgrade\"}\n",
		[CONTROL_COMMAND_SERVING] = "{\"version\":1,\"command\":\"serving\"}\n",
	};

	return lines[command];
}

char *control_message_reply(enum exit_status status, const char *text)
{
	json_t *reply = json_pack("{s:i, s:i, s:s}", "version", VERSION, "status", (int)status,
				  "text", text);
	char *line = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

	json_decref(reply);
	return line;
}

enum exit_status control_message_read_reply(const char *line, char *text, size_t size)
{
	json_t *reply = json_loads(line, 0, NULL);
	int status = EXIT_NOT_STARTED;
	const char *why = "";

	if (!reply || json_unpack(reply, "{s:i, s?s}", "status", &status, "text", &why) < 0) {
		status = EXIT_NOT_STARTED;
		why = "malformed reply";
	}
	snprintf(text, size, "%s", why);
	json_decref(reply);
	return (enum exit_status)status;
}
