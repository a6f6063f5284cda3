#include "stats/figures.h"

#include <time.h>

/* Type and place of a member of struct figures. */
#define MEMBER(member) (((struct figures *)0)->member)
#define TYPE(member) \
	_Generic(MEMBER(member),                \
		uint64_t: FIGURES_NUMBER,       \
		struct counter: FIGURES_COUNTER, \
		bool: FIGURES_BOOL,             \
		double: FIGURES_REAL,           \
		char *: FIGURES_TEXT,           \
		struct histogram: FIGURES_HISTOGRAM)
#define AT(member) TYPE(member), offsetof(struct figures, member), 0
/* The same for each element of an array, by a member of its first one. */
#define EACH(array, first) TYPE(first), offsetof(struct figures, first), sizeof(MEMBER(array)[0])

const struct figure figures_table[] = {
	{ NULL, "version", AT(version), .help = "Version of this form." },
	{ NULL, "program", AT(program), .metric = "build_info", .help = "Version of the program.",
	  .label = "version" },
	{ NULL, "process", AT(info.process), .help = "Process ID of the daemon.",
	  .text = "process: {}" },
	{ NULL, "state", AT(state), .help = "State of the daemon.", .text = "state: {}",
	  .per = FIGURES_STATE },
	{ NULL, "started", AT(started), .help = "Time of the start, by the clock as it is now." },
	{ NULL, NULL, AT(started_clock), .metric = "start_time_seconds",
	  .help = "Time of the start, in seconds since 1970, by the clock as it is now." },
	{ NULL, "uptime", AT(uptime), .help = "Seconds since the start.", .text = "uptime: {} s" },
	{ NULL, "upgraded", AT(info.upgraded), .metric = "upgraded",
	  .help = "Whether the daemon took over from a running one." },
	{ NULL, "user", AT(info.user), .help = "User ID of the daemon.", .text = "user: {}" },
	{ NULL, "confined", AT(info.confined), .help = "What the sandbox restricts.",
	  .text = "confined: {}" },
	{ NULL, "workers", AT(info.workers), .metric = "workers",
	  .help = "Threads that reply to requests.", .text = "workers: {}" },

	{ "clock", "source", AT(info.source), .metric = "clock_info",
	  .help = "Source of the clock state.", .label = "source" },
	{ "clock", "synchronised", AT(clock.synchronised), .metric = "clock_synchronised",
	  .help = "Whether the clock is synchronised." },
	{ "clock", "stratum", AT(clock.stratum), .metric = "clock_stratum",
	  .help = "Distance from the reference clock in servers; 0 if not synchronised.",
	  .text = "clock: synchronised, stratum {}, leap {leap}", .skip_zero = true },
	{ "clock", "leap", AT(clock.leap), .metric = "clock_leap",
	  .help = "Leap indicator: 1 or 2 before a leap second, 3 if not synchronised." },
	{ "clock", "reason", AT(clock.reason.text), .help = "Why the clock is not synchronised.",
	  .text = "clock: not synchronised: {}" },
	{ "clock", "root_delay", AT(clock.root_delay), .metric = "clock_root_delay_seconds",
	  .help = "Round-trip delay to the reference clock, in seconds." },
	{ "clock", "root_dispersion", AT(clock.root_dispersion),
	  .metric = "clock_root_dispersion_seconds",
	  .help = "Accumulated error bound since the reference clock, in seconds." },
	{ "clock", "root_distance", AT(clock.root_distance),
	  .metric = "clock_root_distance_seconds",
	  .help = "Error bound of the clock: half the root delay plus the dispersion, in seconds." },

	{ "listen", "protocol", EACH(info.listens, info.listens[0].protocol),
	  .help = "Protocol of a listening socket.", .per = FIGURES_PER_LISTENER },
	{ "listen", "address", EACH(info.listens, info.listens[0].address),
	  .help = "Address of a listening socket.", .text = "listen: {protocol} {}",
	  .per = FIGURES_PER_LISTENER },

	{ NULL, "replies", AT(replies), .help = "Replies sent, by any protocol.",
	  .text = "replies: {}" },
	{ "protocols", "requests", EACH(sum.requests, sum.requests[0]), .metric = "requests_total",
	  .help = "Requests received.", .text = "{*}: {replies} of {}", .skip_zero = true,
	  .per = FIGURES_PER_PROTOCOL },
	{ "protocols", "replies", EACH(sum.replies, sum.replies[0]), .metric = "replies_total",
	  .help = "Replies sent.", .per = FIGURES_PER_PROTOCOL },
	{ "dropped", NULL, EACH(sum.drops, sum.drops[0]), .metric = "requests_dropped_total",
	  .help = "Requests without a reply, by reason.", .text = "{*}: {}",
	  .per = FIGURES_PER_REASON },
	{ NULL, "own_limited", AT(sum.own_limited), .metric = "own_networks_limited_total",
	  .help = "Requests above a limit from networks of this host.", .text = "own limited: {}" },
	{ NULL, "kod_sent", AT(sum.kod_sent), .metric = "kod_sent_total",
	  .help = "Kiss-o'-death replies sent by NTP.", .text = "kod sent: {}" },
	{ "unstamped", "requests", AT(sum.unstamped_requests), .metric = "requests_unstamped_total",
	  .help = "NTP requests without the kernel's time stamp of their arrival.",
	  .text = "unstamped requests: {}", .skip_zero = true },
	{ "unstamped", "replies", AT(sum.unstamped_replies), .metric = "replies_unstamped_total",
	  .help = "NTP replies of workers to which the kernel refuses transmit time stamps.",
	  .text = "unstamped replies: {}", .skip_zero = true },
	{ "connections", "open", AT(sum.connections), .metric = "connections",
	  .help = "Open connections of Daytime and Time.", .text = "connections: {} of {max}" },
	{ "connections", "max", AT(info.connections_max), .metric = "connections_max",
	  .help = "Maximum number of open connections of Daytime and Time." },
	{ "per_worker", NULL, EACH(per_worker, per_worker[0]), .metric = "worker_requests_total",
	  .help = "Requests received, by worker.", .per = FIGURES_PER_WORKER },
	{ NULL, "response_time", AT(sum.response_time), .metric = "response_time_seconds",
	  .help = "Time from the arrival of an NTP request to the departure of its reply, sampled.",
	  .label = "protocol=\"ntp\"" },
	{ NULL, "transmit_stamp_error", AT(sum.transmit_stamp_error),
	  .metric = "transmit_stamp_error_seconds",
	  .help = "Difference between the transmit stamp of an NTP reply and its departure, sampled." },

	{ "http", "requests", AT(http_requests), .help = "HTTP requests received." },
	{ NULL, NULL, EACH(http_per_path[0], http_per_path[0][0]), .metric = "http_requests_total",
	  .help = "HTTP requests received, by path and status code.", .per = FIGURES_PER_PATH },
	{ "http", "connections", AT(http_connections), .metric = "http_connections",
	  .help = "Open HTTP connections." },
	{ "http", "starts", AT(http_starts), .metric = "http_starts_total",
	  .help = "Starts of the web process." },
	{ "http", "crashes", AT(http_crashes), .metric = "http_crashes_total",
	  .help = "Unexpected ends of the web process." },
	{ "http", "response_time", AT(http_response_time), .metric = "http_response_time_seconds",
	  .help = "Time from the first byte of an HTTP request to its reply." },

	{ "top_clients", "network", EACH(clients, clients[0].network),
	  .help = "Network that sends the most requests (IPv4 /24, IPv6 /48).",
	  .text = "top client: {} {share}", .per = FIGURES_PER_CLIENT },
	{ "top_clients", "share", EACH(clients, clients[0].share),
	  .help = "Its share of all requests, lately.", .per = FIGURES_PER_CLIENT },
};

