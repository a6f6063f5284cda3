/* The engine: all that serves, as one value. The service (configuration and listeners), the workers
 * that reply, the clock monitor, the web process and the last hour's history.
 *
 * Only the main thread touches it. It knows nothing of signals, the control socket, upgrades or the
 * service manager. */
#ifndef SERVER_ENGINE_H
#define SERVER_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/failure.h"
#include "server/clock/clock_monitor.h"
#include "server/config/config.h"
#include "server/history_sampler.h"
#include "server/limits_log.h"
#include "server/process/privileges.h"
#include "server/request/workers.h"
#include "server/sockets/listeners.h"
#include "server/web_child.h"

struct engine {
	struct service service; /* shared by the workers; the configuration in effect */
	struct workers workers;
	struct clock_monitor monitor;
	struct web_child web;
	struct history_sampler sampler;
	struct ceiling ceilings[2]; /* of the service */
	struct limits_log limits_log;
	int64_t limits_at;	      /* when to look at the interfaces and at the limits again */
	struct privileges privileges; /* in force, for the status */
	bool upgraded;		      /* taken over from another process, for the status */
	int64_t started;	      /* nanoseconds of clock_boottime */
	time_t started_clock;	      /* on the system clock, as it was then */
	int64_t retry_at; /* halted: when to start the threads again; INT64_MAX: not halted */
};

/* What a reload exchanges as a whole. */
struct engine_setup {
	struct config config;
	struct listeners listeners;
};

/* Creates the shared memory and takes config, which is empty afterwards. engine is of zeros.
 * engine_close is to be called also after a failure. */
bool engine_open(struct engine *engine, struct config *config, struct failure *failure);

/* Opens all sockets of the configuration. Uses those of present where they fit and closes the
 * others. */
bool engine_open_sockets(struct engine *engine, struct listeners *present, struct failure *failure);

/* Starts the threads, then the web process. */
bool engine_start(struct engine *engine, struct failure *failure);

/* Puts next into effect. Requests that come in while no worker runs wait in the kernel. If the
 * threads cannot be started with next, the old setup stays in effect; if they cannot be started
 * with that either, the engine is halted and retries every second; after the first retry that
 * fails, TCP connections are refused. next holds the setup that is not in effect afterwards. */
bool engine_exchange(struct engine *engine, struct engine_setup *next, struct failure *failure);

/* Undoes an exchange, also where it has put HTTP into effect; next is what engine_exchange has left
 * there. Returns whether the old setup is in effect. */
bool engine_undo_exchange(struct engine *engine, struct engine_setup *next);

/* Publishes what the configuration in effect says, and replaces the web process by a new one, or
 * ends it if HTTP is not configured. If that fails the old one stays, and engine_tick retries. */
bool engine_update_web(struct engine *engine, struct failure *failure);

/* Whether an exchange has left the engine without threads. */
static inline bool engine_is_halted(const struct engine *engine)
{
	return engine->retry_at != INT64_MAX;
}

/* Whether every worker and the clock monitor have run since engine_wake, or are not running. */
bool engine_is_awake(const struct engine *engine);
void engine_wake(const struct engine *engine);

/* Does what is due at now, on the monotonic clock. Returns when to call it again; INT64_MAX:
 * not. */
int64_t engine_tick(struct engine *engine, int64_t now);

/* Stops serving, before engine_close: replies to the clients that the kernel has accepted, closes
 * the listeners and drains the connections. */
void engine_drain(struct engine *engine);

/* Releases everything, at once. */
void engine_close(struct engine *engine);

#endif
