// SPDX-License-Identifier: BSD-3-Clause
// The control plane's rooms wired together: what the dataplane's link tells goes to the TURN core
// and the routing mirror, what those decide goes back over the link, and the admin socket looks at
// all of them. Keeps nothing that a restart would miss: the dataplane tells it again. One thread
// (the event loop's).
#pragma once

#include "controlplane/admin/admin.h"
#include "controlplane/dataplane_link.h"
#include "controlplane/reload.h"
#include "controlplane/guard.h"
#include "controlplane/native.h"
#include "controlplane/node_key.h"
#include "controlplane/routes.h"
#include "controlplane/tokens/tokens.h"
#include "controlplane/turn/turn.h"

// What may interest whoever looks at the log; never about a client.
enum node_news {
	NODE_WAITING,             // not connected; node_trouble tells why
	NODE_CONNECTED,           // node->hello is fresh
	NODE_DATAPLANE_RESTARTED, // another instance than before: all allocations are gone
	NODE_SERVING,             // snapshot taken and routing mirrored
};

struct node {
	uv_loop_t *loop;
	struct config *config; // what is in force; owned, replaced by reload
	void (*news)(struct node *node, enum node_news news);
	// The configuration was read again; not told of a mere check.
	void (*reloaded)(struct node *node, const struct reload_report *report);

	struct dataplane_link *link;
	struct turn_core *core;
	struct tokens *tokens; // NULL: the configuration uses none
	struct registration_core *registration;
	struct routes *routes;
	struct admin_server *admin;
	uv_timer_t tick;
	uint64_t started_ms;
	struct reload reload;

	// Of the connection that is up, or was last; its key is what RESYNC hands to the core
	// again.
	struct api_hello_answer hello;
	bool was_connected;
	bool snapshot_running, snapshot_again, snapshot_done;
	bool routing_done;
	bool draining;
	char ports[CONFIG_PORTS_MAX][ROUTES_NAME_SIZE];
	size_t port_count;

	uint8_t relay_key[32];                // public; zero without one
	char key_trouble[NODE_KEY_TEXT_SIZE]; // why there is none; empty: there is

	struct guard_copy guard;

	char start_error[TOKENS_ERROR_SIZE]; // one line; empty: none

	bool addresses_known;
	bool listen_missing[CONFIG_LISTEN_MAX]; // listen addresses that no interface has
	uint64_t routing_refused; // by this dataplane: it is full, or does not have the interface
	uint64_t resyncs;
};

// Opens sockets and the files it needs and starts everything on loop; node is the caller's, zeroed
// but for config, reload.file, news and reloaded. 0, or a negative errno after naming what failed
// in *what (static text), or telling the whole in node->start_error.
int node_start(struct node *node, uv_loop_t *loop, const char **what);
// Closes all; the loop ends by itself when the last handle is closed. node_free then.
void node_stop(struct node *node);
// The configuration too.
void node_free(struct node *node);

// Reads the configuration file again. What comes of it goes to node->reloaded, and to done first
// (NULL: nobody waits).
void node_reload(struct node *node, bool check, reload_done done, void *context);

// Why there is no dataplane, in words.
const char *node_trouble(const struct node *node);

// A drain request went through.
void node_drained(struct node *node, bool on);