const size_t figures_table_size = sizeof(figures_table) / sizeof(figures_table[0]);

/* A span in NTP's short format, in seconds. */
static double short_seconds(clock_ntp_short span)
{
	return (double)span / CLOCK_SHORT_SECOND;
}

void figures_read_clock(struct figures_clock *clock, const struct stats *stats, int64_t now)
{
	struct clock_state state;

	clock_state_read(&stats->clock, now, &state);
	clock->synchronised = clock_state_is_synchronised(&state);
	clock->stratum = state.stratum;
	clock->leap = state.leap;
	clock->root_delay = short_seconds(state.root_delay);
	clock->root_dispersion = short_seconds(state.root_dispersion);
	clock->root_distance = short_seconds(clock_state_root_distance(&state));
	stats_read_reason(stats, &clock->reason);
	if (clock->synchronised)
		clock->reason.text[0] = '\0';
}

/* The errors of reading seconds and two clocks, so that the figure is constant without a step. */
#define STEP_MIN (2 * CLOCK_SECOND)

/* A start is often before the first synchronisation, which sets the clock from 1970, for example:
 * what the system clock said then counts as long as it has not been set. */
static uint64_t start_time(const struct stats_info *info, int64_t uptime)
{
	int64_t start = clock_realtime() - uptime;
	int64_t step = start - (int64_t)info->started_clock * CLOCK_SECOND;

	if ((step < 0 ? -step : step) < STEP_MIN)
		return info->started_clock;
	return start > 0 ? (uint64_t)(start / CLOCK_SECOND) : 0;
}

