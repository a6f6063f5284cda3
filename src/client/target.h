/* A target: a server and the scheme to query it by. */
#ifndef CLIENT_TARGET_H
#define CLIENT_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "client/query.h"

#define TARGET_DEFAULT	    "127.0.0.1"
#define TARGET_DEFAULT_PORT 5050 /* of a target without scheme and port */

#define TARGET_HOST_MAX	    253 /* characters, the limit of DNS */
#define TARGET_NAME_SIZE    (TARGET_HOST_MAX + sizeof("[]:65535"))
#define TARGET_URL_SIZE	    (TARGET_NAME_SIZE + sizeof("daytime+udp://"))
#define TARGET_PROBLEM_SIZE 128

struct target {
	const struct query_scheme *scheme;
	/* a name or an address without brackets, printable ASCII */
	char host[TARGET_HOST_MAX + 1];
	uint16_t port;
	char name[TARGET_NAME_SIZE]; /* HOST:PORT or [HOST]:PORT, for messages */
	char url[TARGET_URL_SIZE];   /* SCHEME://HOST, with the port if it is not the default */
};

/* Parses [SCHEME://]HOST[:PORT]. Returns false with a message in problem if it is wrong. Looks up
 * no name. */
bool target_parse(struct target *target, const char *word,
		  char problem[static TARGET_PROBLEM_SIZE]);

#endif
