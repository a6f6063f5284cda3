/* Reloads the configuration while the engine serves. */
#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include <stdbool.h>

#include "base/failure.h"
#include "server/config/config.h"
#include "server/engine.h"

/* What a reload has done. */
struct reload_report {
	bool applied;		 /* the new configuration is in effect, over HTTP perhaps not yet */
	enum exit_status status; /* as for a start */
	char *lines;		 /* errors of config_load, or warnings; NULL: memory was short */
	struct failure failures[2]; /* of the exchange, of the web process */
	unsigned failure_count;
};

/* Reads source and puts it into effect as a whole; after any error the current configuration stays
 * in effect. Logs the errors, the warnings and the outcome. reload_free is to be called on
 * report. */
void reload_run(struct engine *engine, const struct config_source *source,
		struct reload_report *report);

/* The errors and warnings as lines for a terminal, cut to what a reply has room for, to be freed;
 * NULL if memory is short. */
char *reload_text(const struct reload_report *report);

void reload_free(struct reload_report *report);

/* Logs a warning if a reload would fail now: the daemon may have become a user who cannot read the
 * configuration. */
void reload_warn(const struct config_source *source);

#endif
