// SPDX-License-Identifier: BSD-3-Clause
// What others can do to an agent, and what a peer can do with it: forged, altered and repeated
// messages change nothing, and nothing but what is capped goes to who has not answered.
#include "tests/unit/agent_forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct net_endpoint mapped = {
	.address = {.bytes = {198, 51, 100, 9}, .family = 4}, .port = 777};

static struct agent_candidate candidate(struct endpoint_transport transport)
{
	return (struct agent_candidate){
		.type = AGENT_HOST, .transport = transport, .priority = 126u << 24};
}

// Everything about an agent that others can see or cause, but the counters of what was ignored.
struct snapshot {
	struct agent_usage usage;
	unsigned sent, events;
	uint64_t deadline;
	uint32_t valid[AGENT_PAIRS_MAX];
	struct agent_pair_info info[AGENT_PAIRS_MAX];
	size_t valid_count;
};

static void snapshot(const struct forge *f, struct snapshot *out)
{
	memset(out, 0, sizeof(*out));
	agent_usage(f->agent, &out->usage);
	out->sent = f->sent_count;
	out->events = f->event_count;
	out->deadline = agent_deadline(f->agent);
	out->valid_count = agent_pairs(f->agent, out->valid, AGENT_PAIRS_MAX);
	for (size_t i = 0; i < out->valid_count; i++)
		agent_pair_info(f->agent, out->valid[i], &out->info[i]);
}

static void assert_unchanged(const struct forge *f, const struct snapshot *before)
{
	struct snapshot after;
	snapshot(f, &after);
	assert_memory_equal(&after, before, sizeof(after));
}

// One pair with a peer that has answered: what flips and copies could destroy.
static struct endpoint_transport settled(struct forge *f, const struct agent_config *config)
{
	uint8_t message[256];
	struct endpoint_transport peer = forge_v4(203, 0, 113, 5, 6000);
	struct agent_candidate c = candidate(peer);
	forge_begin(f, 1, config);
	forge_base(f, 0);
	assert_int_equal(agent_remote_set(f->agent, 1, &c, 1, f->now), 0);
	assert_int_equal(forge_count(f, STUN_REQUEST), 1);
	size_t size = forge_answer(f, &f->sent[0], 0, &mapped, message, sizeof(message));
	assert_true(forge_deliver(f, 0, &peer, message, size));
	struct agent_usage usage;
	agent_usage(f->agent, &usage);
	assert_int_equal(usage.confirmed, 1);
	return peer;
}

static void test_flipped_bits_of_a_check(void **state)
{
	(void)state;
	struct forge f;
	struct snapshot before;
	uint8_t message[256], flipped[256];
	settled(&f, NULL);
	struct endpoint_transport elsewhere = forge_v4(203, 0, 113, 6, 6001);
	struct forge_check check = {.sequence = 9, .controlling = true, .tie_breaker = 1};
	size_t size = forge_check(&f, &check, message, sizeof(message));
	snapshot(&f, &before);
	for (size_t bit = 0; bit < 8 * size; bit++) {
		memcpy(flipped, message, size);
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		forge_deliver(&f, 0, &elsewhere, flipped, size);
		assert_unchanged(&f, &before);
	}
	for (size_t cut = 0; cut < size; cut++) {
		forge_deliver(&f, 0, &elsewhere, message, cut);
		assert_unchanged(&f, &before);
	}
	// The whole one has lost nothing by it.
	assert_true(forge_deliver(&f, 0, &elsewhere, message, size));
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_answers), 1);
	assert_true(agent_pair_of(f.agent, 0, &elsewhere) != 0);
	forge_end(&f);
}

