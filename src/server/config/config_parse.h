/* Inside the configuration: between the reader of lines and the table of directives. */
#ifndef SERVER_CONFIG_PARSE_H
#define SERVER_CONFIG_PARSE_H

#include "server/config/config.h"

#define CONFIG_WORDS_MAX 64 /* in a line */

/* Files and directories that include one another. */
#define CONFIG_DEPTH_MAX 8

struct config_parser {
	struct config *config;
	FILE *errors;
	unsigned error_count;
	const char *file;      /* being read, as a person would name it */
	unsigned line;	       /* 0: the file as a whole */
	const char *directive; /* being read, or NULL */
	unsigned depth;
	unsigned seen; /* a bit for each row of the table that stands only once */
};

/* A directive is a row: its word, how many words may follow it, and what it does with them. */
struct config_directive {
	const char *name;
	unsigned minimum, maximum;
	bool once; /* a second one in the same source is an error */
	const char *expected;
	void (*apply)(struct config_parser *parser, char **words, size_t count);
};

extern const struct config_directive config_directives[];
extern const size_t config_directive_count;

/* Tells an error at the present place. */
void config_error(struct config_parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Where no line says otherwise. */
extern const struct config_clock config_default_clock;
extern const struct config_ratelimit config_default_ratelimit;

/* Directives that have a file of their own, and what they expect. */
#define CONFIG_EXPECTED_CLOCK	  "system, local [stratum N] or follow HOST[:PORT]"
#define CONFIG_EXPECTED_RATELIMIT "off, or any of: interval SECONDS, burst N, leak N"
void config_apply_clock(struct config_parser *parser, char **words, size_t count);
void config_apply_http_show_clients(struct config_parser *parser, char **words, size_t count);
void config_apply_require_sync(struct config_parser *parser, char **words, size_t count);
void config_apply_allow(struct config_parser *parser, char **words, size_t count);
void config_apply_deny(struct config_parser *parser, char **words, size_t count);
void config_apply_ratelimit(struct config_parser *parser, char **words, size_t count);
void config_apply_workers(struct config_parser *parser, char **words, size_t count);
void config_apply_busy_poll(struct config_parser *parser, char **words, size_t count);

/* Reads a file of lines, or all files of a directory whose names end in .conf, in the order of
 * their names. A relative path starts from the directory of the file being read. */
void config_read_file(struct config_parser *parser, const char *path);
void config_read_directory(struct config_parser *parser, const char *path);

#endif
