/* The time server itself. */
#ifndef SERVER_MAIN_H
#define SERVER_MAIN_H

/* Runs the program as its command line says. Returns the exit status. */
int server_main(int argc, char **argv);

#endif
