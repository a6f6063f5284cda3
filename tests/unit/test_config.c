/* The configuration: directives, errors and the dump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/config/config_parse.h"

#define ADDRESS_EXPECTED                                                                        \
	"expected ADDRESS or [ADDRESS:]PORT, with ADDRESS an IPv4 or [IPv6] address or *, and " \
	"PORT from 1 to 65535\n"
#define BRACKETS_EXPECTED "an IPv6 address needs brackets: [IPv6] or [IPv6]:PORT\n"
#define USED		  "is already used by listen"
#define DEFAULTS	  "clock system\nratelimit-ceiling 10000\nworkers auto\nbusy-poll 0\n"

static char directory[] = "/tmp/timeserver-test-config-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[sizeof(directory) + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

/* Writes a file into the directory and returns its path. */
static const char *file(const char *name, const char *content)
{
	static char path[256];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(content, out);
	assert_int_equal(fclose(out), 0);
	return path;
}

/* Loads, and returns the errors without the name of the directory, to be freed; NULL: no error. */
static char *load(struct config *config, const struct config_source *source)
{
	char *errors = NULL, *found;
	size_t size;
	FILE *report = open_memstream(&errors, &size);
	bool valid = config_load(config, source, report);

	fclose(report);
	assert_int_equal(valid, size == 0);
	while ((found = strstr(errors, directory)) != NULL)
		memmove(found, found + strlen(directory) + 1, strlen(found + strlen(directory)));
	if (size > 0)
		return errors;
	free(errors);
	return NULL;
}

static void expect_errors(const struct config_source *source, const char *expected)
{
	struct config config;
	char *errors = load(&config, source);

	assert_non_null(errors);
	assert_string_equal(errors, expected);
	free(errors);
	config_free(&config);
}

/* Loads without an error and compares the dump. */
static void expect_dump(const struct config_source *source, const char *expected)
{
	struct config config;
	char *errors = load(&config, source), *dump = NULL;
	size_t size;
	FILE *out = open_memstream(&dump, &size);

	assert_null(errors);
	config_dump(&config, out);
	fclose(out);
	assert_string_equal(dump, expected);
	free(dump);
	config_free(&config);
}

static void built_in_defaults(void **state)
{
	struct config config;
	struct config_source none = { .file = "/nonexistent/timeserver.conf",
				      .file_optional = true };
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	assert_null(load(&config, &none));
	assert_int_equal(config.listen_count, 1);
	assert_true(config.default_listen);
	assert_string_equal(config_listen_format(&config.listens[0], text), "*:5050");
	assert_int_equal(config.facility, LOG_DAEMON);
	assert_string_equal(config.user.name, "");
	config_free(&config);
}

static void every_directive(void **state)
{
	struct config_source source = {
		.file = file("all.conf", "# a comment\n"
					 "\n"
					 "   listen daytime/tcp 5050 127.0.0.1:13 # and another\r\n"
					 "listen\tdaytime/tcp\t[::1]:13\n" DEFAULTS
					 "user root\npidfile /run/x.pid\nsyslog local3"),
	};

	(void)state;
	expect_dump(&source, "listen daytime/tcp *:5050\n"
			     "listen daytime/tcp 127.0.0.1:13\n"
			     "listen daytime/tcp [::1]:13\n" DEFAULTS
			     "user root\npidfile /run/x.pid\nsyslog local3\n");
}

/* A line for each row of the table, with another value than the default. */
static void a_dump_reads_back_to_itself(void **state)
{
	static const char text[] = "listen daytime/tcp *:65535\n"
				   "clock follow [2001:db8::1]:1123\n"
				   "require-sync\nhttp-show-clients\n"
				   "allow 192.0.2.0/24\ndeny 2001:db8::/32\n"
				   "ratelimit interval 0.250 burst 3 leak 0\n"
				   "ratelimit-ceiling off\nworkers 256\nbusy-poll 1000000\n"
				   "user root\npidfile /a/b\nsyslog local7\n";
	const char *line = text;

	(void)state;
	for (size_t i = 0; i < config_row_count; i++) {
		const struct config_row *row = &config_rows[i];

		if (row->parse == config_include_parse || row->parse == config_confdir_parse)
			continue;
		assert_memory_equal(line, row->name, strlen(row->name));
		line = strchr(line, '\n') + 1;
	}
	expect_dump(&(struct config_source){ .file = file("dump.conf", text) }, text);
}