static void test_flipped_bits_of_an_answer(void **state)
{
	(void)state;
	struct forge f;
	struct snapshot before;
	uint8_t message[256], flipped[256];
	struct endpoint_transport peer = forge_v4(203, 0, 113, 5, 6000);
	struct endpoint_transport elsewhere = forge_v4(203, 0, 113, 6, 6000);
	struct agent_candidate c = candidate(peer);
	forge_begin(&f, 1, NULL);
	forge_base(&f, 0);
	agent_base_add(f.agent, 1, 4, AGENT_QUIET, f.now);
	agent_remote_set(f.agent, 1, &c, 1, f.now);
	size_t size = forge_answer(&f, &f.sent[0], 0, &mapped, message, sizeof(message));
	snapshot(&f, &before);
	for (size_t bit = 0; bit < 8 * size; bit++) {
		memcpy(flipped, message, size);
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		forge_deliver(&f, 0, &peer, flipped, size);
		assert_unchanged(&f, &before);
	}
	// From elsewhere, to another base, and without the key.
	forge_deliver(&f, 0, &elsewhere, message, size);
	forge_deliver(&f, 1, &peer, message, size);
	assert_unchanged(&f, &before);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_ignored_source), 2);
	struct stun_builder b = stun_begin(
		flipped, sizeof(flipped), STUN_BINDING, STUN_SUCCESS, f.sent[0].data + 8);
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &mapped);
	stun_add_fingerprint(&b);
	forge_deliver(&f, 0, &peer, flipped, stun_finish(&b));
	assert_unchanged(&f, &before);
	// The right one, once.
	assert_true(forge_deliver(&f, 0, &peer, message, size));
	assert_true(agent_pair_of(f.agent, 0, &peer) != 0);
	snapshot(&f, &before);
	forge_deliver(&f, 0, &peer, message, size);
	assert_unchanged(&f, &before);
	forge_end(&f);
}

static void ignored(const struct forge_check *check, enum agent_counter counter, bool consumed)
{
	struct forge f;
	struct snapshot before;
	uint8_t message[640];
	settled(&f, NULL);
	struct endpoint_transport elsewhere = forge_v4(203, 0, 113, 6, 6001);
	size_t size = forge_check(&f, check, message, sizeof(message));
	snapshot(&f, &before);
	assert_int_equal(forge_deliver(&f, 0, &elsewhere, message, size), consumed);
	assert_unchanged(&f, &before);
	if (consumed)
		assert_int_equal(agent_counter(f.agent, counter), 1);
	forge_end(&f);
}

static void test_forged_checks_are_not_answered(void **state)
{
	(void)state;
	struct forge f;
	settled(&f, NULL);
	char stranger[AGENT_CREDENTIAL_MAX + 16], other[AGENT_CREDENTIAL_MAX + 16];
	sprintf(stranger, "%s:xxxxxxxx", f.config.local.fragment);
	sprintf(other, "xxxxxxxx:%s", f.config.remote.fragment);
	const char *remote_password = f.config.remote.password;
	ignored(&(struct forge_check){.sequence = 1, .password = "guessguessguessguessguess"},
		AGENT_COUNTER_ignored_integrity, true);
	// A check of ours that is sent back to us.
	ignored(&(struct forge_check){.sequence = 1, .password = remote_password},
		AGENT_COUNTER_ignored_integrity, true);
	ignored(&(struct forge_check){.sequence = 1, .username = stranger},
		AGENT_COUNTER_ignored_username, true);
	ignored(&(struct forge_check){.sequence = 1, .username = other}, 0, false);
	ignored(&(struct forge_check){.sequence = 1, .no_fingerprint = true},
		AGENT_COUNTER_ignored_fingerprint, true);
	ignored(&(struct forge_check){.sequence = 1, .no_priority = true},
		AGENT_COUNTER_ignored_incomplete, true);
	ignored(&(struct forge_check){.sequence = 0}, AGENT_COUNTER_ignored_incomplete, true);
	forge_end(&f);
}

static void test_own_check_reflected(void **state)
{
	(void)state;
	struct forge f;
	struct snapshot before;
	struct endpoint_transport peer = settled(&f, NULL);
	snapshot(&f, &before);
	assert_false(forge_deliver(&f, 0, &peer, f.sent[0].data, f.sent[0].size));
	assert_unchanged(&f, &before);
	forge_end(&f);
}

// However old, however many came in between, and from wherever it comes.
static void test_replayed_check_native(void **state)
{
	(void)state;
	struct forge f;
	struct snapshot before;
	uint8_t first[256], message[256];
	size_t first_size = 0;
	struct endpoint_transport peer = settled(&f, NULL);
	struct endpoint_transport elsewhere = forge_v4(203, 0, 113, 6, 6001);
	for (unsigned i = 1; i <= 3000; i++) {
		struct forge_check check = {.sequence = i, .controlling = true};
		size_t size = forge_check(&f, &check, message, sizeof(message));
		f.now += 2;
		assert_true(forge_deliver(&f, 0, &peer, message, size));
		assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_answers), i);
		if (i == 1) {
			memcpy(first, message, size);
			first_size = size;
		}
		agent_tick(f.agent, f.now);
		snapshot(&f, &before);
		forge_deliver(&f, 0, &elsewhere, message, size);
		forge_deliver(&f, 0, &peer, message, size);
		forge_deliver(&f, 0, &elsewhere, first, first_size);
		assert_unchanged(&f, &before);
	}
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_ignored_replay), 3 * 3000);
	forge_end(&f);
}

