// SPDX-License-Identifier: BSD-3-Clause
// The admin socket's server: accepts relayctl's connections on the event loop, judges requests
// (verbs.h), asks a provider for what they want and sends the answers. It knows nothing of TURN or
// of the dataplane's link. All functions and callbacks: the loop's thread only.
//
// No client of the socket can hold up another: everything is non-blocking, one request per
// connection is in work at a time, answers wait in a bounded queue. Who does not read for
// ADMIN_STALL_MS, has more than the queue waiting, or asks faster than ADMIN_RATE is dropped; when
// connections run out, the one idle for longest goes, and users who may only look never displace
// one who may change something.
#pragma once

#include "controlplane/admin/messages.h"

#include <uv.h>

enum {
	ADMIN_CLIENTS_MAX = 32,
	ADMIN_QUEUE_MAX = 16,     // datagrams of up to API_DATAGRAM_MAX that wait for one client
	ADMIN_RATE = 100,         // requests a second of one client
	ADMIN_BURST = 200,        // requests at once
	ADMIN_STALL_MS = 5000,    // how long a client may leave answers unread
	ADMIN_ANSWER_MS = 5000,   // how long the provider may take; then -ETIMEDOUT
	ADMIN_SOCKET_MODE = 0660, // of control.sock
};

// One request in work. Belongs to the server; valid until admin_reply_end, even if the client has
// gone or the server was closed meanwhile.
struct admin_reply;

// Where the data comes from. Each function must not block and must lead to exactly one
// admin_reply_end(reply), during the call or later; what is to be told goes through
// admin_reply_item before that. -ENOTCONN is the result while there is no dataplane to ask.
struct admin_provider {
	void *context;
	// One item of struct admin_status. Never fails for want of a dataplane: state is
	// ADMIN_STATE_UNREACHABLE then.
	void (*status)(void *context, struct admin_reply *reply);
	// One item of struct admin_versions.
	void (*versions)(void *context, struct admin_reply *reply);
	// Items: struct api_counter, those of the dataplane and of ADMIN_COUNTER_*.
	void (*stats)(void *context, struct admin_reply *reply);
	// Items: struct api_port.
	void (*ports)(void *context, struct admin_reply *reply);
	// Items: struct api_worker.
	void (*workers)(void *context, struct admin_reply *reply);
	// No items. The layout is that of the dataplane's own verb.
	void (*drain)(void *context, const struct api_drain *drain, struct admin_reply *reply);
	// Items: struct admin_change. check: only tells.
	void (*reload)(void *context, bool check, struct admin_reply *reply);
	// Items: struct api_guard_rule.
	void (*guard_rules)(void *context, struct admin_reply *reply);
	// One item of struct api_guard_limits.
	void (*guard_limits)(void *context, struct admin_reply *reply);
	// No items. Errors as API_GUARD_SET and API_GUARD_REMOVE have them.
	void (*guard_set)(
		void *context, const struct api_guard_rule *rule, struct admin_reply *reply);
	void (*guard_remove)(
		void *context, const struct net_prefix *prefix, struct admin_reply *reply);
	// Items: struct admin_token_key.
	void (*token_keys)(void *context, struct admin_reply *reply);
	// One item of struct admin_token_key.
	void (*token_rotate)(void *context, struct admin_reply *reply);
	// No items.
	void (*token_retire)(void *context, uint32_t key_id, struct admin_reply *reply);
	// One item of struct admin_token_answer.
	void (*token_issue)(void *context, const struct admin_token_request *request,
		struct admin_reply *reply);
};

struct admin_server;

// Listens on path (<run>/control.sock), replacing a socket that nobody listens on. provider is
// copied. 0 and *out; -EADDRINUSE another process listens there; other negative errno of the socket
// calls.
int admin_server_open(uv_loop_t *loop, const char *path, const struct admin_provider *provider,
	struct admin_server **out);

// Drops all clients, removes the socket; memory is freed by the loop's next turns. NULL is fine.
void admin_server_close(struct admin_server *server);

// One answer; size must be the verb's (asserted). Copied.
void admin_reply_item(struct admin_reply *reply, const void *item, uint32_t size);

// Ends the answer with 0 or a negative errno and frees reply.
void admin_reply_end(struct admin_reply *reply, int result);
