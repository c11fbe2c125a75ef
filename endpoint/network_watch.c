// SPDX-License-Identifier: BSD-3-Clause
// See network_watch.h.
#include "endpoint/network_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <string.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct network_watch *watch = poll->data;
	char message[8192];

	(void)events;
	// What it says does not matter, nor does it that some of it was dropped (ENOBUFS).
	while (recv(watch->fd, message, sizeof(message), MSG_DONTWAIT) > 0)
		;
	if (status == 0)
		watch->changed(watch->context);
}

void network_watch_start(
	struct network_watch *watch, uv_loop_t *loop, void (*changed)(void *context), void *context)
{
	struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
			     RTMGRP_IPV6_ROUTE | RTMGRP_LINK,
	};

	watch->changed = changed;
	watch->context = context;
	watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (watch->fd < 0)
		return;
	if (bind(watch->fd, (struct sockaddr *)&groups, sizeof(groups)) != 0 ||
		uv_poll_init(loop, &watch->poll, watch->fd) != 0) {
		close(watch->fd);
		return;
	}
	watch->poll.data = watch;
	watch->running = true;
	uv_poll_start(&watch->poll, UV_READABLE, on_readable);
}

bool network_watch_moved(struct network_watch *watch, const struct sockaddr *relay)
{
	struct sockaddr_storage own = {0};
	socklen_t size = sizeof(own);
	bool v6 = relay->sa_family == AF_INET6;
	int fd = socket(relay->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	// connect() of a datagram socket sends nothing; it looks the route up.
	bool found = connect(fd, relay,
			     v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)) == 0 &&
		     getsockname(fd, (struct sockaddr *)&own, &size) == 0;
	close(fd);
	if (!found)
		return false; // no way at all: there is nothing to be done about it
	if (v6)
		((struct sockaddr_in6 *)&own)->sin6_port = 0;
	else
		((struct sockaddr_in *)&own)->sin_port = 0;
	if (memcmp(&own, &watch->own, sizeof(own)) == 0)
		return false;
	watch->own = own;
	return true;
}

void network_watch_stop(struct network_watch *watch)
{
	if (watch->running)
		close(watch->fd);
	watch->running = false;
}
