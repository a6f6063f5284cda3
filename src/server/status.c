#include "server/status.h"

#include <inttypes.h>
#include <unistd.h>

#include "server/program.h"

static const char *const drop_names[DROP_COUNT] = {
	[DROP_DENIED] = "denied",
	[DROP_LIMITED] = "limited",
	[DROP_LOOP] = "loop",
	[DROP_INVALID] = "invalid",
	[DROP_UNSYNCHRONISED] = "unsynchronised",
	[DROP_FAILED] = "failed",
};

static void write_clock(const struct server *server, FILE *out)
{
	struct clock_state state;

	if (!server->watcher.running)
		return;
	clock_read_state(&server->service.board, clock_monotonic(), &state);
	if (clock_is_synchronised(&state))
		fprintf(out, "clock: synchronised, stratum %u, leap %u\n", state.stratum,
			state.leap);
	else
		fprintf(out, "clock: not synchronised\n");
}

static void write_listeners(const struct listeners *listeners, FILE *out)
{
	char address[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < listeners->count; i++) {
		if (listeners->items[i].set == 0)
			fprintf(out, "listen: %s %s\n", listeners->items[i].protocol->word,
				address_format(&listeners->items[i].address, address));
	}
}

static void write_counters(const struct tally *sum, FILE *out)
{
	uint64_t answers = 0;

	for (size_t i = 0; i < PROTOCOL_COUNT; i++)
		answers += counter_read(&sum->answers[i]);
	fprintf(out, "answers: %" PRIu64 "\n", answers);
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (counter_read(&sum->requests[i]) > 0)
			fprintf(out, "%s: %" PRIu64 " of %" PRIu64 "\n", protocol_table[i].word,
				counter_read(&sum->answers[i]), counter_read(&sum->requests[i]));
	}
	for (size_t i = 0; i < DROP_COUNT; i++)
		fprintf(out, "%s: %" PRIu64 "\n", drop_names[i], counter_read(&sum->drops[i]));
	fprintf(out, "kisses: %" PRIu64 "\n", counter_read(&sum->kisses));
}

void server_write_status(const struct server *server, FILE *out)
{
	int64_t up = (clock_monotonic() - server->started) / CLOCK_SECOND;
	struct tally sum = { 0 };

	workers_tally(&server->workers, &sum);
	fprintf(out, "process: %ld\n", (long)getpid());
	fprintf(out, "state: %s\n", server->stopping ? "stopping" : "serving");
	fprintf(out, "up: %lld s\n", (long long)up);
	fprintf(out, "user: %u\n", geteuid());
	fputs("confined: ", out);
	confine_describe(&server->confinement, out);
	fprintf(out, "\nworkers: %u\n", server->workers.count);
	write_clock(server, out);
	write_listeners(&server->service.listeners, out);
	write_counters(&sum, out);
	fprintf(out, "connections: %" PRIu64 " of %u\n", counter_read(&sum.connections),
		workers_capacity(&server->workers));
}
