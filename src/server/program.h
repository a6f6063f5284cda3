/* What the program calls itself, in every message and in the log. */
#ifndef SERVER_PROGRAM_H
#define SERVER_PROGRAM_H

#define PROGRAM_NAME "timeserver"

#endif
