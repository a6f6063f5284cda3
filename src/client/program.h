/* What the program calls itself, in every message. */
#ifndef CLIENT_PROGRAM_H
#define CLIENT_PROGRAM_H

#define PROGRAM_NAME "timeclient"

#endif