static void the_port_of_the_protocol_is_the_default(void **state)
{
	struct config_source source = {
		.file = file("ports.conf", "listen ntp *\n"
					   "listen daytime/tcp 192.0.2.1 192.0.2.2:1313\n"
					   "listen time/udp [::1] [::1]:3737 3738\n"
					   "listen http 0.0.0.0 [fe80::1%lo]\n"
					   "pidfile /x.pid\n"),
	};

	(void)state;
	expect_dump(&source,
		    "listen ntp *:123\n"
		    "listen daytime/tcp 192.0.2.1:13\nlisten daytime/tcp 192.0.2.2:1313\n"
		    "listen time/udp [::1]:37\nlisten time/udp [::1]:3737\n"
		    "listen time/udp *:3738\n"
		    "listen http 0.0.0.0:80\n"
		    "listen http [fe80::1%lo]:80\n" DEFAULTS "pidfile /x.pid\nsyslog daemon\n");
	source.file =
		file("ports.conf", "listen ntp 123 *\nlisten ntp ::1 [192.0.2.1] [*] :1 * *:\n");
	expect_errors(&source, "ports.conf:1: listen: *:123 is already in this line, as *:123\n"
			       "ports.conf:2: listen: '::1': " BRACKETS_EXPECTED
			       "ports.conf:2: listen: '[192.0.2.1]': " ADDRESS_EXPECTED
			       "ports.conf:2: listen: '[*]': " ADDRESS_EXPECTED
			       "ports.conf:2: listen: ':1': " ADDRESS_EXPECTED
			       "ports.conf:2: listen: *:123 " USED " ntp *:123 at ports.conf:1\n"
			       "ports.conf:2: listen: '*:': " ADDRESS_EXPECTED);
}

static void flags(void **state)
{
	const char *off[] = { "require-sync off" };
	struct config_source source = {
		.file = file("flags.conf", "require-sync\nhttp-show-clients on\npidfile /x.pid\n"),
		.options = off,
		.option_count = 1,
	};

	(void)state;
	expect_dump(&source, "listen daytime/tcp *:5050\nclock system\nhttp-show-clients\n"
			     "ratelimit-ceiling 10000\nworkers auto\nbusy-poll 0\n"
			     "pidfile /x.pid\nsyslog daemon\n");
	source = (struct config_source){
		.file = file("flags.conf", "require-sync maybe\nhttp-show-clients on off\n")
	};
	expect_errors(&source, "flags.conf:1: require-sync: 'maybe': expected on or off\n"
			       "flags.conf:2: http-show-clients: expected on or off\n");
}

static void numbers_and_limits(void **state)
{
	struct config_source source = {
		.file = file("n.conf", "workers 0\nbusy-poll 1000001\n"
				       "ratelimit interval 0.2 burst\n"
				       "allow 192.0.2.1/24\nclock local stratum 16\n"),
	};

	(void)state;
	expect_errors(
		&source,
		"n.conf:1: workers: '0': expected auto or a number from 1 to 256\n"
		"n.conf:2: busy-poll: '1000001': expected microseconds from 0 to 1000000\n"
		"n.conf:3: ratelimit: expected off, or any of: interval SECONDS, burst N, leak N\n"
		"n.conf:4: allow: '192.0.2.1/24': expected all, an address, or a prefix "
		"such as 192.0.2.0/24 or 2001:db8::/32, with no bits set beyond its length\n"
		"n.conf:5: clock: stratum '16': expected a number from 1 to 15\n");
}

static void seconds_have_up_to_three_decimals(void **state)
{
	const char *wrong[] = { "0", "0.000", "3600.001", "1.2345", "1.", ".5", "1.2.3", "-1" };
	char line[64], expected[256];
	const char *options[] = { line };
	struct config_source source = { .options = options, .option_count = 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(line, sizeof(line), "ratelimit interval %s", wrong[i]);
		snprintf(expected, sizeof(expected),
			 "option:1: ratelimit: interval '%s': expected "
			 "seconds from 0.001 to 3600, with up to three decimals\n",
			 wrong[i]);
		expect_errors(&source, expected);
	}
}

static void all_errors_are_reported_in_one_run(void **state)
{
	struct config_source source = {
		.file = file("bad.conf", "listn daytime/tcp 1\n"
					 "listen daytime/tcp\n"
					 "listen chargen/tcp 19\n"
					 "listen daytime/tcp 0\n"
					 "listen daytime/tcp ::1:13\n"
					 "listen daytime/tcp host:13\n"
					 "listen daytime/tcp 127.0.0.1:70000\n"
					 "listen daytime/tcp *:13 127.0.0.1:13\n"
					 "clock atomic\n"
					 "user no-such-user\n"
					 "user root\n"
					 "pidfile run/x.pid\n"
					 "syslog kern\n"
					 "include nosuch.conf\n"
					 "confdir nosuch.d\n"
					 "syslog\n"),
	};

	(void)state;
	expect_errors(
		&source,
		"bad.conf:1: listn: unknown directive\n"
		"bad.conf:2: listen: expected PROTOCOL and at least one ADDRESS or [ADDRESS:]PORT\n"
		"bad.conf:3: listen: unknown protocol 'chargen/tcp': expected one of: daytime/tcp, "
		"daytime/udp, time/tcp, time/udp, ntp, http\n"
		"bad.conf:4: listen: '0': " ADDRESS_EXPECTED
		"bad.conf:5: listen: '::1:13': " BRACKETS_EXPECTED
		"bad.conf:6: listen: 'host:13': " ADDRESS_EXPECTED
		"bad.conf:7: listen: '127.0.0.1:70000': " ADDRESS_EXPECTED
		"bad.conf:8: listen: 127.0.0.1:13 is already in this line, as *:13\n"
		"bad.conf:9: clock: 'atomic': expected system, local [stratum N] or follow "
		"HOST[:PORT]\n"
		"bad.conf:10: user: unknown user 'no-such-user'\n"
		"bad.conf:11: user: duplicate directive, first at bad.conf:10\n"
		"bad.conf:12: pidfile: 'run/x.pid': expected an absolute path or none\n"
		"bad.conf:13: syslog: 'kern': expected a facility: daemon, user, local0 to "
		"local7, ...\n"
		"bad.conf:14: include: cannot read nosuch.conf: No such file or directory\n"
		"bad.conf:15: confdir: cannot read nosuch.d: No such file or directory\n"
		"bad.conf:16: syslog: expected a facility: daemon, user, local0 to local7, ...\n");
}

