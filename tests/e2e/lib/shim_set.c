/* For LD_PRELOAD: logs changes of the clock to the file named by SHIM_SET, and makes none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

static int note(const char *how, const struct timeval *span)
{
	FILE *file = fopen(getenv("SHIM_SET"), "a");

	if (span->tv_usec < 0 || span->tv_usec > 999999)
		abort();
	if (!file || getenv("SHIM_SET_ERROR")) {
		errno = EPERM;
		return -1;
	}
	fprintf(file, "%s %f\n", how, (double)span->tv_sec + (double)span->tv_usec / 1e6);
	return fclose(file);
}

/* The C library declares them with reserved names.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int clock_adjtime(clockid_t clock, struct timex *change)
{
	if (clock != CLOCK_REALTIME || change->modes != ADJ_SETOFFSET)
		abort();
	return note("step", &change->time);
}

int adjtime(const struct timeval *delta, struct timeval *left)
{
	if (left)
		*left = (struct timeval){ 0 };
	return delta ? note("slew", delta) : 0;
}

int adjtimex(struct timex *change)
{
	(void)change;
	return 0;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