// Checks that overtake each other, up to 900 places, are all good, and each once.
static void test_checks_out_of_order(void **state)
{
	(void)state;
	struct forge f;
	uint8_t message[256];
	struct endpoint_transport peer = settled(&f, NULL);
	static const uint64_t order[] = {900, 1, 899, 450, 2, 1800, 901, 905, 1799, 5000, 4100};
	const unsigned count = sizeof(order) / sizeof(order[0]);
	for (unsigned i = 0; i < 2 * count; i++) {
		struct forge_check check = {.sequence = order[i % count], .controlling = true};
		size_t size = forge_check(&f, &check, message, sizeof(message));
		f.now += 2;
		forge_deliver(&f, 0, &peer, message, size);
	}
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_answers), count);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_ignored_replay), count);
	forge_end(&f);
}

static void test_replayed_check_standard(void **state)
{
	(void)state;
	struct forge f;
	struct snapshot before;
	uint8_t message[256];
	struct agent_config config = {.selection = AGENT_STANDARD};
	struct endpoint_transport peer = settled(&f, &config);
	struct endpoint_transport elsewhere = forge_v4(203, 0, 113, 6, 6001);
	struct forge_check check = {.controlling = true, .tie_breaker = UINT64_MAX};
	size_t size = forge_check(&f, &check, message, sizeof(message));
	forge_deliver(&f, 0, &peer, message, size);
	snapshot(&f, &before);
	forge_deliver(&f, 0, &elsewhere, message, size);
	assert_unchanged(&f, &before);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_ignored_replay), 1);
	// From where it came it is a repetition, and answered again.
	forge_deliver(&f, 0, &peer, message, size);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_answers), 2);
	forge_end(&f);
}

static void test_unknown_attribute_is_refused(void **state)
{
	(void)state;
	struct forge f;
	uint8_t message[256];
	struct stun_message m;
	struct stun_attribute a;
	struct stun_key key;
	unsigned code;
	struct endpoint_transport peer = settled(&f, NULL);
	struct forge_check check = {.sequence = 1, .controlling = true, .unknown = true};
	size_t size = forge_check(&f, &check, message, sizeof(message));
	forge_deliver(&f, 0, &peer, message, size);
	const struct forge_sent *sent = &f.sent[f.sent_count - 1];
	assert_int_equal(stun_parse(sent->data, sent->size, &m), 0);
	assert_true(stun_find(&m, STUN_ERROR_CODE, &a) && stun_read_error(&a, &code) == 0);
	assert_int_equal(code, 420);
	assert_true(stun_find(&m, STUN_UNKNOWN_ATTRIBUTES, &a));
	assert_int_equal(a.value[0] << 8 | a.value[1], 0x0031);
	stun_key_short_term(f.config.local.password, strlen(f.config.local.password), &key);
	assert_int_equal(stun_verify_integrity(&m, &key), 0);
	forge_end(&f);
}

static void test_answers_are_never_larger(void **state)
{
	(void)state;
	struct forge f;
	uint8_t message[256];
	settled(&f, NULL);
	agent_base_add(f.agent, 1, 6, AGENT_SOCKET, f.now);
	for (unsigned i = 0; i < 2000; i++) {
		struct endpoint_transport from = forge_v4(203, 0, 113, 6, (uint16_t)(1000 + i));
		if (i & 1)
			from = (struct endpoint_transport){.family = 6,
				.address = {0x20, 1, 0xd, 0xb8, [15] = 7},
				.port = (uint16_t)(1000 + i)};
		struct forge_check check = {
			.sequence = i + 1, .controlling = true, .unknown = i % 7 == 0};
		size_t size = forge_check(&f, &check, message, sizeof(message));
		unsigned before = f.sent_count;
		f.now += i % 3;
		forge_deliver(&f, i & 1, &from, message, size);
		unsigned answers = 0;
		for (unsigned j = before; j < f.sent_count; j++) {
			if (forge_is(&f.sent[j], STUN_REQUEST))
				continue;
			answers++;
			assert_true(f.sent[j].size <= size);
			assert_memory_equal(&f.sent[j].to, &from, sizeof(from));
		}
		assert_true(answers <= 1);
	}
	forge_end(&f);
}

