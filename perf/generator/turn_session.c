// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/turn_session.h"

#include "lib/wire/stun.h"
#include "lib/wire/stun_integrity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWER_WAIT_MS = 500,
	TRIES = 6,
	TEXT_MAX = 256,
};

struct exchange {
	const struct turn_session *session;
	const struct turn_login *login;
	char realm[TEXT_MAX];
	uint8_t nonce[TEXT_MAX];
	size_t nonce_length; // 0: not challenged yet
	uint8_t answer[1500];
	struct stun_message message;
};

static socklen_t sockaddr_of(const struct net_endpoint *e, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (e->address.family == NET_IPV4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->address.bytes, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(e->port);
	memcpy(&in6->sin6_addr, e->address.bytes, 16);
	return sizeof(*in6);
}

static void endpoint_of(const struct sockaddr_storage *s, struct net_endpoint *out)
{
	memset(out, 0, sizeof(*out));
	if (s->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)s;
		out->address = net_address_v4(&in->sin_addr);
		out->port = ntohs(in->sin_port);
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
		out->address = net_address_v6(&in6->sin6_addr);
		out->port = ntohs(in6->sin6_port);
	}
}

// Sends until an answer to this transaction arrives. 0 or -ETIMEDOUT.
static int transact(struct exchange *x, const uint8_t *request, size_t length)
{
	for (int attempt = 0; attempt < TRIES; attempt++) {
		if (send(x->session->socket, request, length, 0) < 0 && errno != ECONNREFUSED)
			return -errno;
		struct pollfd wait = {.fd = x->session->socket, .events = POLLIN};
		while (poll(&wait, 1, ANSWER_WAIT_MS) > 0) {
			ssize_t n = recv(x->session->socket, x->answer, sizeof(x->answer), 0);
			if (n > 0 && stun_parse(x->answer, (size_t)n, &x->message) == 0 &&
				memcmp(stun_transaction(&x->message), request + 8,
					STUN_TRANSACTION_LENGTH) == 0)
				return 0;
		}
	}
	return -ETIMEDOUT;
}

static void take_challenge(struct exchange *x)
{
	struct stun_attribute a;
	if (stun_find(&x->message, STUN_REALM, &a) && a.length < TEXT_MAX) {
		memcpy(x->realm, a.value, a.length);
		x->realm[a.length] = 0;
	}
	if (stun_find(&x->message, STUN_NONCE, &a) && a.length <= TEXT_MAX) {
		memcpy(x->nonce, a.value, a.length);
		x->nonce_length = a.length;
	}
}

// Runs one request with what `fill` adds; answers one challenge. 0, -EACCES with *code, or another
// errno.
static int request(struct exchange *x, uint16_t method,
	void (*fill)(struct stun_builder *, const void *), const void *argument, unsigned *code)
{
	for (int round = 0; round < 3; round++) {
		uint8_t buffer[1024], transaction[STUN_TRANSACTION_LENGTH];
		randombytes_buf(transaction, sizeof(transaction));
		struct stun_builder b =
			stun_begin(buffer, sizeof(buffer), method, STUN_REQUEST, transaction);
		fill(&b, argument);
		if (x->nonce_length) {
			struct stun_key key;
			stun_add(&b, STUN_USERNAME, x->login->user, strlen(x->login->user));
			stun_add(&b, STUN_REALM, x->realm, strlen(x->realm));
			stun_add(&b, STUN_NONCE, x->nonce, x->nonce_length);
			stun_key_long_term(STUN_PASSWORD_MD5, x->login->user,
				strlen(x->login->user), x->realm, x->login->password,
				strlen(x->login->password), &key);
			stun_add_integrity(&b, &key);
			stun_key_wipe(&key);
		}
		int error = transact(x, buffer, stun_finish(&b));
		if (error)
			return error;
		if (x->message.class == STUN_SUCCESS)
			return 0;
		struct stun_attribute a;
		*code = 0;
		if (!stun_find(&x->message, STUN_ERROR_CODE, &a) || stun_read_error(&a, code))
			return -EBADMSG;
		if (*code != 401 && *code != 438)
			return -EACCES;
		take_challenge(x);
	}
	return -EACCES;
}

static void fill_allocate(struct stun_builder *b, const void *argument)
{
	(void)argument;
	stun_add_u32(b, STUN_REQUESTED_TRANSPORT, (uint32_t)IPPROTO_UDP << 24);
}

struct binding {
	uint16_t channel;
	struct net_endpoint peer;
};

static void fill_channel_bind(struct stun_builder *b, const void *argument)
{
	const struct binding *binding = argument;
	stun_add_u32(b, STUN_CHANNEL_NUMBER, (uint32_t)binding->channel << 16);
	stun_add_xor_address(b, STUN_XOR_PEER_ADDRESS, &binding->peer);
}

int turn_session_open(struct turn_session *session, const struct turn_login *login,
	const struct net_address *client, const struct net_endpoint *server,
	const struct net_endpoint *peer, uint16_t channel, unsigned *code)
{
	struct sockaddr_storage storage;
	struct net_endpoint local = {.address = *client};
	int error;

	*session = (struct turn_session){.channel = channel};
	session->socket = socket(
		client->family == NET_IPV4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (session->socket < 0)
		return -errno;
	socklen_t length = sockaddr_of(&local, &storage);
	if (bind(session->socket, (struct sockaddr *)&storage, length) < 0)
		goto failed;
	length = sockaddr_of(server, &storage);
	if (connect(session->socket, (struct sockaddr *)&storage, length) < 0)
		goto failed;
	length = sizeof(storage);
	if (getsockname(session->socket, (struct sockaddr *)&storage, &length) < 0)
		goto failed;
	endpoint_of(&storage, &session->local);

	struct exchange x = {.session = session, .login = login};
	struct stun_attribute a;
	error = request(&x, STUN_ALLOCATE, fill_allocate, NULL, code);
	if (error)
		goto close_socket;
	if (!stun_find(&x.message, STUN_XOR_RELAYED_ADDRESS, &a) ||
		stun_read_xor_address(&x.message, &a, &session->relayed)) {
		error = -EBADMSG;
		goto close_socket;
	}
	struct binding binding = {.channel = channel, .peer = *peer};
	error = request(&x, STUN_CHANNEL_BIND, fill_channel_bind, &binding, code);
	if (error)
		goto close_socket;
	return 0;
failed:
	error = -errno;
close_socket:
	close(session->socket);
	session->socket = -1;
	return error;
}

void turn_session_close(struct turn_session *session)
{
	if (session->socket >= 0)
		close(session->socket);
	session->socket = -1;
}
