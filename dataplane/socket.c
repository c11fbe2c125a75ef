// SPDX-License-Identifier: BSD-3-Clause
// The API socket's I/O; see socket.h.

#include "dataplane/socket.h"

#include "dataplane/dataplane.h"

#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	GROUPS_MAX = 64,
	SEND_BUFFER = 1 << 20,
};

static int fail(
	char error[static SOCKET_ERROR_SIZE], const char *path, int result, const char *what)
{
	snprintf(error, SOCKET_ERROR_SIZE, "%s: %s: %s", path, what, strerror(-result));
	return result;
}

// ---- the place ----

int socket_claim(
	struct api_socket *api, const struct config *config, char error[static SOCKET_ERROR_SIZE])
{
	const char *run = config->node.run;
	if (mkdir(run, 0755) != 0 && errno != EEXIST)
		return fail(error, run, -errno,
			"making the directory of [node] run (its parent must exist)");
	api->run = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (api->run < 0)
		return fail(error, run, -errno, "opening the directory of [node] run");
	snprintf(api->path, sizeof(api->path), "%s/dataplane.sock", run);
	struct sockaddr_un address;
	if (strlen(api->path) >= sizeof(address.sun_path))
		return fail(error, api->path, -ENAMETOOLONG, "[node] run");
	if (flock(api->run, LOCK_EX | LOCK_NB) != 0) {
		snprintf(error, SOCKET_ERROR_SIZE,
			"%s: another relay-dataplane runs there; stop it, or give this one another "
			"[node] run",
			run);
		return -EADDRINUSE;
	}
	return 0;
}

static bool somebody_answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	bool answers = result == 0 || errno == EAGAIN || errno == EPROTOTYPE;
	close(fd);
	return answers;
}

int socket_listen(struct api_socket *api, char error[static SOCKET_ERROR_SIZE])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;
	memcpy(address.sun_path, api->path, strlen(api->path));
	if (somebody_answers(&address)) {
		snprintf(error, SOCKET_ERROR_SIZE,
			"%s: another program listens there; stop it, or give this one another "
			"[node] run",
			api->path);
		return -EADDRINUSE;
	}
	if (lstat(api->path, &status) == 0) {
		if (!S_ISSOCK(status.st_mode))
			return fail(error, api->path, -EEXIST, "this is not a socket; remove it");
		unlink(api->path);
	}
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(error, api->path, -errno, "making a socket");
	mode_t mask = umask(0117);
	int result = bind(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	umask(mask);
	if (result == 0 && listen(fd, CONNECTIONS_MAX) != 0)
		result = -errno;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = SOCKET_EPOLL_LISTEN};
	if (result == 0 && epoll_ctl(api->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		result = -errno;
	if (result) {
		close(fd);
		return fail(error, api->path, result, "listening");
	}
	api->listen = fd;
	api->socket_group = stat(api->path, &status) == 0 ? status.st_gid : 0;
	return 0;
}

// ---- who ----

static bool in_group(int fd, const struct ucred *peer, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);
	if (peer->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0)
		return false;
	for (unsigned i = 0; i < size / sizeof(*groups); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static void greet(struct api_socket *api, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct epoll_event event = {.events = EPOLLIN};
	int buffer = SEND_BUFFER;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
		close(fd);
		return;
	}
	bool control = peer.uid == 0 || peer.uid == geteuid();
	bool observe = control || in_group(fd, &peer, api->socket_group);
	struct connection *connection =
		observe ? connection_create(&api->server, fd, control, observe) : NULL;
	if (!connection) {
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	event.data.u64 = connection->serial;
	if (epoll_ctl(api->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		connection_free(connection);
		close(fd);
		return;
	}
	connection->armed = EPOLLIN;
}

void socket_accept(struct api_socket *api)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		int fd = accept4(api->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		greet(api, fd);
	}
}

// ---- traffic ----

struct connection *socket_connection(struct api_socket *api, uint64_t serial)
{
	for (unsigned i = 0; i < api->server.count; i++)
		if (api->server.connections[i]->serial == serial)
			return api->server.connections[i];
	return NULL;
}

static void drop_connection(struct connection *connection)
{
	int fd = connection->fd;
	connection_free(connection);
	close(fd);
}

// 0, or -errno: the peer is gone or sent more than a datagram may hold.
static int receive(struct connection *connection)
{
	if (!connection_wants_input(connection))
		return 0;
	ssize_t length = recv(connection->fd, connection->in, API_DATAGRAM_MAX, MSG_TRUNC);
	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (length == 0)
		return -ECONNRESET;
	if (length > API_DATAGRAM_MAX) {
		connection->in_length = API_DATAGRAM_MAX;
		return -EMSGSIZE;
	}
	connection->in_length = (uint32_t)length;
	return 0;
}

static int flush(struct connection *connection)
{
	const uint8_t *data;
	uint32_t length;
	while (connection_output(connection, &data, &length)) {
		if (send(connection->fd, data, length, MSG_NOSIGNAL) < 0) {
			connection->want_write = errno == EAGAIN || errno == ENOBUFS;
			return connection->want_write || errno == EINTR ? 0 : -errno;
		}
		connection_sent(connection);
	}
	connection->want_write = false;
	return connection->closing ? -ESHUTDOWN : 0;
}

static void arm(struct api_socket *api, struct connection *connection)
{
	struct epoll_event event = {
		.events = (connection_wants_input(connection) ? EPOLLIN : 0u) |
			  (connection->want_write ? EPOLLOUT : 0u),
		.data.u64 = connection->serial,
	};
	if (event.events == connection->armed)
		return;
	connection->armed = event.events;
	epoll_ctl(api->epoll, EPOLL_CTL_MOD, connection->fd, &event);
}

void socket_ready(struct api_socket *api, uint64_t serial, uint32_t events)
{
	struct connection *connection = socket_connection(api, serial);
	if (!connection)
		return;
	int result = receive(connection);
	// A peer that has gone while we were not reading from it.
	if (result == 0 && (events & (EPOLLHUP | EPOLLERR)) && connection->in_length == 0)
		result = -ECONNRESET;
	if (result == 0 && (events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN))
		result = -ECONNRESET;
	if (result < 0)
		drop_connection(connection);
}

void socket_work(struct api_socket *api)
{
	for (unsigned i = api->server.count; i-- > 0;) {
		struct connection *connection = api->server.connections[i];
		int result = connection_work(connection);
		int sent = flush(connection);
		if (result < 0 || sent < 0)
			drop_connection(connection);
		else
			arm(api, connection);
	}
}

static bool alive(const struct connection *connection)
{
	struct pollfd ask = {.fd = connection->fd, .events = POLLIN};
	return poll(&ask, 1, 0) <= 0 || !(ask.revents & (POLLHUP | POLLERR));
}

void socket_init(struct api_socket *api, struct dataplane *dataplane)
{
	memset(api, 0, sizeof(*api));
	api->server.dataplane = dataplane;
	api->server.alive = alive;
	api->run = api->listen = -1;
}

void socket_close(struct api_socket *api)
{
	while (api->server.count)
		drop_connection(api->server.connections[0]);
	if (api->listen >= 0) {
		unlink(api->path);
		close(api->listen);
	}
	if (api->run >= 0)
		close(api->run);
	api->listen = api->run = -1;
}