// In no time more than the first ones and one each so often.
static void assert_rate(const struct forge *f, bool (*counts)(const struct forge_sent *sent),
	const struct endpoint_transport *host, uint64_t burst, uint64_t each_ms)
{
	uint64_t tokens = burst * each_ms, full = burst * each_ms, last = 0;
	for (unsigned i = 0; i < f->sent_count; i++) {
		const struct forge_sent *sent = &f->sent[i];
		if (!counts(sent) ||
			(host != NULL && memcmp(sent->to.address, host->address, 16) != 0))
			continue;
		tokens += sent->at - last;
		last = sent->at;
		if (tokens > full)
			tokens = full;
		assert_true(tokens >= each_ms);
		tokens -= each_ms;
	}
}

static bool is_check(const struct forge_sent *sent)
{
	return forge_is(sent, STUN_REQUEST);
}

static bool is_owners(const struct forge_sent *sent)
{
	return sent->ours;
}

static struct endpoint_transport random_place(struct dice *dice, unsigned hosts)
{
	return forge_v4(203, 0, 113, (uint8_t)(1 + dice_below(dice, hosts)),
		(uint16_t)dice_between(dice, 1, 65535));
}

// An owner that sends whatever it may on every pair there is.
static void flood(struct forge *f)
{
	uint32_t pairs[AGENT_PAIRS_MAX];
	size_t count = agent_pairs(f->agent, pairs, AGENT_PAIRS_MAX);
	for (size_t i = 0; i < count; i++)
		while (agent_pair_send(f->agent, pairs[i], "\x09 media", 7, f->now) == 0)
			;
}

// A peer that has the keys, never answers, and aims: lists of random addresses, one generation
// after the other, and checks with the sources of others.
static void malicious(uint64_t seed, unsigned hosts, unsigned bases)
{
	struct forge f;
	uint8_t message[256];
	forge_begin(&f, seed, NULL);
	for (unsigned i = 0; i < bases; i++)
		forge_base(&f, i);
	for (uint32_t step = 1; step < 400; step++) {
		struct agent_candidate list[40];
		size_t count = dice_below(&f.dice, 40);
		for (size_t i = 0; i < count; i++) {
			list[i] = candidate(random_place(&f.dice, hosts));
			list[i].priority = (uint32_t)dice_between(&f.dice, 0, INT32_MAX);
		}
		switch (dice_below(&f.dice, 5)) {
		case 0:
			agent_remote_set(f.agent, step, list, count, f.now);
			break;
		case 1:
			if (count > 0)
				agent_remote_add(f.agent, &list[0], f.now);
			break;
		case 2:
			agent_network_changed(f.agent, f.now);
			break;
		default: {
			struct endpoint_transport from = random_place(&f.dice, hosts);
			struct forge_check check = {.sequence = step, .controlling = true};
			size_t size = forge_check(&f, &check, message, sizeof(message));
			forge_deliver(&f, 0, &from, message, size);
			flood(&f);
			break;
		}
		}
		forge_run(&f, dice_below(&f.dice, 1000));
	}
	forge_run(&f, 60000);
	assert_rate(&f, is_check, NULL, AGENT_FIRST_CHECKS, 5);
	assert_rate(&f, is_check, NULL, AGENT_CHECKS_BURST, AGENT_CHECKS_REFILL_MS);
	assert_rate(&f, is_owners, NULL, 8 * AGENT_UNCONFIRMED_SENDS,
		10000 / AGENT_UNCONFIRMED_SENDS - 1);
	for (unsigned i = 1; i <= hosts; i++) {
		struct endpoint_transport host = forge_v4(203, 0, 113, (uint8_t)i, 1);
		unsigned owners = 0;
		assert_rate(
			&f, is_check, &host, AGENT_CHECKS_PER_HOST, AGENT_CHECKS_HOST_REFILL_MS);
		for (unsigned j = 0; j < f.sent_count; j++)
			owners += f.sent[j].ours &&
				  memcmp(f.sent[j].to.address, host.address, 16) == 0;
		assert_true(owners <= 2 * AGENT_UNCONFIRMED_SENDS);
	}
	// The caps were what held it: without them all of this shows nothing.
	if (hosts < 8)
		assert_true(agent_counter(f.agent, AGENT_COUNTER_held_host) > 0);
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_checks_unanswered),
		agent_counter(f.agent, AGENT_COUNTER_checks));
	forge_end(&f);
}

