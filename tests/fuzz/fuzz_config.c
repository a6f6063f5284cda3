/* A configuration file of any bytes: either each error is a line of printable text, or the dump
 * reads back to the same dump. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Loads bytes as a file. Returns its dump or, if it is not valid, the errors; to be freed. */
static char *load(const void *data, size_t size, bool *valid)
{
	char path[64], *text = NULL;
	int fd = memfd_create("fuzz.conf", MFD_CLOEXEC);
	struct config_source source = { .file = path };
	struct config config;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	check(fd >= 0 && out && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*valid = config_load(&config, &source, out);
	check(fflush(out) == 0 && *valid == (length == 0));
	if (*valid)
		config_dump(&config, out);
	config_free(&config);
	fclose(out);
	close(fd);
	return text;
}

static void check_errors(const char *errors)
{
	size_t length = strlen(errors);

	check(length > 0 && errors[length - 1] == '\n');
	for (; *errors != '\0'; errors++)
		check(*errors == '\n' || (*errors >= 0x20 && *errors <= 0x7e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool valid, valid_again;
	char *text, *again;

	/* Files and users of this machine would make a crash hard to reproduce. */
	if (memmem(data, size, "include", 7) || memmem(data, size, "confdir", 7) ||
	    memmem(data, size, "user", 4))
		return 0;
	text = load(data, size, &valid);
	if (valid) {
		again = load(text, strlen(text), &valid_again);
		check(valid_again && strcmp(text, again) == 0);
		free(again);
	} else {
		check_errors(text);
	}
	free(text);
	return 0;
}
