#include "server/config/config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "server/config/config_parse.h"

static void set_defaults(struct config_parser *parser, const struct config_source *source)
{
	*parser->config = (struct config){ .ratelimit = config_ratelimit_default };
	if (source->default_pidfile)
		snprintf(parser->config->pidfile, PATH_MAX, "%s", source->default_pidfile);
	if (source->default_user)
		parser->config->user = *source->default_user;
	for (size_t i = 0; i < config_row_count; i++) {
		const char *words[] = { config_rows[i].initial, NULL };

		parser->row = &config_rows[i];
		if (words[0])
			config_row_parse(parser, words);
	}
}

/* Forgets the places of rows: the next source may override. */
static void start_source(struct config_parser *parser)
{
	for (size_t i = 0; i < config_row_count; i++) {
		free(parser->first[i]);
		parser->first[i] = NULL;
	}
}

static void read_options(struct config_parser *parser, const struct config_source *source)
{
	parser->file = "option";
	start_source(parser);
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
	start_source(parser);
	if (value)
		config_apply(parser, config_find_row(directive), option, words);
}

static void read_sources(struct config_parser *parser, const struct config_source *source)
{
	struct config *config = parser->config;

	if (config->file)
		config_read_file(parser, config->file);
	read_options(parser, source);
	read_value(parser, "user", "--user", source->user);
	read_value(parser, "pidfile", "--pidfile", source->pidfile);
	config->default_listen = config->listen_count == 0;
	if (config->default_listen)
		config_read_line(parser, "listen daytime/tcp *:5050");
	config_clock_check(parser, source->look_up);
	if (!access_build(&config->access))
		config_error(parser, "%s", strerror(errno));
}

static void free_places(struct config_parser *parser)
{
	start_source(parser);
	free(parser->first);
	for (size_t i = 0; parser->listens && i < parser->config->listen_count; i++)
		free(parser->listens[i]);
	free(parser->listens);
}

bool config_load(struct config *config, const struct config_source *source, FILE *errors)
{
	struct config_parser parser = {
		.config = config,
		.errors = errors,
		.file = PROGRAM_NAME,
		.running_as = source->running_as,
	};

	set_defaults(&parser, source);
	if (source->file &&
	    !(source->file_optional && access(source->file, F_OK) < 0 && errno == ENOENT))
		config->file = source->file;
	parser.first = calloc(config_row_count, sizeof(*parser.first));
	if (!parser.first) {
		config_error(&parser, "out of memory");
		config->error_status = EXIT_NOT_STARTED;
		return false;
	}
	read_sources(&parser, source);
	free_places(&parser);
	config->error_status =
		parser.error_count == parser.passing_count ? EXIT_NOT_STARTED : EXIT_CONFIGURATION;
	return parser.error_count == 0;
}

/* Adds a word, or that there is none. */
static void hash_word(uint64_t *hash, const char *word)
{
	const struct hash_key key = { *hash, word ? 1 : 0 };

	*hash = hash_bytes(&key, word, word ? strlen(word) : 0);
}

uint64_t config_source_hash(const struct config_source *source)
{
	uint64_t hash = source->file_optional;

	hash_word(&hash, source->file);
	for (size_t i = 0; i < source->option_count; i++)
		hash_word(&hash, source->options[i]);
	hash_word(&hash, NULL);
	hash_word(&hash, source->user);
	return hash;
}

/* An error without a file begins with the program's name, which the record has anyway. */
static const char *skip_program(const char *line)
{
	static const char name[] = PROGRAM_NAME ": ";

	return strncmp(line, name, strlen(name)) == 0 ? line + strlen(name) : line;
}

void config_log_lines(int priority, const char *lines, size_t size)
{
	const char *line, *end;
	size_t more = 0;

	for (line = lines; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		if ((size_t)(end + 1 - lines) > size)
			more++;
		else
			log_write(priority, "%.*s", (int)(end - skip_program(line)),
				  skip_program(line));
	}
	if (more > 0)
		log_write(LOG_ERR, "%zu more errors", more);
}

void config_print_errors(const char *errors)
{
	if (log_is_journal(STDERR_FILENO)) {
		config_log_lines(LOG_ERR, errors, SIZE_MAX);
		return;
	}
	while (*errors != '\0') {
		size_t length = strcspn(errors, "\n");

		text_print(stderr, errors, length);
		fputc('\n', stderr);
		errors += length + (errors[length] == '\n');
	}
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
