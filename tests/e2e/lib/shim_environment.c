/* For LD_PRELOAD: aborts a program that changes its environment while it has several threads, since
 * others may call getenv(3). */
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>

static void require_one_thread(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	while (tasks && readdir(tasks))
		count++;
	if (!tasks || count > 3) /* one, and two dots */
		abort();
	closedir(tasks);
}

/* The C library declares them with reserved names.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int setenv(const char *name, const char *value, int overwrite)
{
	require_one_thread();
	return ((int (*)(const char *, const char *, int))dlsym(RTLD_NEXT, "setenv"))(name, value,
										      overwrite);
}

int unsetenv(const char *name)
{
	require_one_thread();
	return ((int (*)(const char *))dlsym(RTLD_NEXT, "unsetenv"))(name);
}

int putenv(char *variable)
{
	require_one_thread();
	return ((int (*)(char *))dlsym(RTLD_NEXT, "putenv"))(variable);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
