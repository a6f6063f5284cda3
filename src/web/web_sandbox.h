/* The sandbox of the web process, which has the daemon's already. */
#ifndef WEB_WEB_SANDBOX_H
#define WEB_WEB_SANDBOX_H

/* From here on the process can open no file and no socket, start no process and signal none; it can
 * accept connections on its listeners. What the kernel does not support is left out. */
void web_sandbox_enter(void);

#endif