static void options_come_after_the_file(void **state)
{
	const char *options[] = { "syslog local1", "listen daytime/tcp 14" };
	struct config_source source = {
		.file = file("file.conf", "listen daytime/tcp 13\nsyslog local0\n"),
		.options = options,
		.option_count = 2,
		.pidfile = "/over/ride.pid",
	};

	(void)state;
	expect_dump(&source, "listen daytime/tcp *:13\n"
			     "listen daytime/tcp *:14\n" DEFAULTS "pidfile /over/ride.pid\n"
			     "syslog local1\n");
}

static void options_are_named_in_errors(void **state)
{
	const char *options[] = { "listen daytime/tcp 13", "speed high", "" };
	struct config_source source = { .options = options,
					.option_count = 3,
					.user = "nobody-here" };

	(void)state;
	expect_errors(&source, "option:2: speed: unknown directive\n"
			       "timeserver: --user: unknown user 'nobody-here'\n");
}

static void relative_includes_start_from_their_file(void **state)
{
	struct config_source source;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/d", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	file("d/20.conf", "listen daytime/tcp 20\n");
	file("d/10.conf", "listen daytime/tcp 10\ninclude extra\n");
	file("d/extra", "listen daytime/tcp 15\n"); /* not *.conf: read by include only */
	file("d/.hidden.conf", "nonsense\n");
	file("main.conf", "confdir d\npidfile /x.pid\n");
	snprintf(path, sizeof(path), "%s/main.conf", directory);
	source = (struct config_source){ .file = path };
	expect_dump(&source,
		    "listen daytime/tcp *:10\n"
		    "listen daytime/tcp *:15\n"
		    "listen daytime/tcp *:20\n" DEFAULTS "pidfile /x.pid\nsyslog daemon\n");
	file("d/20.conf", "listen daytime/tcp 10\nlisten\n");
	expect_errors(&source,
		      "d/20.conf:1: listen: *:10 " USED " daytime/tcp *:10 at d/10.conf:1\n"
		      "d/20.conf:2: listen: expected PROTOCOL and at least one ADDRESS or "
		      "[ADDRESS:]PORT\n");
}

static void includes_nested_too_deep_are_an_error(void **state)
{
	struct config_source source = { .file = file("loop.conf", "include loop.conf\n") };

	(void)state;
	expect_errors(&source, "loop.conf:1: include: includes nested too deep (more than 8)\n");
}

static void unreadable_files(void **state)
{
	struct config_source missing = { .file = "/nonexistent/x.conf" };
	struct config_source root = { .file = "/" };

	(void)state;
	expect_errors(&missing,
		      "timeserver: cannot read /nonexistent/x.conf: No such file or directory\n");
	expect_errors(&root, "timeserver: cannot read /: Is a directory\n");
}

static void unprintable_bytes_and_long_lines(void **state)
{
	struct config_source source = { .file = file("strange.conf", "") };
	char long_line[70 * 2 + 1];
	FILE *out = fopen(source.file, "w");

	(void)state;
	for (int i = 0; i < 70; i++)
		strcpy(long_line + i * 2, "a ");
	fwrite("clock\0system\n", 1, 13, out);
	fputs("\x1b[2Jlisten\n", out);
	fprintf(out, "%s\n", long_line);
	fclose(out);
	expect_errors(&source, "strange.conf:1: line contains a NUL byte\n"
			       "strange.conf:2: \\x1b[2Jlisten: unknown directive\n"
			       "strange.conf:3: too many words (more than 63)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(built_in_defaults),
		cmocka_unit_test(every_directive),
		cmocka_unit_test(a_dump_reads_back_to_itself),
		cmocka_unit_test(the_port_of_the_protocol_is_the_default),
		cmocka_unit_test(flags),
		cmocka_unit_test(numbers_and_limits),
		cmocka_unit_test(seconds_have_up_to_three_decimals),
		cmocka_unit_test(all_errors_are_reported_in_one_run),
		cmocka_unit_test(options_come_after_the_file),
		cmocka_unit_test(options_are_named_in_errors),
		cmocka_unit_test(relative_includes_start_from_their_file),
		cmocka_unit_test(includes_nested_too_deep_are_an_error),
		cmocka_unit_test(unreadable_files),
		cmocka_unit_test(unprintable_bytes_and_long_lines),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
