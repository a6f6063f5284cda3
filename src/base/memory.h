/* The resident memory of this process. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/* Unmaps the code and constants of the program and its libraries: a start uses more of them than
 * serving does, and the kernel maps a page again when it is used. Leaves mappings alone in which a
 * page was changed, as by a breakpoint. Does nothing without /proc. */
void memory_release_code(void);

#endif
