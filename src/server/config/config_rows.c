#include <limits.h>
#include <string.h>
#include <syslog.h>

#include "base/text.h"
#include "server/config/config_parse.h"
#include "stats/stats.h"

static const struct config_choice facilities[] = {
	{ "auth", LOG_AUTH },	  { "authpriv", LOG_AUTHPRIV },
	{ "cron", LOG_CRON },	  { "daemon", LOG_DAEMON },
	{ "ftp", LOG_FTP },	  { "local0", LOG_LOCAL0 },
	{ "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },
	{ "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 },
	{ "local7", LOG_LOCAL7 }, { "lpr", LOG_LPR },
	{ "mail", LOG_MAIL },	  { "news", LOG_NEWS },
	{ "syslog", LOG_SYSLOG }, { "user", LOG_USER },
	{ "uucp", LOG_UUCP },	  { 0 },
};

typedef char path_field[PATH_MAX];

#define TEXT_OF(number) #number
#define TEXT(number)	TEXT_OF(number)

/* A row with a field of struct config; compilers warn if it does not have TYPE. */
#define FIELD(row_type, least, what, TYPE, member)                          \
	row_type, .words_min = (least), .words_max = 1, .expected = (what), \
		  .offset = offsetof(struct config, member) +               \
			    0 * sizeof((TYPE *)NULL == &((struct config *)NULL)->member)
#define FLAG(member) FIELD(CONFIG_FLAG, 0, "on or off", bool, member)
#define NUMBER(member, what, least, most)                                                       \
	FIELD(CONFIG_NUMBER, 1, what " from " TEXT(least) " to " TEXT(most), unsigned, member), \
		.minimum = (least), .maximum = (most)
#define CHOICE(member, what, words) FIELD(CONFIG_CHOICE, 1, what, int, member), .choices = (words)
#define PATH(member, what)	    FIELD(CONFIG_PATH, 1, what, path_field, member)
#define USER(member)		    FIELD(CONFIG_USER, 1, "the name of a user", struct user, member)
#define GRAMMAR(stem, least, most, what)                                               \
	CONFIG_GRAMMAR, .words_min = (least), .words_max = (most), .expected = (what), \
			.parse = config_##stem##_parse
#define MANY CONFIG_WORDS_MAX

const struct config_row config_rows[] = {
	{ "listen", GRAMMAR(listen, 2, MANY, "PROTOCOL and at least one ADDRESS or [ADDRESS:]PORT"),
	  .repeatable = true, .dump = config_listen_dump },
	{ "clock", GRAMMAR(clock, 1, 3, "system, local [stratum N] or follow HOST[:PORT]"),
	  .dump = config_clock_dump },
	{ "require-sync", FLAG(require_sync) },
	{ "http-show-clients", FLAG(http_show_clients) },
	{ "allow", GRAMMAR(access, 1, MANY, "all, addresses or prefixes"), .repeatable = true,
	  .dump = config_access_dump },
	{ "deny", GRAMMAR(access, 1, MANY, "all, addresses or prefixes"), .repeatable = true },
	{ "ratelimit",
	  GRAMMAR(ratelimit, 0, 6, "off, or any of: interval SECONDS, burst N, leak N"),
	  .dump = config_ratelimit_dump },
	{ "ratelimit-ceiling", NUMBER(ceiling, "off or replies a second", 1, 1000000),
	  .special = "off", .initial = "10000" },
	{ "workers", NUMBER(workers, "auto or a number", 1, STATS_WORKERS), .special = "auto" },
	{ "busy-poll", NUMBER(busy_poll, "microseconds", 0, 1000000) },
	{ "user", USER(user) },
	{ "pidfile", PATH(pidfile, "an absolute path or none"), .special = CONFIG_NO_PIDFILE },
	{ "syslog", CHOICE(facility, "a facility: daemon, user, local0 to local7, ...", facilities),
	  .initial = "daemon" },
	{ "include", GRAMMAR(include, 1, 1, "the path of a file"), .repeatable = true },
	{ "confdir", GRAMMAR(confdir, 1, 1, "the path of a directory"), .repeatable = true },
};

const size_t config_row_count = sizeof(config_rows) / sizeof(config_rows[0]);

/* The choice with a name or, if that is NULL, with a value; else the end, which has no name. */
static const struct config_choice *find_choice(const struct config_row *row, const char *name,
					       int value)
{
	const struct config_choice *choice = row->choices;

	while (choice->name && (name ? strcmp(choice->name, name) != 0 : choice->value != value))
		choice++;
	return choice;
}

bool config_row_parse(struct config_parser *parser, const char **words)
{
	const struct config_row *row = parser->row;
	void *field = (char *)parser->config + row->offset;
	bool special = row->special && strcmp(words[0], row->special) == 0, off;
	const struct config_choice *choice;

	switch (row->type) {
	case CONFIG_FLAG:
		off = words[0] && strcmp(words[0], "off") == 0;
		*(bool *)field = !off;
		return off || !words[0] || strcmp(words[0], "on") == 0;
	case CONFIG_NUMBER:
		if (special)
			*(unsigned *)field = 0;
		return special || text_to_number(words[0], row->minimum, row->maximum, field);
	case CONFIG_CHOICE:
		choice = find_choice(row, words[0], 0);
		*(int *)field = choice->value;
		return choice->name;
	case CONFIG_PATH:
		if (!special && (words[0][0] != '/' || strlen(words[0]) >= PATH_MAX))
			return false;
		strcpy(field, special ? "" : words[0]);
		return true;
	case CONFIG_USER:
		if (!user_find(field, words[0]))
			config_error(parser, "unknown user '%s'", words[0]);
		return true;
	case CONFIG_GRAMMAR:
		break;
	}
	return row->parse(parser, words);
}

static void dump_text(const struct config_row *row, const char *text, FILE *out)
{
	if (!text || text[0] == '\0')
		text = row->special;
	if (text)
		fprintf(out, "%s %s\n", row->name, text);
}

void config_row_dump(const struct config *config, const struct config_row *row, FILE *out)
{
	const void *field = (const char *)config + row->offset;

	switch (row->type) {
	case CONFIG_FLAG: /* if it is not the default, which is off without an initial word */
		if (*(const bool *)field != (row->initial != NULL))
			fprintf(out, "%s%s\n", row->name, *(const bool *)field ? "" : " off");
		break;
	case CONFIG_NUMBER:
		if (row->special && *(const unsigned *)field == 0)
			dump_text(row, "", out);
		else
			fprintf(out, "%s %u\n", row->name, *(const unsigned *)field);
		break;
	case CONFIG_CHOICE:
		dump_text(row, find_choice(row, NULL, *(const int *)field)->name, out);
		break;
	case CONFIG_PATH:
		dump_text(row, field, out);
		break;
	case CONFIG_USER:
		dump_text(row, ((const struct user *)field)->name, out);
		break;
	case CONFIG_GRAMMAR:
		if (row->dump)
			row->dump(config, out);
		break;
	}
}
