/* Inside the configuration: the table of directives, the types of its rows, and the reader of lines
 * and files that applies them. */
#ifndef SERVER_CONFIG_PARSE_H
#define SERVER_CONFIG_PARSE_H

#include "server/config/config.h"

#define CONFIG_WORDS_MAX 63 /* in a line */
#define CONFIG_DEPTH_MAX 8  /* of files that include one another */

/* The state of one config_load. */
struct config_parser {
	struct config *config;
	FILE *errors;
	unsigned error_count;
	unsigned passing_count;	      /* errors that may pass by themselves; part of error_count */
	const char *file;	      /* being read, as errors name it */
	unsigned line;		      /* 0: the file as a whole */
	const struct config_row *row; /* being applied */
	const char *directive;	      /* its name in errors; NULL: none */
	unsigned depth;		      /* of includes */
	const char *running_as;	      /* as in config_source */

	/* Places as "FILE:LINE", so that an error can name the other line of a duplicate; NULL:
	 * none. */
	char **first;	/* of each row of the table, in the present source */
	char **listens; /* of each of the configuration's listens */

	/* The place of the "clock" in effect. */
	char clock_file[PATH_MAX];
	unsigned clock_line;
};

enum config_type {
	CONFIG_FLAG,	/* bool: on, also without a word, or off */
	CONFIG_NUMBER,	/* unsigned */
	CONFIG_CHOICE,	/* int: one of the row's choices */
	CONFIG_PATH,	/* char[PATH_MAX]: absolute, since a daemon's working directory is "/" */
	CONFIG_USER,	/* struct user */
	CONFIG_GRAMMAR, /* what the row's parse and dump make of it */
};

/* A word and the value that it stands for. */
struct config_choice {
	const char *name;
	int value;
};

/* A directive. */
struct config_row {
	const char *name;
	enum config_type type;
	unsigned words_min, words_max;	     /* after the name */
	bool repeatable;		     /* a second one in a source is no error */
	const char *expected;		     /* for errors */
	size_t offset;			     /* of the field in struct config */
	const char *initial;		     /* the default, as in a file; NULL: all zero */
	unsigned minimum, maximum;	     /* of a number */
	const char *special;		     /* the word for a number 0 or for no path; or NULL */
	const struct config_choice *choices; /* up to one without a name */

	/* Of a grammar. parse reads words, which a NULL ends; false: the first is not what was
	 * expected; it writes any other error. dump writes lines that parse reads back to the same;
	 * NULL: there is nothing to write. */
	bool (*parse)(struct config_parser *parser, const char **words);
	void (*dump)(const struct config *config, FILE *out);
};

extern const struct config_row config_rows[];
extern const size_t config_row_count;

/* Of the type of a row: as parse and dump of a grammar. */
bool config_row_parse(struct config_parser *parser, const char **words);
void config_row_dump(const struct config *config, const struct config_row *row, FILE *out);

/* The grammars. */
bool config_listen_parse(struct config_parser *parser, const char **words);
bool config_clock_parse(struct config_parser *parser, const char **words);
bool config_access_parse(struct config_parser *parser, const char **words);
bool config_ratelimit_parse(struct config_parser *parser, const char **words);
bool config_include_parse(struct config_parser *parser, const char **words);
bool config_confdir_parse(struct config_parser *parser, const char **words);
void config_listen_dump(const struct config *config, FILE *out);
void config_clock_dump(const struct config *config, FILE *out);
void config_access_dump(const struct config *config, FILE *out);
void config_ratelimit_dump(const struct config *config, FILE *out);

extern const struct config_ratelimit config_ratelimit_default;

/* Of an address that needs a zone. */
#define CONFIG_LACKS_ZONE \
	"link-local address without a zone: expected the interface after it, such as [fe80::1%eth0]"

/* Returns the parser's place as errors name it, to be freed; NULL after an error. */
char *config_place(struct config_parser *parser);

/* Checks when all is read that "clock follow" does not name a listener of the same configuration. */
void config_clock_check(struct config_parser *parser, bool look_up);

/* Whether the two sockets could not both be bound. */
bool config_listen_collide(const struct config_listen *a, const struct config_listen *b);

/* Writes an error at the parser's place. */
void config_error(struct config_parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reads the number in a part of a directive, "NAME WORD"; false after an error. */
bool config_parse_number(struct config_parser *parser, const char *name, const char *word,
			 unsigned minimum, unsigned maximum, unsigned *number);

/* Returns the row of a directive; NULL: there is none. */
const struct config_row *config_find_row(const char *name);

/* Applies a row to words, which a NULL ends; errors call the directive name. */
void config_apply(struct config_parser *parser, const struct config_row *row, const char *name,
		  const char **words);

void config_read_line(struct config_parser *parser, const char *line);

void config_read_file(struct config_parser *parser, const char *path);

#endif
