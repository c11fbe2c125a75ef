// SPDX-License-Identifier: BSD-3-Clause
// The second relay: the one of the endpoint's own tests, and Binding requests.
#include "tests/sim/calls.h"

#include "lib/wire/stun.h"
#include "tests/sim/clock.h"
#include "tests/unit/endpoint_relay_receive.h"

static struct {
	struct relay relay;
	bool alive;
} second;

static void answer(void *context, const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	(void)context;
	calls_second_answer(to, data, size);
}

void second_open(void)
{
	relay_begin(&second.relay);
	second.relay.send = answer;
	second.relay.epoch_seconds = SIM_EPOCH_S;
	second.relay.lease_s = SIM_LEASE_S;
	second.alive = true;
}

void second_alive(bool alive)
{
	if (alive && !second.alive)
		relay_restart(&second.relay);
	second.alive = alive;
}

static void binding(const struct net_endpoint *source, const uint8_t *data, size_t size)
{
	uint8_t reply[128];
	struct stun_message m;
	if (stun_parse(data, size, &m) != 0 || m.method != STUN_BINDING || m.class != STUN_REQUEST)
		return;
	struct stun_builder b =
		stun_begin(reply, sizeof(reply), STUN_BINDING, STUN_SUCCESS, stun_transaction(&m));
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, source);
	calls_second_answer(source, reply, stun_finish(&b));
}

void second_receive(const struct net_endpoint *source, const uint8_t *data, size_t size)
{
	second.relay.now_ms = clock_monotonic_ms();
	second.relay.wall_s = clock_wall_s();
	if (!second.alive || size == 0)
		return;
	if (data[0] <= 3)
		binding(source, data, size);
	else
		relay_receive(&second.relay, source, data, size);
}
