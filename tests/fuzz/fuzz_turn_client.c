// SPDX-License-Identifier: BSD-3-Clause
// The TURN client receives any bytes, in any state, between its own exchanges with a server that
// works. The input is a list of records: what to do (one byte), a length, and bytes for it.
// Datagrams of the server arrive whole, altered, signed anew after that, or not at all, as the
// input says.
#include "tests/unit/turn_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t input_left;

// A server that means harm has the key: alters what is before the proof, and signs it again.
static void alter(struct turn_world *w, bool to_server, uint8_t *data, size_t *size)
{
	struct stun_message m;
	struct stun_key key;
	(void)w;
	if (to_server || input_left < 3 || (input[0] & 3) != 3)
		return;
	size_t at = (size_t)(input[1] | input[2] << 8) % *size;
	data[at] ^= input[0];
	bool again = input[0] & 4;
	input += 3;
	input_left -= 3;
	if (!again || stun_parse(data, *size, &m) != 0 || m.integrity_sha256_offset == 0)
		return;
	stun_key_long_term(STUN_PASSWORD_SHA256, "ann", 3, "example.org", "open sesame", 11, &key);
	struct stun_builder b = {
		.data = data, .capacity = 1500, .length = m.integrity_sha256_offset};
	stun_add_integrity_sha256(&b, &key);
	*size = stun_finish(&b);
}

static void call_back(struct turn_world *w, const struct turn_client_event *event)
{
	struct endpoint_transport peer = event->peer;
	if (event->type == TURN_CLIENT_DATA)
		turn_client_send(w->client, &peer, event->data,
			event->size < TURN_CLIENT_DATA_MAX ? event->size : TURN_CLIENT_DATA_MAX,
			w->now_ms);
	if (w->event_count > WORLD_KEPT / 2)
		w->event_count = 0;
	if (w->delivery_count > WORLD_KEPT / 2)
		w->delivery_count = 0;
}

static void act(struct turn_world *w, uint8_t what, const uint8_t *bytes, size_t size)
{
	struct endpoint_transport peer = world_peer(what >> 4);
	struct net_endpoint net = world_net(&peer);
	struct server_allocation *a = server_find(&w->server, &w->outside);

	switch (what & 15) {
	case 0:
		turn_client_start(w->client, w->now_ms);
		break;
	case 1:
		turn_client_bind(w->client, &peer, w->now_ms);
		break;
	case 2:
		turn_client_send(w->client, &peer, bytes, size, w->now_ms);
		break;
	case 3:
		turn_client_permit(w->client, &peer, w->now_ms);
		break;
	case 4:
		turn_client_release(w->client, w->now_ms);
		break;
	case 5:
		w->outside.port++;
		break;
	case 6:
		turn_client_network_changed(w->client, w->now_ms);
		break;
	case 7:
		turn_client_check(w->client, w->now_ms);
		break;
	case 8:
		w->server.nonce_age++;
		break;
	case 9:
		world_run(w, size ? bytes[0] * 4000u : 50);
		break;
	case 10:
		w->server.refuse_method = size ? bytes[0] & 15 : STUN_REFRESH;
		w->server.refuse_code = 300 + (size > 1 ? bytes[1] : 137);
		w->server.refuse_times = size > 2 ? bytes[2] & 3 : 1;
		w->server.refuse_bare = size > 3;
		break;
	case 11:
		if (a != NULL)
			server_from_peer(&w->server, a, &net, bytes, size);
		break;
	case 12:
		memset(w->server.allocations, 0, sizeof(w->server.allocations));
		break;
	default:
		turn_client_receive(w->client, &world_server_address, bytes, size, w->now_ms);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct turn_world w;

	if (size > 1024)
		return 0;
	input = data;
	input_left = size;
	world_begin(&w, 1);
	w.server.quota = SERVER_ALLOCATIONS;
	w.look = alter;
	w.react = call_back;
	turn_client_start(w.client, w.now_ms);
	world_run(&w, 60);
	for (unsigned steps = 0; input_left >= 2 && steps < 40; steps++) {
		uint8_t what = input[0];
		size_t length = input[1];
		input += 2;
		input_left -= 2;
		if (length > input_left)
			length = input_left;
		const uint8_t *bytes = input;
		input += length;
		input_left -= length;
		act(&w, what, bytes, length);
		world_run(&w, 15);
	}
	world_run(&w, 100000);
	world_end(&w);
	return 0;
}
