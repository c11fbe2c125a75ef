// SPDX-License-Identifier: BSD-3-Clause
// relayctl's end of the admin socket: blocking, one request at a time, every wait bounded.
#pragma once

#include "controlplane/admin/messages.h"

#include <stddef.h>

enum { RELAYCTL_ANSWER_MS = 10000 };

struct relayctl_client;

// Connects and says hello. 0 and *out, or -errno of socket calls; -EPROTONOSUPPORT: the control
// plane speaks another version; -EPROTO: what listens there is no control plane; -ETIMEDOUT.
int relayctl_client_open(const char *path, struct relayctl_client **out);
// NULL is fine.
void relayctl_client_close(struct relayctl_client *client);

// A verb with one answer of exactly `size` bytes into *answer (size 0: empty). 0, the control
// plane's negative errno, or -ECONNRESET (it went away), -EPROTO (nonsense), -ETIMEDOUT.
int relayctl_client_ask(struct relayctl_client *client, uint32_t type, const void *request,
	uint32_t request_size, void *answer, uint32_t size);

// An array from the heap; free with free(items).
struct relayctl_list {
	void *items;
	size_t count;
};

// A verb that answers a stream of items of `size` bytes. Errors as above; *out is set on success
// only.
int relayctl_client_list(
	struct relayctl_client *client, uint32_t type, uint32_t size, struct relayctl_list *out);

// Says on stderr what could not be done and what to do about it; returns the exit code. verb: NULL
// while connecting.
int relayctl_client_explain(const char *path, const char *verb, int error);
