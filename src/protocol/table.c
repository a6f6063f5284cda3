#include <stdio.h>
#include <string.h>

#include "protocol/protocol.h"

const struct protocol protocol_table[] = {
	{ "daytime", TRANSPORT_TCP, 13, daytime_reply },
};

const size_t protocol_count = sizeof(protocol_table) / sizeof(protocol_table[0]);

const struct protocol *protocol_find(const char *word)
{
	char candidate[PROTOCOL_WORD_SIZE];

	for (size_t i = 0; i < protocol_count; i++) {
		if (strcmp(protocol_word(&protocol_table[i], candidate), word) == 0)
			return &protocol_table[i];
	}
	return NULL;
}

const char *protocol_word(const struct protocol *protocol, char word[static PROTOCOL_WORD_SIZE])
{
	snprintf(word, PROTOCOL_WORD_SIZE, "%s/%s", protocol->name,
		 transport_name(protocol->transport));
	return word;
}

const char *transport_name(enum transport transport)
{
	switch (transport) {
	case TRANSPORT_TCP:
		return "tcp";
	}
	return "";
}
