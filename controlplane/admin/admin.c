// SPDX-License-Identifier: BSD-3-Clause
// The admin server: the listening socket, the set of clients, requests in work. See admin.h for the
// limits it keeps. The loop's thread only.

#include "controlplane/admin/admin.h"
#include "controlplane/admin/client.h"

#include "dataplane/api/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BACKLOG = 16,
	TICK_MS = 500,
	REPLIES_MAX = 64, // requests in work, those of clients that have gone included
};

struct admin_server {
	struct admin_provider provider;
	uv_poll_t listener;
	uv_timer_t timer;
	int fd;
	bool closing;
	unsigned references; // handles that are not closed, replies that have not ended
	unsigned replies;
	unsigned client_count;
	struct admin_client *clients;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

struct admin_reply {
	struct admin_server *server;
	struct admin_client *client; // NULL: gone, or it has been told -ETIMEDOUT
	uint32_t id;
	uint32_t type;
	uint64_t started_at;
	struct api_batch batch;
	uint8_t data[API_DATAGRAM_MAX];
};

void admin_server_release(struct admin_server *server)
{
	assert(server->references > 0);
	if (--server->references == 0)
		free(server);
}

void admin_server_forget(struct admin_client *client)
{
	struct admin_server *server = client->server;

	for (struct admin_client **link = &server->clients; *link != NULL; link = &(*link)->next)
		if (*link == client) {
			*link = client->next;
			server->client_count--;
			break;
		}
	if (client->reply != NULL) {
		client->reply->client = NULL;
		client->reply = NULL;
	}
}

// ---- requests ----

static void send_result(struct admin_client *client, uint32_t id, uint32_t type, int result)
{
	uint8_t data[sizeof(struct api_header)];
	struct api_batch batch = {.data = data};

	api_batch_append_result(&batch, id, type, result);
	admin_client_send(client, data, batch.length);
}

static void answer_hello(struct admin_client *client, uint32_t id)
{
	uint8_t data[sizeof(struct api_header) + sizeof(struct admin_hello_answer)];
	struct api_batch batch = {.data = data};
	struct admin_hello_answer answer = {.version = ADMIN_VERSION};

	api_batch_append(&batch, id, ADMIN_HELLO, &answer, sizeof(answer), NULL, 0);
	admin_client_send(client, data, batch.length);
}

static void call_provider(const struct admin_provider *p, const struct admin_request *request,
	struct admin_reply *reply)
{
	struct api_drain drain = {
		.on = request->type == ADMIN_DRAIN,
		.deadline_ms = request->type == ADMIN_DRAIN ? request->drain.deadline_ms
							    : ADMIN_NO_DEADLINE,
	};

	switch ((enum admin_type)request->type) {
	case ADMIN_STATUS:
		p->status(p->context, reply);
		return;
	case ADMIN_VERSIONS:
		p->versions(p->context, reply);
		return;
	case ADMIN_STATS:
		p->stats(p->context, reply);
		return;
	case ADMIN_PORTS:
		p->ports(p->context, reply);
		return;
	case ADMIN_WORKERS:
		p->workers(p->context, reply);
		return;
	case ADMIN_DRAIN:
	case ADMIN_UNDRAIN:
		p->drain(p->context, &drain, reply);
		return;
	case ADMIN_RELOAD:
	case ADMIN_RELOAD_CHECK:
		p->reload(p->context, request->type == ADMIN_RELOAD_CHECK, reply);
		return;
	case ADMIN_GUARD_RULES:
		p->guard_rules(p->context, reply);
		return;
	case ADMIN_GUARD_LIMITS:
		p->guard_limits(p->context, reply);
		return;
	case ADMIN_GUARD_SET:
		p->guard_set(p->context, &request->rule, reply);
		return;
	case ADMIN_GUARD_REMOVE:
		p->guard_remove(p->context, &request->rule.prefix, reply);
		return;
	case ADMIN_TOKEN_KEYS:
		p->token_keys(p->context, reply);
		return;
	case ADMIN_TOKEN_ROTATE:
		p->token_rotate(p->context, reply);
		return;
	case ADMIN_TOKEN_RETIRE:
		p->token_retire(p->context, request->retire.id, reply);
		return;
	case ADMIN_TOKEN_ISSUE:
		p->token_issue(p->context, &request->tokens, reply);
		return;
	case ADMIN_HELLO:
		return;
	}
}

void admin_server_run(struct admin_client *client, const struct admin_request *request)
{
	struct admin_server *server = client->server;
	struct admin_reply *reply;

	if (request->type == ADMIN_HELLO) {
		answer_hello(client, request->id);
		return;
	}
	if (server->replies == REPLIES_MAX) {
		send_result(client, request->id, request->type, -EBUSY);
		return;
	}
	reply = malloc(sizeof(*reply));
	if (reply == NULL) {
		send_result(client, request->id, request->type, -ENOMEM);
		return;
	}
	reply->server = server;
	reply->client = client;
	reply->id = request->id;
	reply->type = request->type;
	reply->started_at = uv_now(server->timer.loop);
	reply->batch = (struct api_batch){.data = reply->data};
	client->reply = reply;
	server->replies++;
	server->references++;
	call_provider(&server->provider, request, reply);
}

static void flush_reply(struct admin_reply *reply)
{
	if (reply->client != NULL && reply->batch.length > 0)
		admin_client_send(reply->client, reply->data, reply->batch.length);
	reply->batch.length = 0;
}

void admin_reply_item(struct admin_reply *reply, const void *item, uint32_t size)
{
	assert(size == admin_answer_size(reply->type));
	if (!api_batch_append(&reply->batch, reply->id, reply->type, item, size, NULL, 0)) {
		flush_reply(reply);
		api_batch_append(&reply->batch, reply->id, reply->type, item, size, NULL, 0);
	}
}

void admin_reply_end(struct admin_reply *reply, int result)
{
	struct admin_server *server = reply->server;

	// What has one item is ended by it; lists and empty answers by a length of 0.
	if (result < 0 || admin_answer_is_list(reply->type) ||
		admin_answer_size(reply->type) == 0) {
		if (!api_batch_append_result(&reply->batch, reply->id, reply->type, result)) {
			flush_reply(reply);
			api_batch_append_result(&reply->batch, reply->id, reply->type, result);
		}
	}
	flush_reply(reply);
	struct admin_client *client = reply->client; // a full queue has dropped it by now
	if (client != NULL) {
		client->reply = NULL;
		admin_client_resume(client);
	}
	server->replies--;
	free(reply);
	admin_server_release(server);
}

// ---- connections ----

// Whom to drop for a newcomer: the client idle for longest, those who may only look first.
static struct admin_client *choose_victim(struct admin_server *server, bool newcomer_privileged)
{
	struct admin_client *victim = NULL;
	bool victim_privileged = true;

