#include "server/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config/config_parse.h"
#include "server/process/pidfile.h"

static void set_defaults(struct config_parser *parser)
{
	*parser->config = (struct config){ .ratelimit = config_ratelimit_default };
	pidfile_default_path(parser->config->pidfile);
	for (size_t i = 0; i < config_row_count; i++) {
		const char *words[] = { config_rows[i].initial, NULL };

		parser->row = &config_rows[i];
		if (words[0])
			config_row_parse(parser, words);
	}
}

static void read_options(struct config_parser *parser, const struct config_source *source)
{
	parser->file = "option";
	parser->seen = 0; /* an option may override the file */
	for (size_t i = 0; i < source->option_count; i++) {
		parser->line = (unsigned)i + 1;
		config_read_line(parser, source->options[i]);
	}
	parser->line = 0;
}

/* Applies a directive that has a command line option of its own. */
static void read_value(struct config_parser *parser, const char *directive, const char *option,
		       const char *value)
{
	const char *words[] = { value, NULL };

	parser->file = PROGRAM_NAME;
	parser->seen = 0;
	if (value)
		config_apply(parser, config_find_row(directive), option, words);
}

bool config_load(struct config *config, const struct config_source *source, FILE *errors)
{
	struct config_parser parser = { .config = config, .errors = errors, .file = PROGRAM_NAME };

	set_defaults(&parser);
	if (source->file &&
	    !(source->file_optional && access(source->file, F_OK) < 0 && errno == ENOENT))
		config_read_file(&parser, source->file);
	read_options(&parser, source);
	read_value(&parser, "user", "--user", source->user);
	read_value(&parser, "pidfile", "--pidfile", source->pidfile);
	config->default_listen = config->listen_count == 0;
	if (config->default_listen)
		config_read_line(&parser, "listen daytime/tcp *:5050");
	if (!access_build(&config->access))
		config_error(&parser, "%s", strerror(errno));
	return parser.error_count == 0;
}

void config_dump(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config_row_count; i++)
		config_row_dump(config, &config_rows[i], out);
}

void config_free(struct config *config)
{
	access_free(&config->access);
	free(config->listens);
	config->listens = NULL;
	config->listen_count = 0;
}
