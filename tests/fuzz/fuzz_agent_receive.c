// SPDX-License-Identifier: BSD-3-Clause
// An agent receives any datagrams, in any order with everything else its owner may do. The input is
// a list of records: what to do (one byte), a length, bytes for it. Datagrams are the bytes as they
// are, or are given the right lengths, integrity and fingerprint first, so that what lies behind
// them is reached; or they answer a check of the agent's. After each step what must always hold is
// looked at: nothing goes to a base that is not there, and no more than may be is sent unasked.
#define FORGE_SENT 8192
#include "tests/unit/agent_forge.h"
// Fuzzing programs are linked with what is shipped alone.
#include "tests/sim/dice.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static struct endpoint_transport place(uint8_t which)
{
	if (which & 0x80)
		return (struct endpoint_transport){.family = 6,
			.address = {0x20, 1, 0xd, 0xb8, [15] = which & 7},
			.port = (uint16_t)(1000 + (which >> 3 & 7))};
	return forge_v4(203, 0, 113, which & 7, (uint16_t)(1000 + (which >> 3 & 7)));
}

// The attributes are the input's; everything around them is right.
static size_t sealed(struct forge *f, const uint8_t *bytes, size_t size, uint8_t *out)
{
	uint8_t id[STUN_TRANSACTION_LENGTH] = {0};
	struct stun_key key;
	char username[2 * AGENT_CREDENTIAL_MAX + 2];
	struct stun_builder b = stun_begin(out, 1024, STUN_BINDING, STUN_REQUEST, id);
	dice_fill(&f->dice, id, sizeof(id));
	memcpy(out + 8, id, sizeof(id));
	sprintf(username, "%s:%s", f->config.local.fragment, f->config.remote.fragment);
	stun_add(&b, STUN_USERNAME, username, strlen(username));
	while (size >= 4) {
		uint16_t type = (uint16_t)(bytes[0] << 8 | bytes[1]);
		size_t length = bytes[2] & 31;
		if (length > size - 3)
			length = size - 3;
		stun_add(&b, type, bytes + 3, length);
		bytes += 3 + length;
		size -= 3 + length;
	}
	stun_key_short_term(f->config.local.password, strlen(f->config.local.password), &key);
	stun_add_integrity(&b, &key);
	stun_add_fingerprint(&b);
	return stun_finish(&b);
}

static void answer(struct forge *f, const uint8_t *bytes, size_t size)
{
	static const unsigned codes[] = {0, 0, 0, 487, 400, 420};
	static const struct net_endpoint mapped = {
		.address = {.bytes = {198, 51, 100, 9}, .family = 4}, .port = 777};
	uint8_t message[256];
	if (size < 2 || f->sent_count == 0)
		return;
	const struct forge_sent *sent = &f->sent[f->sent_count - 1 - bytes[0] % f->sent_count];
	struct endpoint_transport from = bytes[1] & 0x40 ? place(bytes[0]) : sent->to;
	size_t length =
		forge_answer(f, sent, codes[bytes[1] % 6], &mapped, message, sizeof(message));
	forge_deliver(f, sent->base, &from, message, length);
}

static void candidates(struct forge *f, uint8_t what, const uint8_t *bytes, size_t size)
{
	struct agent_candidate list[20];
	size_t count = 0;
	for (; count < 20 && count < size; count++)
		list[count] = (struct agent_candidate){.type = 1 + bytes[count] % 5,
			.transport = place(bytes[count]),
			.priority = (uint32_t)(bytes[count] * 2654435761u) >> 1};
	if (what & 1)
		agent_remote_set(f->agent, size ? bytes[0] : 0, list, count, f->now);
	else if (count > 0)
		agent_remote_add(f->agent, &list[0], f->now);
}

