/* The web process. */
#ifndef WEB_MAIN_H
#define WEB_MAIN_H

/* Runs in the role of stats/web_role.h. words is what follows --role=web. Returns the exit
 * status. */
int web_main(char **words);

#endif
