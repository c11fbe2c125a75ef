// SPDX-License-Identifier: BSD-3-Clause
// The admin socket seen from relayctl. Answers are checked as if a stranger had sent them: sizes,
// ids, number of items.

#include "controlplane/relayctl/client.h"

#include "controlplane/relayctl/relayctl.h"
#include "dataplane/api/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ITEMS_MAX = 1 << 18 };

struct relayctl_client {
	int fd;
	uint32_t last_id;
	const uint8_t *position; // unread frames of the last datagram
	const uint8_t *end;
	uint8_t buffer[API_DATAGRAM_MAX];
};

static int send_request(
	struct relayctl_client *client, uint32_t type, const void *request, uint32_t size)
{
	uint8_t data[ADMIN_REQUEST_MAX];
	struct api_header header = {.id = ++client->last_id, .type = type, .length = (int32_t)size};

	assert(sizeof(header) + api_padded(size) <= sizeof(data));
	memset(data, 0, sizeof(data));
	memcpy(data, &header, sizeof(header));
	if (size > 0)
		memcpy(data + sizeof(header), request, size);
	client->position = client->end = client->buffer;
	while (send(client->fd, data, sizeof(header) + api_padded(size), MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return -ETIMEDOUT;
		return errno == EPIPE ? -ECONNRESET : -errno;
	}
	return 0;
}

// The next answer to the last request: 0 and *frame, or a negative errno of the connection.
static int next_answer(struct relayctl_client *client, uint32_t type, struct api_frame *frame)
{
	while (client->position == client->end) {
		ssize_t n = recv(client->fd, client->buffer, sizeof(client->buffer), MSG_TRUNC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return -ETIMEDOUT;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		if ((size_t)n > sizeof(client->buffer))
			return -EPROTO;
		client->position = client->buffer;
		client->end = client->buffer + n;
	}
	if (api_frame_next(&client->position, client->end, frame) != 1)
		return -EPROTO;
	if (frame->header.id != client->last_id || frame->header.type != type)
		return -EPROTO;
	return 0;
}

int relayctl_client_ask(struct relayctl_client *client, uint32_t type, const void *request,
	uint32_t request_size, void *answer, uint32_t size)
{
	struct api_frame frame = {0};
	int rc = send_request(client, type, request, request_size);

	if (rc == 0)
		rc = next_answer(client, type, &frame);
	if (rc < 0)
		return rc;
	if (frame.header.length < 0)
		return frame.header.length;
	if (frame.size != size)
		return -EPROTO;
	if (size > 0)
		memcpy(answer, frame.payload, size);
	return 0;
}

int relayctl_client_list(
	struct relayctl_client *client, uint32_t type, uint32_t size, struct relayctl_list *out)
{
	struct relayctl_list list = {0};
	struct api_frame frame = {0};
	size_t room = 0;

	int rc = send_request(client, type, NULL, 0);
	while (rc == 0) {
		rc = next_answer(client, type, &frame);
		if (rc < 0)
			break;
		if (frame.header.length < 0) {
			rc = frame.header.length;
			break;
		}
		if (frame.size == 0) {
			*out = list;
			return 0;
		}
		if (frame.size != size || list.count == ITEMS_MAX) {
			rc = -EPROTO;
			break;
		}
		if (list.count == room) {
			room = room == 0 ? 64 : room * 2;
			void *items = reallocarray(list.items, room, size);
			if (items == NULL) {
				rc = -ENOMEM;
				break;
			}
			list.items = items;
		}
		memcpy((uint8_t *)list.items + list.count++ * size, frame.payload, size);
	}
	free(list.items);
	return rc;
}

int relayctl_client_open(const char *path, struct relayctl_client **out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {
		.tv_sec = RELAYCTL_ANSWER_MS / 1000, .tv_usec = RELAYCTL_ANSWER_MS % 1000 * 1000};
	struct admin_hello hello = {.version = ADMIN_VERSION};
	struct admin_hello_answer answer;
	int rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	struct relayctl_client *client = malloc(sizeof(*client));
	if (client == NULL)
		return -ENOMEM;
	client->last_id = 0;
	client->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client->fd < 0) {
		rc = -errno;
		goto free_client;
	}
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
		goto close_socket;
	}
	rc = relayctl_client_ask(
		client, ADMIN_HELLO, &hello, sizeof(hello), &answer, sizeof(answer));
	if (rc == 0 && answer.version != ADMIN_VERSION)
		rc = -EPROTONOSUPPORT;
	if (rc == 0) {
		*out = client;
		return 0;
	}
close_socket:
	close(client->fd);
free_client:
	free(client);
	return rc;
}

void relayctl_client_close(struct relayctl_client *client)
{
	if (client == NULL)
		return;
	close(client->fd);
	free(client);
}

static int explain_connection(const char *path, int error)
{
	switch (-error) {
	case ENOENT:
	case ENOTDIR:
		fprintf(stderr,
			"relayctl: no socket at %s: is relay-controlplane running (systemctl "
			"status "
			"relay-controlplane)? With another [node] run, name the socket with -s\n",
			path);
		break;
	case ECONNREFUSED:
		fprintf(stderr,
			"relayctl: nobody listens at %s: relay-controlplane has ended; start it "
			"(systemctl start relay-controlplane) and see its log for why\n",
			path);
		break;
	case EACCES:
	case EPERM:
		fprintf(stderr,
			"relayctl: no permission for %s: run as root or in the socket's group\n",
			path);
		break;
	case EPROTONOSUPPORT:
		fprintf(stderr,
			"relayctl: the control plane at %s speaks another version: restart it "
			"after an "
			"upgrade (systemctl restart relay-controlplane)\n",
			path);
		break;
	case ENAMETOOLONG:
		fprintf(stderr, "relayctl: %s is too long for a socket: name another with -s\n",
			path);
		break;
	case EPROTO:
	case EPROTOTYPE:
		fprintf(stderr, "relayctl: what listens at %s is not relay-controlplane: see -s\n",
			path);
		break;
	default:
		fprintf(stderr,
			"relayctl: cannot talk to the control plane at %s: %s: is "
			"relay-controlplane "
			"running?\n",
			path, strerror(-error));
		break;
	}
	return RELAYCTL_UNREACHABLE;
}

int relayctl_client_explain(const char *path, const char *verb, int error)
{
	if (verb == NULL)
		return explain_connection(path, error);
	switch (-error) {
	case ECONNRESET:
		fprintf(stderr,
			"relayctl: %s: relay-controlplane closed the connection: it ended or is "
			"being "
			"restarted; try again\n",
			verb);
		return RELAYCTL_UNREACHABLE;
	case ENOTCONN:
		fprintf(stderr,
			"relayctl: %s: the control plane has no dataplane to ask: is "
			"relay-dataplane "
			"running (systemctl status relay-dataplane)?\n",
			verb);
		break;
	case EPERM:
		fprintf(stderr,
			"relayctl: %s: only root or the control plane's own user may: try sudo\n",
			verb);
		break;
	case ETIMEDOUT:
		fprintf(stderr, "relayctl: %s: no answer in time: is relay-dataplane stuck?\n",
			verb);
		break;
	default:
		fprintf(stderr, "relayctl: %s: %s\n", verb, strerror(-error));
		break;
	}
	return RELAYCTL_FAILED;
}