static void owner(struct forge *f, const uint8_t *bytes, size_t size)
{
	struct endpoint_transport transport;
	uint32_t pairs[8];
	size_t count = agent_pairs(f->agent, pairs, 8);
	if (size < 3)
		return;
	transport = place(bytes[2]);
	switch (bytes[0] % 10) {
	case 0:
		agent_base_add(f->agent, bytes[1] % 8, bytes[2] & 1 ? 4 : 6, bytes[2] % 3, f->now);
		break;
	case 1:
		agent_base_remove(f->agent, bytes[1] % 8, f->now);
		break;
	case 2:
		agent_candidate_add(
			f->agent, bytes[1] % 8, bytes[1] % 6, bytes[2] % 4, &transport, f->now);
		break;
	case 3:
		agent_candidate_remove(f->agent, bytes[1] % 8, &transport, f->now);
		break;
	case 4:
		agent_network_changed(f->agent, f->now);
		break;
	case 5:
		agent_heard(f->agent, bytes[1] % 8, &transport, f->now);
		break;
	case 6:
		agent_base_keepalive(f->agent, bytes[1] % 8, bytes[2] * 100u, f->now);
		break;
	case 7:
		for (size_t i = 0; i < count; i++)
			agent_pair_check(f->agent, pairs[i], f->now);
		break;
	case 8:
		for (size_t i = 0; i < count; i++)
			agent_pair_send(f->agent, pairs[i], "\x09", 1, f->now);
		break;
	default:
		f->now += bytes[1] * 10u;
		agent_tick(f->agent, f->now);
		break;
	}
}

static void react(struct forge *f, const struct agent_event *event)
{
	struct agent_pair_info info;
	if (f->event_count > FORGE_EVENTS / 2)
		f->event_count = 0;
	if (event->type == AGENT_PAIR_VALID)
		expect(agent_pair_info(f->agent, event->pair, &info) == 0 && info.valid);
	if (event->type == AGENT_PAIR_LOST)
		expect(agent_pair_info(f->agent, event->pair, &info) < 0);
	// Some owners do something at once.
	if (event->type == AGENT_PAIR_LOST && event->pair % 3 == 0)
		agent_network_changed(f->agent, f->now);
}

static void step(struct forge *f, uint8_t what, const uint8_t *bytes, size_t size)
{
	uint8_t message[1024];
	struct endpoint_transport from = place(what);
	unsigned base = what & 3;
	switch (what >> 4 & 7) {
	case 0:
		forge_deliver(f, base, &from, bytes, size);
		break;
	case 1:
	case 2:
		forge_deliver(f, base, &from, message, sealed(f, bytes, size, message));
		break;
	case 3:
		answer(f, bytes, size);
		break;
	case 4:
		candidates(f, what, bytes, size);
		break;
	case 5: {
		struct forge_check check = {.sequence = size ? bytes[0] : 0,
			.controlling = what & 1,
			.use_candidate = what & 2,
			.tie_breaker = size * 0x0101010101010101u};
		forge_deliver(
			f, base, &from, message, forge_check(f, &check, message, sizeof(message)));
		break;
	}
	default:
		owner(f, bytes, size);
		break;
	}
}

static void check(struct forge *f)
{
	struct agent_usage usage;
	agent_usage(f->agent, &usage);
	expect(usage.pairs <= AGENT_PAIRS_MAX && usage.valid <= usage.pairs &&
		usage.confirmed <= usage.valid && usage.local <= AGENT_LOCAL_MAX);
	uint64_t allowed = AGENT_CHECKS_BURST + (f->now - 1000) / AGENT_CHECKS_REFILL_MS + 1;
	expect(agent_counter(f->agent, AGENT_COUNTER_checks_unanswered) <= allowed);
	// What is due now was done now.
	expect(agent_tick(f->agent, f->now) > f->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forge f;
	if (size < 1 || size > 2048)
		return 0;
	struct agent_config config = {.selection = data[0] & 1 ? AGENT_STANDARD : AGENT_NATIVE,
		.controlling = data[0] & 2,
		.relay_only = data[0] & 4,
		.remote_lite = data[0] & 8,
		.servers = {{4, {192, 0, 2, 1}, 3478}},
		.server_count = 1};
	forge_begin(&f, 1, &config);
	f.react = react;
	forge_base(&f, 0);
	data++;
	size--;
	while (size >= 2) {
		uint8_t what = data[0];
		size_t length = data[1];
		data += 2;
		size -= 2;
		if (length > size)
			length = size;
		if (f.sent_count < FORGE_SENT / 2)
			step(&f, what, data, length);
		data += length;
		size -= length;
		f.now += 7;
		agent_tick(f.agent, f.now);
		check(&f);
	}
	forge_end(&f);
	return 0;
}
