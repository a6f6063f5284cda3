#include "server/config/config_parse.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

#define FILE_SIZE_MAX (1 << 20)

#define PLACE_SIZE (PATH_MAX + 16)

static const char *format_place(const struct config_parser *parser, char text[static PLACE_SIZE])
{
	text_escape(text, PATH_MAX, parser->file, strlen(parser->file));
	if (parser->line > 0)
		snprintf(text + strlen(text), 16, ":%u", parser->line);
	return text;
}

char *config_place(struct config_parser *parser)
{
	char text[PLACE_SIZE], *place = strdup(format_place(parser, text));

	if (!place)
		config_error(parser, "out of memory");
	return place;
}

void config_error(struct config_parser *parser, const char *format, ...)
{
	char raw[512], text[1024], place[PLACE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);
	fputs(format_place(parser, place), parser->errors);
	if (parser->directive)
		fprintf(parser->errors, ": %s", parser->directive);
	fprintf(parser->errors, ": %s\n", text_escape(text, sizeof(text), raw, strlen(raw)));
	parser->error_count++;
}

bool config_parse_number(struct config_parser *parser, const char *name, const char *word,
			 unsigned minimum, unsigned maximum, unsigned *number)
{
	if (text_to_number(word, minimum, maximum, number))
		return true;
	config_error(parser, "%s '%s': expected a number from %u to %u", name, word, minimum,
		     maximum);
	return false;
}

const struct config_row *config_find_row(const char *name)
{
	for (size_t i = 0; i < config_row_count; i++) {
		if (strcmp(config_rows[i].name, name) == 0)
			return &config_rows[i];
	}
	return NULL;
}

void config_apply(struct config_parser *parser, const struct config_row *row, const char *name,
		  const char **words)
{
	char **first = &parser->first[row - config_rows];
	unsigned count = 0;

	while (words[count])
		count++;
	parser->row = row;
	parser->directive = name;
	if (count < row->words_min || count > row->words_max)
		config_error(parser, "expected %s", row->expected);
	else if (!row->repeatable && *first)
		config_error(parser, "duplicate directive, first at %s", *first);
	else if (!config_row_parse(parser, words))
		config_error(parser, "'%s': expected %s", words[0], row->expected);
	if (!row->repeatable && !*first)
		*first = config_place(parser);
	parser->directive = NULL;
}

void config_read_line(struct config_parser *parser, const char *line)
{
	const char *words[CONFIG_WORDS_MAX + 2] = { NULL }, *word;
	const struct config_row *row;
	char *copy = strdup(line), *rest = copy;
	size_t count = 0;

	if (!copy)
		config_error(parser, "%s", strerror(errno));
	while (count <= CONFIG_WORDS_MAX && copy && (word = strtok_r(rest, " \t\r\n\v\f", &rest)) &&
	       *word != '#')
		words[count++] = word;
	row = count > 0 ? config_find_row(words[0]) : NULL;
	if (count > CONFIG_WORDS_MAX)
		config_error(parser, "too many words (more than %d)", CONFIG_WORDS_MAX);
	else if (count > 0 && !row)
		config_error(parser, "%s: unknown directive", words[0]);
	else if (row)
		config_apply(parser, row, row->name, words + 1);
	free(copy);
}

/* A daemon that reloads may be another user than at its start. */
static void cannot_read(struct config_parser *parser, const char *path, const char *reason)
{
	bool denied = parser->running_as && strcmp(reason, strerror(EACCES)) == 0;

	config_error(parser, "cannot read %s: %s%s%s%s", path, reason,
		     denied ? " (running as user " : "", denied ? parser->running_as : "",
		     denied ? ")" : "");
}

/* Returns the content of a file, to be freed, and its size, with room for one more byte; NULL after
 * an error. Reads it at once, so that lines written in the meantime do not mix with old ones. */
static char *read_content(struct config_parser *parser, const char *path, size_t *size)
{
	char reason[FILE_REASON_SIZE] = "Out of memory", *text = malloc(FILE_SIZE_MAX + 1);
	FILE *file = text ? file_open(path, reason) : NULL;
	bool complete;

	*size = file ? fread(text, 1, FILE_SIZE_MAX + 1, file) : 0;
	complete = file && !ferror(file) && *size <= FILE_SIZE_MAX;
	if (file && !complete)
		snprintf(reason, sizeof(reason), "%s", strerror(ferror(file) ? errno : EFBIG));
	if (!complete) {
		cannot_read(parser, path, reason);
		free(text);
		text = NULL;
	}
	if (file)
		fclose(file);
	return text;
}

void config_read_file(struct config_parser *parser, const char *path)
{
	const struct config_parser outer = *parser;
	size_t size;
	char *text, *line, *newline;

	if (parser->depth == CONFIG_DEPTH_MAX) {
		config_error(parser, "includes nested too deep (more than %d)", CONFIG_DEPTH_MAX);
		return;
	}
	text = read_content(parser, path, &size);
	if (!text)
		return;
	parser->file = path;
	parser->line = 0;
	parser->directive = NULL;
	parser->depth++;
	text[size] = '\n';
	for (line = text; line < text + size; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(text + size + 1 - line));
		*newline = '\0';
		parser->line++;
		if (strlen(line) != (size_t)(newline - line))
			config_error(parser, "line contains a NUL byte");
		else
			config_read_line(parser, line);
	}
	free(text);
	parser->file = outer.file;
	parser->line = outer.line;
	parser->row = outer.row;
	parser->directive = outer.directive;
	parser->depth--;
}

/* A relative path starts from the directory of the file that names it. On the command line it is
 * an error, since a daemon, which reads it again at a reload, has another working directory. */
static bool resolve(struct config_parser *parser, const char *path, char resolved[static PATH_MAX])
{
	const char *slash = strrchr(parser->file, '/');
	size_t start = path[0] != '/' && slash ? (size_t)(slash + 1 - parser->file) : 0;

	if (path[0] != '/' && parser->depth == 0) {
		config_error(parser, "'%s': expected an absolute path", path);
		return false;
	}
	snprintf(resolved, PATH_MAX, "%.*s%s", (int)start, parser->file, path);
	return true;
}

bool config_include_parse(struct config_parser *parser, const char **words)
{
	char path[PATH_MAX];

	if (resolve(parser, words[0], path))
		config_read_file(parser, path);
	return true;
}

static int is_config_file(const struct dirent *entry)
{
	return fnmatch("*.conf", entry->d_name, FNM_PERIOD) == 0;
}

/* By bytes, so that the order is the same in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

bool config_confdir_parse(struct config_parser *parser, const char **words)
{
	char directory[PATH_MAX], file[PATH_MAX + sizeof(struct dirent)];
	struct dirent **entries;
	int count;

	if (!resolve(parser, words[0], directory))
		return true;
	count = scandir(directory, &entries, is_config_file, by_name);
	if (count < 0) {
		cannot_read(parser, directory, strerror(errno));
		return true;
	}
	for (int i = 0; i < count; i++) {
		snprintf(file, sizeof(file), "%s/%s", directory, entries[i]->d_name);
		config_read_file(parser, file);
		free(entries[i]);
	}
	free(entries);
	return true;
}
