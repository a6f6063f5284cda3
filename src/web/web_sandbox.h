/* What the web process gives up beyond what the daemon, whose rights it has, gave up before. */
#ifndef WEB_WEB_SANDBOX_H
#define WEB_WEB_SANDBOX_H

/* From here on: no file, no new socket, no connection but those that come to its listeners, no
 * other process. As far as the kernel can. */
void web_confine(void);

#endif
