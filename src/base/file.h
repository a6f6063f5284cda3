/* Files whose names an operator gives: any kind of file may be there, or come to be there. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

/* What a file is, if it is not a regular one: "a directory", "a FIFO", "a socket", "a device" or
 * "a symbolic link"; else NULL. */
const char *file_kind(const struct stat *status);

/* Whether reading the file can block without end, or open it has an effect: a FIFO, or a device
 * other than /dev/null. */
bool file_can_block(const struct stat *status);

#define FILE_REASON_SIZE 128

/* Opens a regular file for reading. Anything else is refused; /dev/null counts as an empty file.
 * Returns NULL with the reason: that of strerror(3), or in its style, "Is a FIFO". */
FILE *file_open(const char *path, char reason[static FILE_REASON_SIZE]);

#endif
