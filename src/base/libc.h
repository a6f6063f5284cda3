/* The C library. */
#ifndef BASE_LIBC_H
#define BASE_LIBC_H

#if __has_include(<gnu/libc-version.h>)

#include <gnu/libc-version.h>

#define LIBC_NAME "glibc "

static inline const char *libc_version(void)
{
	return gnu_get_libc_version();
}

#else

#define LIBC_NAME "musl"

/* musl does not tell it. */
static inline const char *libc_version(void)
{
	return "";
}

#endif

#endif
