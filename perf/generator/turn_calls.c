// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/turn_calls.h"

#include "lib/wire/stun.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	WINDOW = 512, // calls at work at once
	WAIT_MS = 200,
	TRIES = 30,
	NAP_US = 20,
	CHALLENGES_MAX = 5,
	CLIENT_PORT = 10000,
	CLIENT_NET = 11,
	CLIENT_NET_SECOND = 64, // 11.64.0.0/10
	PEER_NET = 12,          // 12.0.0.0/10
	CLIENT_HOST = 10,
	PEER_HOST = 20,
};

struct setting_up {
	struct turn_calls *calls;
	unsigned working[WINDOW];
	unsigned working_count, begun, done;
	char *error;
	size_t error_size;
	int result;
};

static struct net_endpoint endpoint(
	unsigned first, unsigned second, unsigned prefix, unsigned host, unsigned port)
{
	const uint8_t bytes[4] = {
		(uint8_t)first, (uint8_t)(second + (prefix >> 8)), (uint8_t)prefix, (uint8_t)host};
	return (struct net_endpoint){.address = net_address_v4(bytes), .port = (uint16_t)port};
}

struct net_endpoint turn_calls_client(unsigned call)
{
	return endpoint(CLIENT_NET, CLIENT_NET_SECOND, call % TURN_CALLS_PREFIXES, CLIENT_HOST,
		CLIENT_PORT + call / TURN_CALLS_PREFIXES);
}

struct net_endpoint turn_calls_peer(unsigned call, unsigned channel)
{
	return endpoint(PEER_NET, 0, call % TURN_CALLS_PREFIXES,
		PEER_HOST + call / TURN_CALLS_PREFIXES, TURN_CALLS_PEER_PORT + channel);
}

int turn_calls_find_client(const struct turn_calls *calls, const struct net_endpoint *client)
{
	const uint8_t *b = client->address.bytes;
	unsigned prefix = (unsigned)(b[1] - CLIENT_NET_SECOND) << 8 | b[2];
	unsigned call = (unsigned)(client->port - CLIENT_PORT) * TURN_CALLS_PREFIXES + prefix;
	if (b[0] != CLIENT_NET || b[1] < CLIENT_NET_SECOND || client->port < CLIENT_PORT ||
		prefix >= TURN_CALLS_PREFIXES || b[3] != CLIENT_HOST || call >= calls->count)
		return -1;
	return (int)call;
}

int turn_calls_find_peer(
	const struct turn_calls *calls, const struct net_endpoint *peer, unsigned *channel)
{
	const uint8_t *b = peer->address.bytes;
	unsigned prefix = (unsigned)b[1] << 8 | b[2];
	unsigned call = (unsigned)(b[3] - PEER_HOST) * TURN_CALLS_PREFIXES + prefix;
	*channel = peer->port - (unsigned)TURN_CALLS_PEER_PORT;
	if (b[0] != PEER_NET || prefix >= TURN_CALLS_PREFIXES || b[3] < PEER_HOST ||
		*channel >= calls->channels || call >= calls->count)
		return -1;
	return (int)call;
}

static void send_request(struct setting_up *s, unsigned i, uint64_t now)
{
	struct turn_calls *calls = s->calls;
	struct turn_call *call = &calls->calls[i];
	const struct net_endpoint peer = turn_calls_peer(i, call->bound);
	const struct turn_frame_path path = {
		.macs = calls->path, .client = turn_calls_client(i), .server = calls->server};
	struct turn_frame frame;
	uint8_t transaction[STUN_TRANSACTION_LENGTH] = {0};

	memcpy(transaction, &i, 4);
	memcpy(transaction + 4, &call->attempt, 4);
	memcpy(calls->login.nonce, call->nonce, sizeof(call->nonce));
	calls->login.nonce_length = call->nonce_length;
	if (turn_frame_make(&frame, call->step, &path, &calls->login, &peer,
		    (uint16_t)(TURN_CALLS_CHANNEL + call->bound), transaction) == 0)
		memif_port_send(calls->port, turn_calls_queue(calls, i), frame.bytes, frame.length);
	calls->requests++;
	call->due = now + rte_get_tsc_hz() * WAIT_MS / 1000;
}

static void begin_step(struct setting_up *s, unsigned i, enum turn_step step, uint64_t now)
{
	s->calls->calls[i].step = (uint8_t)step;
	s->calls->calls[i].tries = 0;
	s->calls->calls[i].attempt++; // what is sent again is the same request
	send_request(s, i, now);
}

static bool take_challenge(struct turn_calls *calls, unsigned i, const struct stun_message *m)
{
	struct turn_call *call = &calls->calls[i];
	struct stun_attribute a;
	if (!stun_find(m, STUN_NONCE, &a) || a.length > sizeof(call->nonce))
		return false;
	memcpy(call->nonce, a.value, a.length);
	call->nonce_length = (uint8_t)a.length;
	if (calls->realm[0])
		return true;
	if (!stun_find(m, STUN_REALM, &a) || a.length >= sizeof(calls->realm))
		return false;
	memcpy(calls->realm, a.value, a.length);
	calls->login.user = calls->user;
	calls->login.realm = calls->realm;
	return stun_key_long_term(STUN_PASSWORD_MD5, calls->user, strlen(calls->user), calls->realm,
		       calls->password, strlen(calls->password), &calls->login.key) == 0;
}

