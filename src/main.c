/* timeserver: the program runs as the time server, or in the role of one of its child processes. */
#include <string.h>

#include "base/role.h"
#include "server/main.h"
#include "stats/web_role.h"
#include "web/main.h"

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], ROLE_OPTION WEB_ROLE_NAME) == 0)
		return web_main(argv + 2);
	return server_main(argc, argv);
}
