/* System calls newer than Linux 4.18, the oldest kernel that is supported: each caller has a way
 * without them. They are made by number, because older C libraries have no functions for them and
 * older headers no numbers. */
#ifndef BASE_SYSCALLS_H
#define BASE_SYSCALLS_H

#include <sys/syscall.h>

/* The first of them. Since Linux 5.1 a new call has one number on all architectures; an exception
 * is alpha, whose headers have to have them. */
#define SYSCALLS_NEW 424

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule	    445
#define SYS_landlock_restrict_self  446
#endif

#endif
