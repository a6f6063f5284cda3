#include "client/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/screen.h"

/* Switch to the alternate screen without a cursor, and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

#define REFRESH 1000 /* milliseconds between redraws */
#define ROWS	24   /* of a terminal of unknown size */

struct watch {
	struct survey *survey;
	const struct target *targets;
	size_t count;
	struct print_style style;
	bool json;
	int changed; /* an eventfd; -1: no screen */
	int error;   /* of standard output; under the survey's lock, as lines */
	struct screen_line lines[SURVEY_TARGETS_MAX];
};

static struct result result_of(const struct watch *watch, size_t index, const struct sample *sample)
{
	return (struct result){
		.target = &watch->targets[index],
		.series = { .queries = 1, .replies = sample->valid, .best = *sample },
	};
}

static bool print_sample(const struct watch *watch, size_t index, const struct sample *sample)
{
	struct result result = result_of(watch, index, sample);

	return watch->json ? print_json(&result, false) : print_line(&result, &watch->style);
}

static void on_sample(void *context, size_t index, const struct sample *sample)
{
	struct watch *watch = context;

	screen_add(&watch->lines[index], sample);
	if (watch->changed >= 0)
		eventfd_write(watch->changed, 1);
	else if (watch->error == 0 && !print_sample(watch, index, sample))
		watch->error = errno;
	if (watch->error != 0)
		survey_stop(watch->survey);
}

static void find_size(struct watch *watch, size_t *rows)
{
	struct winsize size;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;

	if (known && size.ws_col > 0)
		watch->style.columns = size.ws_col;
	*rows = known && size.ws_row > 0 ? size.ws_row : ROWS;
}

/* Draws in one write, to avoid flicker. */
static bool draw(struct watch *watch)
{
	char *picture = NULL;
	size_t size = 0, rows;
	FILE *out = open_memstream(&picture, &size);
	bool drawn;

	if (!out)
		return false;
	find_size(watch, &rows);
	pthread_mutex_lock(&watch->survey->lock);
	screen_draw(out, watch->targets, watch->lines, watch->count, rows, &watch->style);
	pthread_mutex_unlock(&watch->survey->lock);
	drawn = fclose(out) == 0 && write(STDOUT_FILENO, picture, size) == (ssize_t)size;
	free(picture);
	return drawn;
}

static bool switch_screen(const char *sequence)
{
	return fputs(sequence, stdout) != EOF && fflush(stdout) == 0;
}

static void suspend(void)
{
	switch_screen(LEAVE);
	raise(SIGSTOP);
	switch_screen(ENTER);
}

/* Returns whether to continue. */
static bool handle_signal(int signals)
{
	struct signalfd_siginfo signal;

	if (read(signals, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
		return true;
	if (signal.ssi_signo == SIGTSTP)
		suspend();
	return signal.ssi_signo == SIGTSTP || signal.ssi_signo == SIGWINCH;
}

static bool is_over(struct watch *watch)
{
	bool over;

	pthread_mutex_lock(&watch->survey->lock);
	over = survey_is_done(watch->survey);
	pthread_mutex_unlock(&watch->survey->lock);
	return over;
}

/* Returns 0 or an errno value. */
static int draw_until_over(struct watch *watch, int signals)
{
	struct pollfd ready[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = watch->changed, .events = POLLIN },
	};
	bool running = true;
	eventfd_t changes;

	while (running && !is_over(watch)) {
		if (!draw(watch))
			return errno;
		if (poll(ready, 2, REFRESH) <= 0)
			continue;
		if (ready[0].revents != 0)
			running = handle_signal(signals);
		if (ready[1].revents != 0)
			eventfd_read(watch->changed, &changes);
	}
	return 0;
}

/* Whether each target has had a valid sample, and none has denied access. On a screen the error is
 * gone with it: it is printed again. With the lock held. */
static bool check_all_valid(const struct watch *watch)
{
	bool all_valid = true;

	for (size_t i = 0; i < watch->count; i++) {
		const struct screen_line *line = &watch->lines[i];
		struct result result = result_of(watch, i, &line->last);

		if (line->last.denied && watch->changed >= 0)
			print_errors(&result, &watch->style);
		all_valid = all_valid && line->replies > 0 && !line->last.denied;
	}
	return all_valid;
}

static int run_on_screen(struct watch *watch, int signals)
{
	int error = switch_screen(ENTER) ? draw_until_over(watch, signals) : errno;

	switch_screen(LEAVE);
	pthread_mutex_lock(&watch->survey->lock);
	survey_stop(watch->survey);
	pthread_mutex_unlock(&watch->survey->lock);
	return error;
}

static int run_by_lines(struct watch *watch)
{
	static const int64_t never = INT64_MAX;

	pthread_mutex_lock(&watch->survey->lock);
	survey_wait_all(watch->survey, &never);
	pthread_mutex_unlock(&watch->survey->lock);
	return watch->error;
}

/* Blocks the signals, before threads inherit the mask. Returns a signalfd or -1. */
static int open_signalfd(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGQUIT);
	sigaddset(&signals, SIGTSTP);
	sigaddset(&signals, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
		return -1;
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int watch_run(struct survey *survey, struct survey_plan *plan, const struct target *targets,
	      size_t count, const struct print_style *style, bool json, bool *all_valid)
{
	static struct watch watch; /* threads may outlive this function */
	bool screen = !json && style->terminal;
	int signals = screen ? open_signalfd() : -1;
	int error;

	watch.survey = survey;
	watch.targets = targets;
	watch.count = count;
	watch.style = *style;
	watch.json = json;
	watch.changed = screen ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (screen && (signals < 0 || watch.changed < 0))
		return errno;
	plan->on_sample = on_sample;
	plan->context = &watch;
	error = survey_start(survey, plan, targets, count);
	if (error == 0)
		error = screen ? run_on_screen(&watch, signals) : run_by_lines(&watch);
	pthread_mutex_lock(&survey->lock);
	*all_valid = check_all_valid(&watch);
	pthread_mutex_unlock(&survey->lock);
	return error;
}
