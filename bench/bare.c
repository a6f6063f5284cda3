/*
 * bare: a minimal Daytime server, the limit to compare with: accept, write a fixed text, close.
 * One thread, blocking. With "more", text and FIN leave in one segment and the connection is closed
 * at once: no server is faster, but a client that has sent something gets a reset.
 *
 * usage: bare PORT [more]
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	static const char text[] = "Sun Nov 22 19:15:08 2026\r\n";
	int listener = argc >= 2 ? listen_on((uint16_t)atoi(argv[1])) : -1;
	int flags = argc == 3 ? MSG_MORE : 0;

	if (listener < 0) {
		perror("bare");
		return 1;
	}
	for (;;) {
		int fd = accept4(listener, NULL, NULL, 0);

		if (fd < 0 || send(fd, text, sizeof(text) - 1, flags) < 0)
			perror("bare");
		close(fd);
	}
}