static void test_probing_is_capped(void **state)
{
	(void)state;
	static const unsigned hosts[] = {1, 3, 20, 60};
	for (uint64_t seed = 1; seed <= 24; seed++)
		malicious(seed, hosts[seed % 4], 1 + (unsigned)seed % 3);
}

// However fast its checks come, ours go back no faster than each 20 ms.
static void test_triggered_checks_are_held(void **state)
{
	(void)state;
	struct forge f;
	uint8_t message[256];
	struct endpoint_transport from = forge_v4(203, 0, 113, 6, 6001);
	forge_begin(&f, 3, NULL);
	forge_base(&f, 0);
	for (unsigned i = 1; i <= 200; i++) {
		struct forge_check check = {.sequence = i, .controlling = true};
		size_t size = forge_check(&f, &check, message, sizeof(message));
		forge_deliver(&f, 0, &from, message, size);
		forge_run(&f, 1);
	}
	assert_rate(&f, is_check, &from, 1, 20);
	assert_in_range(forge_count(&f, STUN_REQUEST), 9, 11);
	forge_end(&f);
}

// A list alone, with nothing heard: so many checks of each pair, and then silence.
static void test_silent_addresses_are_left_alone(void **state)
{
	(void)state;
	struct forge f;
	struct agent_candidate list[3];
	for (unsigned i = 0; i < 3; i++)
		list[i] = candidate(forge_v4(203, 0, 113, (uint8_t)(1 + i), 6000));
	forge_begin(&f, 3, NULL);
	forge_base(&f, 0);
	agent_remote_set(f.agent, 1, list, 3, f.now);
	assert_int_equal(f.sent_count, 3);
	forge_run(&f, 120000);
	assert_int_equal(f.sent_count, 3 * AGENT_CHECKS_PER_PAIR);
	assert_int_equal(f.events[f.event_count - 1].type, AGENT_EXHAUSTED);
	assert_int_equal(agent_deadline(f.agent), ENDPOINT_NEVER);
	// The same list again is hope again; the same generation is not read.
	assert_int_equal(agent_remote_set(f.agent, 1, list, 3, f.now), -EALREADY);
	forge_run(&f, 1000);
	assert_int_equal(f.sent_count, 3 * AGENT_CHECKS_PER_PAIR);
	assert_int_equal(agent_remote_set(f.agent, 2, list, 3, f.now), 0);
	forge_run(&f, 120000);
	assert_int_equal(f.sent_count, 6 * AGENT_CHECKS_PER_PAIR);
	forge_end(&f);
}

// What is not in the newer list is not sent to any more; what is in both goes on as it was.
static void test_older_list_is_forgotten(void **state)
{
	(void)state;
	struct forge f;
	struct agent_candidate list[3];
	struct agent_usage usage;
	for (unsigned i = 0; i < 3; i++)
		list[i] = candidate(forge_v4(203, 0, 113, (uint8_t)(1 + i), 6000));
	forge_begin(&f, 3, NULL);
	forge_base(&f, 0);
	agent_remote_set(f.agent, 5, list, 2, f.now);
	forge_run(&f, 1000);
	unsigned from = f.sent_count;
	assert_int_equal(agent_remote_set(f.agent, 4, list, 2, f.now), -EALREADY);
	assert_int_equal(agent_remote_set(f.agent, 6, &list[1], 2, f.now), 0);
	agent_usage(f.agent, &usage);
	assert_int_equal(usage.remote, 2);
	assert_int_equal(usage.pairs, 2);
	forge_run(&f, 120000);
	unsigned kept = 0;
	for (unsigned i = 0; i < f.sent_count; i++) {
		uint8_t last = f.sent[i].to.address[3];
		kept += last == 2;
		assert_true(i < from || last != 1);
	}
	assert_int_equal(kept, AGENT_CHECKS_PER_PAIR);
	forge_end(&f);
}

