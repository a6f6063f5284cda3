/* A target: whom to ask, and how. */
#ifndef CLIENT_TARGET_H
#define CLIENT_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "client/query.h"

#define TARGET_DEFAULT	    "127.0.0.1"
#define TARGET_DEFAULT_PORT 5050 /* of a target that names neither scheme nor port */

#define TARGET_HOST_LIMIT   253 /* characters; a name can have no more */
#define TARGET_NAME_SIZE    (TARGET_HOST_LIMIT + sizeof("[]:65535"))
#define TARGET_URL_SIZE	    (TARGET_NAME_SIZE + sizeof("daytime+udp://"))
#define TARGET_PROBLEM_SIZE 128

struct target {
	const struct query_scheme *scheme;
	/* A name or an address, without brackets; printable ASCII. */
	char host[TARGET_HOST_LIMIT + 1];
	uint16_t port;
	char name[TARGET_NAME_SIZE]; /* HOST:PORT or [HOST]:PORT: what messages call it */
	char url[TARGET_URL_SIZE];   /* SCHEME://HOST, and the port if it is not the scheme's */
};

/* Reads word, [SCHEME://]HOST[:PORT]. Returns true, or false with what is wrong written to
 * problem. No name is looked up. */
bool target_parse(struct target *target, const char *word,
		  char problem[static TARGET_PROBLEM_SIZE]);

#endif
