#include "server/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/text.h"
#include "server/config/config_parse.h"
#include "server/process/pidfile.h"
#include "server/program.h"

/* Far beyond any real file; a device given by mistake must come to an end. */
#define FILE_SIZE_MAX (1 << 20)

void config_error(struct config_parser *parser, const char *format, ...)
{
	char raw[512], text[1024], place[PATH_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);
	text_escape(text, sizeof(text), raw, strlen(raw));
	text_escape(place, sizeof(place), parser->file, strlen(parser->file));
	fputs(place, parser->errors);
	if (parser->line > 0)
		fprintf(parser->errors, ":%u", parser->line);
	if (parser->directive)
		fprintf(parser->errors, ": %s", parser->directive);
	fprintf(parser->errors, ": %s\n", text);
	parser->error_count++;
}

static void apply(struct config_parser *parser, size_t row, char **words, size_t count)
{
	const struct config_directive *directive = &config_directives[row];

	parser->directive = directive->name;
	if (count < directive->minimum || count > directive->maximum)
		config_error(parser, "expected %s", directive->expected);
	else if (directive->once && (parser->seen & (1U << row)) != 0)
		config_error(parser, "stands here a second time");
	else
		directive->apply(parser, words, count);
	parser->seen |= 1U << row;
	parser->directive = NULL;
}

/* The words of a line, up to a word that starts with "#". Returns CONFIG_WORDS_MAX for too many. */
static size_t split_words(char *line, char *words[static CONFIG_WORDS_MAX])
{
	static const char blanks[] = " \t\r\n\v\f";
	size_t count = 0;
	char *rest = line, *word;

	while (count < CONFIG_WORDS_MAX && (word = strtok_r(rest, blanks, &rest)) != NULL) {
		if (*word == '#')
			break;
		words[count++] = word;
	}
	return count;
}

static void read_line(struct config_parser *parser, char *line)
{
	char *words[CONFIG_WORDS_MAX];
	size_t count = split_words(line, words);

	if (count == 0)
		return;
	if (count == CONFIG_WORDS_MAX) {
		config_error(parser, "a line has at most %d words", CONFIG_WORDS_MAX - 1);
		return;
	}
	for (size_t row = 0; row < config_directive_count; row++) {
		if (strcmp(words[0], config_directives[row].name) == 0) {
			apply(parser, row, words + 1, count - 1);
			return;
		}
	}
	config_error(parser, "%s: unknown directive", words[0]);
}

/* Returns what file holds, as a string of *size bytes to be freed; NULL, having told why, if it
 * cannot be had. In one piece: what is written to the file meanwhile is not mixed in line by
 * line. */
static char *read_whole(struct config_parser *parser, FILE *file, size_t *size)
{
	char *text = malloc(FILE_SIZE_MAX + 2);

	if (!text) {
		config_error(parser, "%s", strerror(errno));
		return NULL;
	}
	*size = fread(text, 1, FILE_SIZE_MAX + 1, file);
	text[*size] = '\0';
	if (!ferror(file) && *size <= FILE_SIZE_MAX)
		return text;
	if (ferror(file))
		config_error(parser, "cannot be read: %s", strerror(errno));
	else
		config_error(parser, "is larger than %d bytes", FILE_SIZE_MAX);
	free(text);
	return NULL;
}

static void read_lines(struct config_parser *parser, FILE *file)
{
	size_t size, length;
	char *text, *line, *end;

	parser->line = 0;
	text = read_whole(parser, file, &size);
	if (!text)
		return;
	end = text + size;
	for (line = text; line < end; line += length + 1) {
		char *feed = memchr(line, '\n', (size_t)(end - line));

		length = (size_t)((feed ? feed : end) - line);
		line[length] = '\0';
		parser->line++;
		if (strlen(line) != length)
			config_error(parser, "the line holds a zero byte");
		else
			read_line(parser, line);
	}
	free(text);
}

/* A relative path means: from the directory of the file that names it. */
static void resolve(const struct config_parser *parser, const char *path, char out[static PATH_MAX])
{
	const char *slash = strrchr(parser->file, '/');

	if (path[0] == '/' || parser->depth == 0 || !slash)
		snprintf(out, PATH_MAX, "%s", path);
	else
		snprintf(out, PATH_MAX, "%.*s/%s", (int)(slash - parser->file), parser->file, path);
}

