/*
 * echo: a minimal UDP server, the limit to compare with: sends datagrams back unchanged, in
 * batches. One thread, blocking.
 *
 * usage: echo PORT
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BATCH 64
#define SIZE  1280

int main(int argc, char **argv)
{
	static uint8_t bytes[BATCH][SIZE];
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct sockaddr_in peers[BATCH];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons((uint16_t)(argc == 2 ? atoi(argv[1]) : 0));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("echo");
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &peers[i];
	}
	for (;;) {
		int count;

		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){ bytes[i], SIZE };
			messages[i].msg_hdr.msg_namelen = sizeof(peers[i]);
		}
		count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < count; i++)
			parts[i].iov_len = messages[i].msg_len;
		if (count > 0)
			sendmmsg(fd, messages, (unsigned int)count, 0);
	}
}
