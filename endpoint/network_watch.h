// SPDX-License-Identifier: BSD-3-Clause
// Tells when the host's own address towards the relay has become another one: rtnetlink says that
// something has changed, and asking the kernel for the source it would use says whether it matters.
// Without netlink it stays silent, and the core finds out by its keepalives.
#pragma once

#include <uv.h>

#include <stdbool.h>

struct network_watch {
	uv_poll_t poll;
	bool running;
	int fd;
	struct sockaddr_storage own; // the last source; ss_family 0: none was looked up
	void (*changed)(void *context);
	void *context;
};

// changed: something may be another; it is called often.
void network_watch_start(struct network_watch *watch, uv_loop_t *loop,
	void (*changed)(void *context), void *context);
// Whether the source towards relay is another one than at the last call, or than none.
bool network_watch_moved(struct network_watch *watch, const struct sockaddr *relay);
// After the poll handle was closed.
void network_watch_stop(struct network_watch *watch);
