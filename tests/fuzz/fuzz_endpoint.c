// SPDX-License-Identifier: BSD-3-Clause
// The endpoint core receives any bytes, in any state, between its own exchanges with a relay that
// works. The input is a list of records: what to do (one byte), a length, and bytes for it.
// Datagrams of the relay are delivered whole, altered, or not at all, as the input says.
#include "endpoint/endpoint.h"
#include "tests/unit/endpoint_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t input_left;

static bool alter(struct world *w, bool to_relay, const uint8_t *data, size_t size)
{
	uint8_t copy[1400];

	if (to_relay || input_left < 3 || (input[0] & 7) != 7)
		return true;
	memcpy(copy, data, size);
	copy[(input[1] | input[2] << 8) % size] ^= input[0];
	input += 3;
	input_left -= 3;
	for (unsigned i = 0; i < WORLD_CLIENTS; i++)
		if (w->clients[i].endpoint != NULL)
			endpoint_receive(w->clients[i].endpoint, &world_relay_address, copy, size,
				world_time(&w->clients[i]));
	return true;
}

static void answer(struct world_client *c, const struct endpoint_event *event)
{
	if (event->type == ENDPOINT_INVITE)
		endpoint_accept(c->endpoint, event->call, "yes", 3, world_time(c));
	if (c->event_count > WORLD_EVENTS / 2)
		c->event_count = 0;
}

static void act(struct world *w, uint8_t what, const uint8_t *bytes, size_t size)
{
	struct world_client *c = &w->clients[what >> 7], *other = &w->clients[!(what >> 7)];
	uint64_t id;

	switch (what & 15) {
	case 0:
		endpoint_register(c->endpoint, world_time(c));
		break;
	case 1:
		endpoint_open(c->endpoint, &other->peer, bytes, size, &id, world_time(c));
		break;
	case 2:
		endpoint_send(c->endpoint, size ? bytes[0] : 1, bytes, size, world_time(c));
		break;
	case 3:
		endpoint_send_to_peer(c->endpoint, &other->peer, bytes, size, world_time(c));
		break;
	case 4:
		endpoint_close(c->endpoint, size ? bytes[0] : 1, world_time(c));
		break;
	case 5:
		c->outside.port++;
		break;
	case 6:
		endpoint_network_changed(c->endpoint, world_time(c));
		break;
	case 7:
		endpoint_withdraw(c->endpoint, world_time(c));
		break;
	case 8:
		relay_restart(&w->relay);
		break;
	case 9:
		world_run(w, size ? bytes[0] * 100u : 50);
		break;
	case 10:
		w->relay.admission = size ? bytes[0] % 3 : 0;
		w->relay.difficulty = size > 1 ? bytes[1] % 6 : 0;
		break;
	default:
		endpoint_receive(c->endpoint, &world_relay_address, bytes, size, world_time(c));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	if (size > 1024)
		return 0;
	input = data;
	input_left = size;
	world_begin(&w, 1);
	w.look = alter;
	for (unsigned i = 0; i < 2; i++)
		world_client_make(&w, i)->react = answer;
	endpoint_register(w.clients[0].endpoint, world_time(&w.clients[0]));
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
	world_run(&w, 100);
	world_end(&w);
	return 0;
}
