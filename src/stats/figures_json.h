/* The figures as JSON: the same for the control socket and for /status.json. */
#ifndef STATS_FIGURES_JSON_H
#define STATS_FIGURES_JSON_H

#include <jansson.h>

#include "stats/figures.h"

/* Returns a new object of all figures that are there, or NULL if memory is short. */
json_t *figures_json(const struct figures *figures);

/* Returns the last hour as a new object of arrays with a number for each interval, or NULL if
 * memory is short. */
json_t *figures_json_history(const struct history *history);

#endif
