/* The signals of this program's processes. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

/* Unblocks all signals and sets their actions, whatever the caller left: ignored, if the default
 * would end the process and the signal has no meaning here; else the default. A fault of the
 * process itself ends it nevertheless. SIGHUP, SIGINT and SIGTERM keep the default, for the program
 * to handle, and SIGABRT, by which a service manager ends a process that hangs. */
void signals_reset(void);

#endif
