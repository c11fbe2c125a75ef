// SPDX-License-Identifier: BSD-3-Clause
// Connection side of the admin server: non-blocking receive and send of datagrams, with the limits
// that keep one client from holding up others (admin.h).

#include "controlplane/admin/client.h"

#include "dataplane/api/frames.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_event(uv_poll_t *poll, int status, int events);

static uint64_t client_now(const struct admin_client *client)
{
	return uv_now(client->poll.loop);
}

// Listens for what can be done now. A client with a request in work is not read: its own socket
// buffer is what holds its flood.
static void watch(struct admin_client *client)
{
	int events = UV_DISCONNECT;

	if (client->closing)
		return;
	if (client->reply == NULL && !client->closing_when_sent)
		events |= UV_READABLE;
	if (client->first != NULL)
		events |= UV_WRITABLE;
	if (uv_poll_start(&client->poll, events, on_event) < 0)
		admin_client_drop(client);
}

struct admin_client *admin_client_create(
	struct admin_server *server, uv_loop_t *loop, int fd, const struct admin_session *session)
{
	struct admin_client *client = calloc(1, sizeof(*client));

	if (client == NULL || uv_poll_init(loop, &client->poll, fd) < 0) {
		free(client);
		close(fd);
		return NULL;
	}
	client->server = server;
	client->fd = fd;
	client->session = *session;
	client->active_at = client->tokens_at = uv_now(loop);
	client->tokens = ADMIN_BURST;
	client->poll.data = client;
	return client;
}

static void on_closed(uv_handle_t *handle)
{
	struct admin_client *client = handle->data;
	struct admin_server *server = client->server;

	close(client->fd);
	while (client->first != NULL) {
		struct admin_block *block = client->first;
		client->first = block->next;
		free(block);
	}
	free(client);
	admin_server_release(server);
}

void admin_client_drop(struct admin_client *client)
{
	if (client->closing)
		return;
	client->closing = true;
	admin_server_forget(client);
	uv_close((uv_handle_t *)&client->poll, on_closed);
}

static void flush(struct admin_client *client)
{
	while (client->first != NULL) {
		struct admin_block *block = client->first;
		ssize_t n =
			send(client->fd, block->data, block->length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (client->stalled_since == 0)
				client->stalled_since = client_now(client);
			return;
		}
		if (n < 0) {
			admin_client_drop(client);
			return;
		}
		client->stalled_since = 0;
		client->first = block->next;
		if (client->first == NULL)
			client->last = NULL;
		client->queued--;
		free(block);
	}
	if (client->closing_when_sent)
		admin_client_drop(client);
}

void admin_client_send(struct admin_client *client, const uint8_t *data, uint32_t length)
{
	struct admin_block *block;

	if (client->closing)
		return;
	if (client->queued == ADMIN_QUEUE_MAX ||
		(block = malloc(sizeof(*block) + length)) == NULL) {
		admin_client_drop(client);
		return;
	}
	block->next = NULL;
	block->length = length;
	memcpy(block->data, data, length);
	if (client->last != NULL)
		client->last->next = block;
	else
		client->first = block;
	client->last = block;
	client->queued++;
	flush(client);
	watch(client);
}

void admin_client_resume(struct admin_client *client)
{
	watch(client);
}

static bool take_token(struct admin_client *client)
{
	uint64_t now = client_now(client);
	uint64_t earned = (now - client->tokens_at) * ADMIN_RATE / 1000;

	if (earned > 0) {
		uint64_t tokens = client->tokens + earned;
		client->tokens = tokens < ADMIN_BURST ? (uint32_t)tokens : ADMIN_BURST;
		client->tokens_at = now;
	}
	if (client->tokens == 0)
		return false;
	client->tokens--;
	client->active_at = now;
	return true;
}

static void refuse(struct admin_client *client, const struct admin_request *request, int error)
{
	uint8_t data[sizeof(struct api_header)];
	struct api_batch batch = {.data = data};

	if (request->id == 0)
		return;
	api_batch_append_result(&batch, request->id, request->type, error);
	admin_client_send(client, data, batch.length);
}

// One datagram a turn, so that many clients take turns.
static void receive(struct admin_client *client)
{
	uint8_t data[ADMIN_REQUEST_MAX];
	struct admin_request request;
	int error;

	// MSG_TRUNC: the datagram's real length, so that an oversize one is seen as such. Passed
	// descriptors are closed by the kernel: there is no room for control messages.
	ssize_t n = recv(client->fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	// An empty datagram and the end look alike; both end it.
	if (n <= 0 || (size_t)n > sizeof(data) || !take_token(client)) {
		admin_client_drop(client);
		return;
	}
	switch (admin_session_judge(&client->session, data, (size_t)n, &request, &error)) {
	case ADMIN_RUN:
		admin_server_run(client, &request);
		break;
	case ADMIN_REFUSE:
		refuse(client, &request, error);
		break;
	case ADMIN_CLOSE:
		client->closing_when_sent = true;
		refuse(client, &request, error);
		if (client->first == NULL)
			admin_client_drop(client);
		break;
	}
	watch(client);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct admin_client *client = poll->data;

	if (status < 0 || (events & UV_DISCONNECT)) {
		admin_client_drop(client);
		return;
	}
	if (events & UV_WRITABLE) {
		flush(client);
		watch(client);
	}
	if ((events & UV_READABLE) && !client->closing && !client->closing_when_sent &&
		client->reply == NULL)
		receive(client);
}