static void refuse(struct setting_up *s, unsigned i, const char *why, unsigned code)
{
	static const char *const steps[TURN_STEPS] = {[TURN_STEP_CHALLENGE] = "challenge",
		[TURN_STEP_ALLOCATE] = "Allocate",
		[TURN_STEP_BIND] = "ChannelBind"};
	snprintf(s->error, s->error_size, "%s of call %u: %s (STUN error %u)",
		steps[s->calls->calls[i].step], i, why, code);
	s->result = -EACCES;
}

static void refused(struct setting_up *s, unsigned i, const struct stun_message *m, uint64_t now)
{
	struct turn_call *call = &s->calls->calls[i];
	struct stun_attribute a;
	unsigned code = 0;
	if (stun_find(m, STUN_ERROR_CODE, &a))
		stun_read_error(&a, &code);
	bool challenge = code == 438 || (code == 401 && call->step == TURN_STEP_CHALLENGE);
	if (!challenge || call->challenges++ == CHALLENGES_MAX || !take_challenge(s->calls, i, m))
		refuse(s, i, "refused", code);
	else
		begin_step(s, i,
			call->step == TURN_STEP_CHALLENGE ? TURN_STEP_ALLOCATE : call->step, now);
}

static void answered(struct setting_up *s, unsigned i, const struct stun_message *m, uint64_t now)
{
	struct turn_call *call = &s->calls->calls[i];
	struct stun_attribute a;
	if (m->class != STUN_SUCCESS) {
		refused(s, i, m, now);
		return;
	}
	if (call->step == TURN_STEP_BIND)
		call->bound++;
	else if (!stun_find(m, STUN_XOR_RELAYED_ADDRESS, &a) ||
		 stun_read_xor_address(m, &a, &call->relayed))
		refuse(s, i, "no relayed address in the answer", 0);
	if (call->bound < s->calls->channels) {
		begin_step(s, i, TURN_STEP_BIND, now);
		return;
	}
	call->due = UINT64_MAX;
	s->done++;
}

static void take_frame(struct setting_up *s, const uint8_t *frame, size_t length, uint64_t now)
{
	struct headers h;
	struct stun_message m;
	uint32_t call, attempt;
	if (headers_parse(frame, length, &h) != HEADERS_UDP ||
		stun_parse(frame + h.payload_offset, h.payload_length, &m) != 0)
		return;
	memcpy(&call, stun_transaction(&m), 4);
	memcpy(&attempt, stun_transaction(&m) + 4, 4);
	if (call < s->calls->count && attempt == s->calls->calls[call].attempt &&
		s->calls->calls[call].due != UINT64_MAX)
		answered(s, call, &m, now);
	else
		s->calls->stray++;
}

static unsigned receive(struct setting_up *s, uint64_t now)
{
	unsigned total = 0;
	struct rte_mbuf *mbufs[MEMIF_PORT_BURST];
	struct memif_port *port = s->calls->port;
	for (uint16_t q = 0; q < port->queues; q++) {
		uint16_t n = rte_eth_rx_burst(port->id, q, mbufs, MEMIF_PORT_BURST);
		for (uint16_t i = 0; i < n && s->result == 0; i++)
			take_frame(s, rte_pktmbuf_mtod(mbufs[i], const uint8_t *),
				mbufs[i]->data_len, now);
		if (n)
			rte_pktmbuf_free_bulk(mbufs, n);
		total += n;
	}
	return total;
}

static void look_after(struct setting_up *s, uint64_t now)
{
	unsigned kept = 0;
	for (unsigned w = 0; w < s->working_count; w++) {
		unsigned i = s->working[w];
		struct turn_call *call = &s->calls->calls[i];
		if (call->due == UINT64_MAX)
			continue;
		s->working[kept++] = i;
		if (call->due > now)
			continue;
		if (++call->tries == TRIES) {
			refuse(s, i, "no answer", 0);
			return;
		}
		s->calls->sent_again++;
		send_request(s, i, now);
	}
	s->working_count = kept;
	while (s->working_count < WINDOW && s->begun < s->calls->count) {
		s->working[s->working_count++] = s->begun;
		begin_step(s, s->begun++, TURN_STEP_CHALLENGE, now);
	}
}

int turn_calls_open(struct turn_calls *calls, char *error, size_t error_size)
{
	struct setting_up *s = calloc(1, sizeof(*s));
	calls->calls = calloc(calls->count, sizeof(*calls->calls));
	if (s == NULL || calls->calls == NULL) {
		free(s);
		turn_calls_close(calls);
		snprintf(error, error_size, "no memory for %u calls", calls->count);
		return -ENOMEM;
	}
	s->calls = calls;
	s->error = error;
	s->error_size = error_size;
	uint64_t look = 0;
	while (s->done < calls->count && s->result == 0) {
		uint64_t now = rte_rdtsc();
		// The control plane may have to work on this very core.
		if (receive(s, now) == 0)
			rte_delay_us_sleep(NAP_US);
		if (now >= look && s->result == 0) {
			look_after(s, now);
			look = now + rte_get_tsc_hz() / 20000;
		}
	}
	int result = s->result;
	free(s);
	return result;
}

void turn_calls_close(struct turn_calls *calls)
{
	free(calls->calls);
	calls->calls = NULL;
	stun_key_wipe(&calls->login.key);
}