// A peer that answers is trusted anew each time: moves of a long call do not use up its share.
static void test_answers_fill_the_budget(void **state)
{
	(void)state;
	struct forge f;
	uint8_t message[256];
	forge_begin(&f, 3, NULL);
	forge_base(&f, 0);
	for (uint32_t i = 1; i <= 200; i++) {
		struct endpoint_transport peer = forge_v4(203, 0, 113, 1, (uint16_t)(6000 + i));
		struct agent_candidate c = candidate(peer);
		struct forge_check check = {.sequence = i, .controlling = true};
		size_t size = forge_check(&f, &check, message, sizeof(message));
		agent_remote_set(f.agent, i, &c, 1, f.now);
		// Heard, and granted, each time.
		assert_true(forge_deliver(&f, 0, &peer, message, size));
		assert_int_not_equal(agent_pair_of(f.agent, 0, &peer), 0);
		forge_run(&f, 30);
		const struct forge_sent *sent = &f.sent[f.sent_count - 1];
		while (!forge_is(sent, STUN_REQUEST) || memcmp(&sent->to, &peer, sizeof(peer)) != 0)
			sent--;
		size = forge_answer(&f, sent, 0, &mapped, message, sizeof(message));
		forge_deliver(&f, 0, &peer, message, size);
		// The path dies, and with it the pair.
		forge_run(&f, 40000);
		assert_int_equal(agent_pair_of(f.agent, 0, &peer), 0);
	}
	assert_int_equal(agent_counter(f.agent, AGENT_COUNTER_held_host), 0);
	forge_end(&f);
}

static void test_addresses_nobody_is_at(void **state)
{
	(void)state;
	static const struct endpoint_transport bad[] = {{4, {127, 0, 0, 1}, 22},
		{4, {0, 0, 0, 0}, 22}, {4, {0, 1, 2, 3}, 22}, {4, {224, 0, 0, 251}, 5353},
		{4, {255, 255, 255, 255}, 67}, {4, {240, 0, 0, 1}, 1},
		{4, {169, 254, 169, 254}, 80}, {4, {203, 0, 113, 1}, 0}, {6, {[15] = 1}, 22},
		{6, {0}, 22}, {6, {0xff, 2, [15] = 1}, 22}, {6, {0xfe, 0x80, [15] = 1}, 22},
		{6, {[10] = 0xff, 0xff, 127, 0, 0, 1}, 22}, {6, {[12] = 10, 0, 0, 1}, 22},
		{5, {203, 0, 113, 1}, 22}};
	const unsigned count = sizeof(bad) / sizeof(bad[0]);
	struct forge f;
	uint8_t message[256];
	forge_begin(&f, 3, NULL);
	forge_base(&f, 0);
	agent_base_add(f.agent, 1, 6, AGENT_SOCKET, f.now);
	for (unsigned i = 0; i < count; i++) {
		struct agent_candidate c = candidate(bad[i]);
		struct forge_check check = {.sequence = i + 1, .controlling = true};
		assert_int_equal(agent_remote_add(f.agent, &c, f.now), -EINVAL);
		size_t size = forge_check(&f, &check, message, sizeof(message));
		if (bad[i].address[0] != 169)
			forge_deliver(&f, bad[i].family == 6, &bad[i], message, size);
	}
	forge_run(&f, 10000);
	assert_int_equal(f.sent_count, 0);
	forge_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flipped_bits_of_a_check),
		cmocka_unit_test(test_flipped_bits_of_an_answer),
		cmocka_unit_test(test_forged_checks_are_not_answered),
		cmocka_unit_test(test_own_check_reflected),
		cmocka_unit_test(test_replayed_check_native),
		cmocka_unit_test(test_checks_out_of_order),
		cmocka_unit_test(test_replayed_check_standard),
		cmocka_unit_test(test_unknown_attribute_is_refused),
		cmocka_unit_test(test_answers_are_never_larger),
		cmocka_unit_test(test_probing_is_capped),
		cmocka_unit_test(test_triggered_checks_are_held),
		cmocka_unit_test(test_silent_addresses_are_left_alone),
		cmocka_unit_test(test_older_list_is_forgotten),
		cmocka_unit_test(test_answers_fill_the_budget),
		cmocka_unit_test(test_addresses_nobody_is_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
