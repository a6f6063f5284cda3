/* Replaces libFuzzer to replay known inputs: the files in the directories that are its arguments.
 * Linked with a fuzzer; works with any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MAX_OF_INPUT (1 << 20)

static int fail(const char *path)
{
	perror(path);
	return EXIT_FAILURE;
}

/* In memory of its exact size, so that a sanitizer detects a read beyond its end. */
static int try_file(const char *directory, const char *name)
{
	static uint8_t buffer[SIZE_MAX_OF_INPUT];
	char path[4096];
	uint8_t *input;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (!file)
		return fail(path);
	size = fread(buffer, 1, sizeof(buffer), file);
	fclose(file);
	input = malloc(size > 0 ? size : 1);
	if (!input)
		return fail(path);
	for (size_t i = 0; i < size; i++)
		input[i] = buffer[i];
	LLVMFuzzerTestOneInput(input, size);
	free(input);
	return EXIT_SUCCESS;
}

static int try_directory(const char *path, unsigned *count)
{
	DIR *directory = opendir(path);
	int status = EXIT_SUCCESS;
	struct dirent *entry;

	if (!directory)
		return fail(path);
	while (status == EXIT_SUCCESS && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		status = try_file(path, entry->d_name);
		++*count;
	}
	closedir(directory);
	return status;
}

int main(int argc, char **argv)
{
	int status = EXIT_SUCCESS;
	unsigned count = 0;

	for (int i = 1; i < argc && status == EXIT_SUCCESS; i++)
		status = try_directory(argv[i], &count);
	if (status == EXIT_SUCCESS)
		printf("%u inputs\n", count);
	return status == EXIT_SUCCESS && count == 0 ? EXIT_FAILURE : status;
}
