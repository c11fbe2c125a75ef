// SPDX-License-Identifier: BSD-3-Clause
// One connection to the admin socket: reading a request at a time, the queue of answers, when to
// drop it. Private to controlplane/admin; the loop's thread only.
#pragma once

#include "controlplane/admin/admin.h"
#include "controlplane/admin/verbs.h"

#include <stdbool.h>

struct admin_block {
	struct admin_block *next;
	uint32_t length;
	uint8_t data[];
};

struct admin_client {
	struct admin_client *next;
	struct admin_server *server;
	uv_poll_t poll;
	int fd;
	bool closing;           // uv_close was called; freed by its callback
	bool closing_when_sent; // nothing more is read
	struct admin_session session;
	struct admin_reply *reply; // the request in work, or NULL
	struct admin_block *first; // unsent answers, oldest first
	struct admin_block *last;
	unsigned queued;
	uint64_t stalled_since; // uv_now when sending first failed; 0: not stalled
	uint64_t active_at;     // uv_now of the last request
	uint64_t tokens_at;
	uint32_t tokens; // requests that may come now
};

// Takes fd over, also on failure. NULL without memory or when the loop refuses it. Nothing is read
// before admin_client_resume.
struct admin_client *admin_client_create(
	struct admin_server *server, uv_loop_t *loop, int fd, const struct admin_session *session);

// Queues a copy of one datagram and sends what the socket takes. Drops a client whose queue is
// full.
void admin_client_send(struct admin_client *client, const uint8_t *data, uint32_t length);

// Look at the next request: there is none in work (any more).
void admin_client_resume(struct admin_client *client);

// Closes the connection; client stays valid until the loop's next turn.
void admin_client_drop(struct admin_client *client);

// ---- what the server does for its clients ----

// Executes a judged request: leads to admin_client_send and, unless at once, client->reply.
void admin_server_run(struct admin_client *client, const struct admin_request *request);
// The client is closing: forget it.
void admin_server_forget(struct admin_client *client);
// The client's memory is free.
void admin_server_release(struct admin_server *server);
