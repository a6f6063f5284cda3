#include "server/attend.h"

#include <stdlib.h>

#include "base/log.h"
#include "server/control/control_message.h"
#include "server/events.h"
#include "server/reload.h"
#include "server/status.h"
#include "server/upgrade/hand_over.h"

/* How long to leave new peers waiting where the system has nothing left to let them in with. */
#define REST CLOCK_SECOND

static bool watch(struct server *server)
{
	return event_add_fd(server->epoll, EPOLL_CTL_ADD, server->control.fd,
			    event_tag(EVENT_CONTROL, CONTROL_PEERS));
}

bool server_attend(struct server *server)
{
	server->attend_at = watch(server) ? 0 : clock_monotonic() + REST;
	return server->attend_at == 0;
}

void server_attend_no_more(struct server *server)
{
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, server->control.fd, NULL);
	server->attend_at = 0;
}

int64_t server_tick_control(struct server *server, int64_t now)
{
	if (server->attend_at != 0 && server->attend_at <= now)
		server_attend(server);
	return server->attend_at != 0 ? server->attend_at : INT64_MAX;
}

static void answer_request(struct server *server, unsigned peer, enum control_command request)
{
	enum exit_status status;
	char *text = NULL, *reply = NULL;

	switch (request) {
	case CONTROL_COMMAND_UPGRADE:
		server_lend(server, peer);
		return;
	case CONTROL_COMMAND_STATUS:
		reply = status_line(server);
		break;
	case CONTROL_COMMAND_RELOAD:
		if (server->stopping || server->successor >= 0)
			break;
		status = server_reload(server, &text);
		reply = control_message_reply(status, text ? text : "");
		free(text);
		break;
	case CONTROL_COMMAND_INVALID:
		reply = control_message_reply(EXIT_USAGE, "not to be understood");
		break;
	}
	control_reply(&server->control, peer, reply ? reply : CONTROL_MESSAGE_FAILED);
	free(reply);
}

static void accept_peer(struct server *server)
{
	static struct log_limit shortages;
	struct control *control = &server->control;
	bool short_of = false;
	int peer = control_accept(control, &short_of);

	if (short_of) {
		log_limited(&shortages, LOG_WARNING, "cannot listen to --signal for a second: %m");
		server_attend_no_more(server);
		server->attend_at = clock_monotonic() + REST;
	} else if (peer >= 0 && !event_add_fd(server->epoll, EPOLL_CTL_ADD, control->peers[peer],
					      event_tag(EVENT_CONTROL, (uint32_t)peer))) {
		control_drop(control, (unsigned)peer);
	}
}

void server_answer_control(struct server *server, uint32_t index)
{
	struct control *control = &server->control;
	char request[CONTROL_REQUEST_MAX];

	if (index == CONTROL_PEERS) {
		/* Once all is lent a new peer is not for this process any more. */
		if (server->successor < 0)
			accept_peer(server);
	} else if ((int)index == server->successor) {
		server_hear_successor(server);
	} else if (control->peers[index] >= 0 &&
		   control_receive(control, index, request, sizeof(request))) {
		answer_request(server, index, control_message_read(request));
	}
}