	for (struct admin_client *c = server->clients; c != NULL; c = c->next) {
		bool privileged = admin_session_privileged(&c->session);
		if (privileged && (!newcomer_privileged || !victim_privileged))
			continue;
		if (victim == NULL || (victim_privileged && !privileged) ||
			c->active_at < victim->active_at) {
			victim = c;
			victim_privileged = privileged;
		}
	}
	return victim;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct admin_server *server = poll->data;
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (status < 0 || !(events & UV_READABLE))
		return;
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		// Out of descriptors: the connection stays pending, and asking at once would spin.
		if (errno == EMFILE || errno == ENFILE)
			uv_poll_stop(&server->listener);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
		close(fd);
		return;
	}
	struct admin_session session = {.uid = credentials.uid, .own_uid = geteuid()};
	if (server->client_count == ADMIN_CLIENTS_MAX) {
		struct admin_client *victim =
			choose_victim(server, admin_session_privileged(&session));
		if (victim == NULL) {
			close(fd);
			return;
		}
		admin_client_drop(victim);
	}
	struct admin_client *client = admin_client_create(server, poll->loop, fd, &session);
	if (client == NULL)
		return;
	client->next = server->clients;
	server->clients = client;
	server->client_count++;
	server->references++;
	admin_client_resume(client);
}

// ---- housekeeping ----

static void on_tick(uv_timer_t *timer)
{
	struct admin_server *server = timer->data;
	uint64_t now = uv_now(timer->loop);
	struct admin_client *next;

	if (!uv_is_active((uv_handle_t *)&server->listener))
		uv_poll_start(&server->listener, UV_READABLE, on_connection);
	for (struct admin_client *client = server->clients; client != NULL; client = next) {
		next = client->next;
		if (client->stalled_since != 0 && now - client->stalled_since >= ADMIN_STALL_MS) {
			admin_client_drop(client);
			continue;
		}
		struct admin_reply *reply = client->reply;
		if (reply != NULL && now - reply->started_at >= ADMIN_ANSWER_MS) {
			reply->client = NULL;
			client->reply = NULL;
			send_result(client, reply->id, reply->type, -ETIMEDOUT);
		}
	}
}

// ---- opening and closing ----

// True when the socket file is left over from a process that ended.
static bool is_abandoned(const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		       errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int open_socket(const char *path, struct sockaddr_un *address)
{
	int rc;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (is_abandoned(address))
		unlink(path);
	// The file must never be open to more users than its final mode, not even for a moment.
	mode_t mask = umask(0777 & ~ADMIN_SOCKET_MODE);
	rc = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(mask);
	if (rc < 0)
		goto close_socket;
	if (listen(fd, BACKLOG) == 0)
		return fd;
	rc = -errno;
	unlink(path);
close_socket:
	close(fd);
	return rc;
}

static void on_handle_closed(uv_handle_t *handle)
{
	admin_server_release(handle->data);
}

int admin_server_open(uv_loop_t *loop, const char *path, const struct admin_provider *provider,
	struct admin_server **out)
{
	struct sockaddr_un address;
	int rc;

	struct admin_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return -ENOMEM;
	server->provider = *provider;
	server->fd = open_socket(path, &address);
	if (server->fd < 0) {
		rc = server->fd;
		goto free_server;
	}
	memcpy(server->path, address.sun_path, sizeof(server->path));
	rc = uv_poll_init(loop, &server->listener, server->fd);
	if (rc < 0)
		goto close_socket;
	uv_timer_init(loop, &server->timer);
	server->listener.data = server->timer.data = server;
	server->references = 2;
	uv_timer_start(&server->timer, on_tick, TICK_MS, TICK_MS);
	rc = uv_poll_start(&server->listener, UV_READABLE, on_connection);
	if (rc < 0) {
		admin_server_close(server);
		return rc;
	}
	*out = server;
	return 0;
close_socket:
	unlink(path);
	close(server->fd);
free_server:
	free(server);
	return rc;
}

void admin_server_close(struct admin_server *server)
{
	if (server == NULL || server->closing)
		return;
	server->closing = true;
	while (server->clients != NULL)
		admin_client_drop(server->clients);
	unlink(server->path);
	uv_poll_stop(&server->listener);
	close(server->fd);
	uv_close((uv_handle_t *)&server->listener, on_handle_closed);
	uv_close((uv_handle_t *)&server->timer, on_handle_closed);
}