static void read_file(struct config_parser *parser, const char *path)
{
	const struct config_parser outer = *parser;
	FILE *file;

	if (parser->depth == CONFIG_DEPTH_MAX) {
		config_error(parser, "%s is the file number %d in a chain of includes", path,
			     CONFIG_DEPTH_MAX + 1);
		return;
	}
	file = fopen(path, "re");
	if (!file) {
		config_error(parser, "cannot read %s: %s", path, strerror(errno));
		return;
	}
	parser->file = path;
	parser->directive = NULL;
	parser->depth++;
	read_lines(parser, file);
	fclose(file);
	parser->file = outer.file;
	parser->line = outer.line;
	parser->directive = outer.directive;
	parser->depth--;
}

void config_read_file(struct config_parser *parser, const char *path)
{
	char resolved[PATH_MAX];

	resolve(parser, path, resolved);
	read_file(parser, resolved);
}

static int is_config_name(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > strlen(".conf") &&
	       strcmp(entry->d_name + length - strlen(".conf"), ".conf") == 0;
}

/* By bytes, so that the order is the same in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void config_read_directory(struct config_parser *parser, const char *path)
{
	char resolved[PATH_MAX], file[PATH_MAX + sizeof(struct dirent)];
	struct dirent **entries;
	int count;

	resolve(parser, path, resolved);
	count = scandir(resolved, &entries, is_config_name, by_name);
	if (count < 0) {
		config_error(parser, "cannot read %s: %s", resolved, strerror(errno));
		return;
	}
	for (int i = 0; i < count; i++) {
		snprintf(file, sizeof(file), "%s/%s", resolved, entries[i]->d_name);
		read_file(parser, file);
		free(entries[i]);
	}
	free(entries);
}

/* Whether there is a file to read at all: the default one need not exist. */
static bool is_absent(const struct config_source *source)
{
	return !source->file ||
	       (source->file_may_lack && access(source->file, F_OK) < 0 && errno == ENOENT);
}

static void read_options(struct config_parser *parser, const struct config_source *source)
{
	char *line;

	parser->file = "option";
	parser->seen = 0; /* an option may override the file */
	for (size_t i = 0; i < source->option_count; i++) {
		parser->line = (unsigned)i + 1;
		line = strdup(source->options[i]);
		if (line)
			read_line(parser, line);
		else
			config_error(parser, "%s", strerror(errno));
		free(line);
	}
	parser->line = 0;
}

/* As a line of the configuration, but named as on the command line. */
static void read_word(struct config_parser *parser, const char *option, const char *directive,
		      const char *value)
{
	char word[PATH_MAX], *words[] = { word };

	if (!value)
		return;
	parser->file = option;
	if (snprintf(word, sizeof(word), "%s", value) >= (int)sizeof(word)) {
		config_error(parser, "%s", strerror(ENAMETOOLONG));
		return;
	}
	for (size_t row = 0; row < config_directive_count; row++) {
		if (strcmp(config_directives[row].name, directive) == 0)
			config_directives[row].apply(parser, words, 1);
	}
}

static bool use_default_listen(struct config *config)
{
	config->listens = calloc(1, sizeof(*config->listens));
	if (!config->listens)
		return false;
	config->listens[0].protocol = protocol_find("daytime/tcp");
	config->listens[0].address = address_any(AF_INET, 5050);
	config->listens[0].any_family = true;
	config->listen_count = 1;
	config->listens_are_default = true;
	return true;
}

bool config_load(struct config *config, const struct config_source *source, FILE *errors)
{
	struct config_parser parser = { .config = config, .errors = errors };

	*config = (struct config){
		.clock = config_default_clock,
		.ratelimit = config_default_ratelimit,
		.facility_name = "daemon",
		.facility = LOG_DAEMON,
	};
	pidfile_default_path(config->pidfile);
	parser.file = PROGRAM_NAME;
	if (!is_absent(source))
		config_read_file(&parser, source->file);
	read_options(&parser, source);
	read_word(&parser, PROGRAM_NAME ": --user", "user", source->user);
	read_word(&parser, PROGRAM_NAME ": --pidfile", "pidfile", source->pidfile);
	if (!access_build(&config->access) ||
	    (config->listen_count == 0 && !use_default_listen(config)))
		config_error(&parser, "%s", strerror(errno));
	return parser.error_count == 0;
}

void config_free(struct config *config)
{
	access_free(&config->access);
	free(config->listens);
	config->listens = NULL;
	config->listen_count = 0;
}