static void format_time(uint64_t seconds, char text[static 32])
{
	time_t time = (time_t)seconds;
	struct tm utc;

	if (!gmtime_r(&time, &utc) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		text[0] = '\0';
}

static void read_web(struct figures *figures, const struct stats *stats,
		     const struct web_counters *web)
{
	figures->http_requests = web_counters_requests(web);
	figures->http_connections = counter_read(&web->connections);
	figures->http_starts = counter_read(&stats->web_starts);
	figures->http_crashes = counter_read(&stats->web_crashes);
	histogram_add(&figures->http_response_time, &web->response_time);
	for (size_t i = 0; i < WEB_PATHS; i++) {
		for (size_t j = 0; j < WEB_OUTCOMES; j++)
			figures->http_per_path[i][j] = counter_read(&web->requests[i][j]);
	}
}

void figures_read(struct figures *figures, const struct stats *stats,
		  const struct web_counters *web)
{
	int64_t uptime;

	*figures = (struct figures){ .version = FIGURES_VERSION,
				     .program = PROGRAM_VERSION,
				     .client_count = -1 };
	stats_read_info(stats, &figures->info);
	figures_read_clock(&figures->clock, stats, clock_monotonic());
	stats_sum(stats, web, &figures->sum);
	read_web(figures, stats, web);
	uptime = clock_boottime() - figures->info.started;
	figures->uptime = (uint64_t)(uptime / CLOCK_SECOND);
	figures->started_clock = start_time(&figures->info, uptime);
	format_time(figures->started_clock, figures->started);
	figures->replies = counters_replies(&figures->sum);
	figures->worker_count = (int)stats_workers(stats);
	for (int i = 0; i < figures->worker_count; i++)
		figures->per_worker[i] = counters_requests(&stats->workers[i].counters);
}

void figures_set_clients(struct figures *figures, const struct top_clients_list *list)
{
	int i;

	for (i = 0; i < TOP_CLIENTS_SHOWN && list->items[i].count > 0 && list->total > 0; i++) {
		top_clients_format(list->items[i].network, figures->clients[i].network);
		figures->clients[i].share = (double)list->items[i].count / (double)list->total;
	}
	figures->client_count = i;
}

int figures_count(const struct figures *figures, const struct figure *figure)
{
	switch (figure->per) {
	case FIGURES_SINGLE:
		return 1;
	case FIGURES_STATE:
		return figures->state[0] != '\0' ? 1 : -1;
	case FIGURES_PER_PROTOCOL:
		return PROTOCOL_COUNT;
	case FIGURES_PER_REASON:
		return DROP_COUNT;
	case FIGURES_PER_WORKER:
		return figures->worker_count;
	case FIGURES_PER_LISTENER:
		return (int)figures->info.listen_count;
	case FIGURES_PER_CLIENT:
		return figures->client_count;
	case FIGURES_PER_PATH:
		return WEB_PATHS * WEB_OUTCOMES;
	}
	return -1;
}

struct figures_value figures_value(const struct figures *figures, const struct figure *figure,
				   int index)
{
	const void *place = (const char *)figures + figure->offset + (size_t)index * figure->stride;
	struct figures_value value = { .type = figure->type };

	switch (figure->type) {
	case FIGURES_NUMBER:
		value.number = *(const uint64_t *)place;
		break;
	case FIGURES_COUNTER:
		value.type = FIGURES_NUMBER;
		value.number = counter_read(place);
		break;
	case FIGURES_BOOL:
		value.truth = *(const bool *)place;
		break;
	case FIGURES_REAL:
		value.real = *(const double *)place;
		break;
	case FIGURES_TEXT:
		value.text = place;
		break;
	case FIGURES_HISTOGRAM:
		value.histogram = place;
		break;
	}
	return value;
}

const char *figures_key(const struct figure *figure, int index)
{
	if (figure->per == FIGURES_PER_PROTOCOL)
		return protocol_table[index].word;
	return figure->per == FIGURES_PER_REASON ? counters_drop_name((enum drop)index) : NULL;
}

bool figures_is_list(const struct figure *figure)
{
	return figure->per == FIGURES_PER_WORKER || figure->per == FIGURES_PER_LISTENER ||
	       figure->per == FIGURES_PER_CLIENT;
}
