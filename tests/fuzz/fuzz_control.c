/* Requests and replies on the control socket, and the messages of an upgrade. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/control/control.h"
#include "server/control/control_message.h"
#include "server/status.h"
#include "server/upgrade/upgrade_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[CONTROL_REQUEST_MAX], text[256];
	struct upgrade_message message;
	FILE *out = fopen("/dev/null", "w");

	size = size < sizeof(line) ? size : sizeof(line) - 1;
	memcpy(line, data, size);
	line[size] = '\0';
	control_message_read(line);
	upgrade_message_read(line, &message);
	if (message.item == UPGRADE_LISTENER && !message.listener.protocol)
		abort();
	control_message_read_reply(line, text, sizeof(text));
	if (!out)
		abort();
	status_print(line, out);
	status_print_json(line, out);
	fclose(out);
	return 0;
}
