#include "server/control/control_message.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const commands[] = {
	[REQUEST_STATUS] = "status",
	[REQUEST_RELOAD] = "reload",
	[REQUEST_UPGRADE] = "upgrade",
};

static enum request find(const char *command)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(command, commands[i]) == 0)
			return (enum request)i;
	}
	return REQUEST_NONE;
}

enum request request_read(const char *line)
{
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	enum request found = REQUEST_NONE;
	const char *command;
	int version;

	if (request &&
	    json_unpack(request, "{s:i, s:s}", "version", &version, "command", &command) == 0 &&
	    version == REQUEST_VERSION)
		found = find(command);
	json_decref(request);
	return found;
}

const char *request_line(enum request request)
{
	static const char *const lines[] = {
		[REQUEST_STATUS] = "{\"version\":1,\"command\":\"status\"}\n",
		[REQUEST_RELOAD] = "{\"version\":1,\"command\":\"reload\"}\n",
		[REQUEST_UPGRADE] = "{\"version\":1,\"command\":\"upgrade\"}\n",
	};

	return lines[request];
}

char *request_reply(enum exit_status status, const char *text)
{
	json_t *reply = json_pack("{s:i, s:i, s:s}", "version", REQUEST_VERSION, "status",
				  (int)status, "text", text);
	char *line = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

	json_decref(reply);
	return line;
}

enum exit_status request_read_reply(const char *line, char *text, size_t size)
{
	json_t *reply = json_loads(line, 0, NULL);
	int status = EXIT_NOT_STARTED;
	const char *why = "";

	if (!reply || json_unpack(reply, "{s:i, s?s}", "status", &status, "text", &why) < 0) {
		status = EXIT_NOT_STARTED;
		why = "an answer that is not to be understood";
	}
	snprintf(text, size, "%s", why);
	json_decref(reply);
	return (enum exit_status)status;
}
