// SPDX-License-Identifier: BSD-3-Clause
// REGISTER: what becomes of good ones, the reason for which each bad one is refused and in which
// order that is looked at, what the dataplane may answer, epochs, and what does not fit.
#include "tests/unit/registration_desk.h"

static struct desk *desk;

static int setup(void **state)
{
	(void)state;
	desk = desk_open("");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	desk_close(desk);
	return 0;
}

// The last message must have been refused at once, and nothing asked of the dataplane.
static void assert_refused(
	const struct desk_client *client, unsigned installed, enum native_reason reason)
{
	assert_int_equal(desk->installed, installed);
	assert_int_equal(desk_refusal(desk, client, NULL), reason);
	assert_int_equal(desk_in_flight(desk), 0);
}

static void register_makes_a_lease(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	assert_int_equal(desk_register(desk, &client, 300), 0); // nothing before the dataplane
	assert_int_equal(desk->installed, 1);
	assert_int_equal(desk_last(desk)->type, API_LEASE_SET);
	const struct api_lease *lease = desk_lease(desk);
	assert_memory_equal(lease->address, client.address, sizeof(client.address));
	assert_memory_equal(lease->device, client.device, sizeof(client.device));
	assert_true(net_endpoint_equal(&lease->client, &client.endpoint));
	assert_true(net_endpoint_equal(&lease->server, &desk->server));
	assert_int_equal(lease->lifetime_ms, 300000);
	assert_int_equal(lease->issued, desk->issued);

	assert_int_equal(desk_answer(desk, 0), 1);
	const struct desk_sent *sent = desk_reply(desk, 0);
	struct native_registered m;
	assert_int_equal(native_registered_parse(sent->message, sent->head.length, &m), 0);
	assert_memory_equal(m.transaction, desk->transaction, NATIVE_TRANSACTION_SIZE);
	assert_int_equal(m.lifetime, 300);
	assert_memory_equal(m.cookie, desk_fresh_cookie, NATIVE_COOKIE_SIZE);
	assert_true(net_endpoint_equal(&m.observed, &client.endpoint));
	assert_int_equal(m.keepalive, 20);
	assert_int_equal(m.devices, 8);
	assert_int_equal(m.payload, 1184);
	assert_memory_equal(m.relay_key, desk->key.public_key, 32);
	assert_true(net_endpoint_equal(&sent->head.destination, &client.endpoint));
	assert_true(sent->head.length <= desk->size);
	assert_int_equal(desk_in_flight(desk), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_registered), 1);
}

static void lifetime_is_at_most_the_configured_one(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	desk_register(desk, &client, UINT32_MAX);
	assert_int_equal(desk_lease(desk)->lifetime_ms, 600000);
}

static void renewal_is_told_from_a_new_one(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	desk->flags = API_NATIVE_PUNT_KNOWN | API_NATIVE_PUNT_HERE;
	desk_register(desk, &client, 300);
	desk_answer(desk, 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_registered), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_renewed), 1);
}

static void lifetime_zero_withdraws(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	desk->flags = API_NATIVE_PUNT_KNOWN;
	desk_register(desk, &client, 0);
	assert_int_equal(desk_last(desk)->type, API_LEASE_REMOVE);
	assert_int_equal(desk_lease(desk)->issued, desk->issued);
	assert_memory_equal(desk_lease(desk)->device, client.device, sizeof(client.device));
	assert_int_equal(desk_answer(desk, 0), 1);
	struct native_registered m;
	const struct desk_sent *sent = desk_reply(desk, 0);
	assert_int_equal(native_registered_parse(sent->message, sent->head.length, &m), 0);
	assert_int_equal(m.lifetime, 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_withdrawn), 1);

	// An older one than the last message withdraws nothing.
	desk_register(desk, &client, 0);
	assert_int_equal(desk_answer(desk, -ESTALE), 1);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_OLD);
}

// Each is wrong in one thing and in all that is looked at later; the first is told.
static void checks_come_in_order(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1), other = desk_client(2);
	struct native_register m = desk_register_of(desk, &client, 300);
	uint32_t detail;

	m.epoch = DESK_EPOCH + 2;
	m.address = other.address;
	desk_build_register(desk, &other, &m);
	desk->message[3] = 1; // a zero that is none
	assert_int_equal(desk_punt(desk, &client), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_malformed), 1); // no header
	desk->message[3] = 0;
	desk->size--;
	assert_int_equal(desk_punt(desk, &client), 1);
	assert_refused(&client, 0, NATIVE_REFUSED_MALFORMED);

	assert_int_equal(desk_register_send(desk, &other, &m), 1);
	desk_punt(desk, &client);
	assert_int_equal(desk_refusal(desk, &client, &detail), NATIVE_REFUSED_EPOCH);
	assert_int_equal(detail, DESK_EPOCH);
	assert_int_equal(desk->installed, 0);

	m.epoch = DESK_EPOCH;
	desk_build_register(desk, &other, &m);
	desk_punt(desk, &client);
	assert_refused(&client, 0, NATIVE_REFUSED_KEY);

	m.address = client.address;
	desk_build_register(desk, &other, &m); // by the wrong key
	desk_punt(desk, &client);
	assert_refused(&client, 0, NATIVE_REFUSED_SIGNATURE);

	desk_build_register(desk, &client, &m);
	assert_int_equal(desk_punt(desk, &client), 0);
	assert_int_equal(desk->installed, 1);
}

static void signature_covers_every_byte(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	const struct native_register m = desk_register_of(desk, &client, 300);
	desk_build_register(desk, &client, &m);
	for (size_t i = 0; i < desk->size; i++) {
		desk->message[i] ^= 1;
		desk_punt(desk, &client);
		desk->message[i] ^= 1;
	}
	assert_int_equal(desk->installed, 0);
	assert_int_equal(desk_in_flight(desk), 0);
	desk_punt(desk, &client);
	assert_int_equal(desk->installed, 1);
}

// An attacker has keys of its own, and knows the victim's address, key, and a message of it.
static void forged_registrations_get_nothing(void **state)
{
	(void)state;
	enum { FORGED = 10000 };
	struct desk_client victim = desk_client(1), attacker = desk_client(2);
	for (unsigned i = 0; i < FORGED; i++) {
		struct native_register m = desk_register_of(desk, &victim, 300);
		uint8_t address[NATIVE_ADDRESS_SIZE];
		switch (i % 4) {
		case 0: // the victim's key, own signature
			break;
		case 1: // own key
			m.key = attacker.key;
			break;
		case 2: // own key, the victim's routing tag
			memcpy(address, victim.address, 16);
			memcpy(address + 16, attacker.address + 16, 16);
			m.address = address;
			m.key = victim.key;
			break;
		default: // the victim's signature of another message
			desk_build_register(desk, &victim, &m);
			randombytes_buf(desk->message + 12 + 12 + 8, NATIVE_DEVICE_SIZE);
			break;
		}
		if (i % 4 != 3)
			desk_build_register(desk, &attacker, &m);
		assert_int_equal(desk_punt(desk, &attacker), 1);
	}
	assert_int_equal(desk->installed, 0);
	assert_int_equal(desk_in_flight(desk), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_refused_signature) +
				 desk_count(desk, REGISTRATION_COUNTER_refused_key),
		FORGED);
}

static void dataplane_says_no(void **state)
{
	(void)state;
	static const struct {
		int error;
		enum native_reason reason;
		uint32_t detail;
	} cases[] = {
		{-ESTALE, NATIVE_REFUSED_OLD, 0},
		{-EMLINK, NATIVE_REFUSED_DEVICES, 0},
		{-ENOSPC, NATIVE_REFUSED_FULL, REGISTRATION_FULL_MS},
		{-EAGAIN, NATIVE_REFUSED_BUSY, REGISTRATION_BUSY_MS},
		{-EINVAL, NATIVE_REFUSED_NOT_SERVED, 0},
		{-ESHUTDOWN, NATIVE_REFUSED_DRAINING, 0},
	};
	struct desk_client client = desk_client(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t detail;
		desk_register(desk, &client, 300);
		assert_int_equal(desk_answer(desk, cases[i].error), 1);
		assert_int_equal(desk_refusal(desk, &client, &detail), cases[i].reason);
		assert_int_equal(detail, cases[i].detail);
		assert_int_equal(desk_in_flight(desk), 0);
	}
	// Whatever else it says is nothing a client could make sense of.
	desk_register(desk, &client, 300);
	assert_int_equal(desk_answer(desk, -EIO), 0);
	desk_register(desk, &client, 300);
	assert_int_equal(desk_answer(desk, -ENOTCONN), 0);
	assert_int_equal(desk_in_flight(desk), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_registered), 0);
}

static void repetition_in_flight_is_dropped(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1), other = desk_client(1);
	desk_register(desk, &client, 300);
	assert_int_equal(desk_punt(desk, &client), 0);
	assert_int_equal(desk->installed, 1);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_retransmissions), 1);
	// From elsewhere it is no repetition; whether it counts is the dataplane's to say.
	other.endpoint.port++;
	desk_punt(desk, &other);
	assert_int_equal(desk->installed, 2);
	desk_answer(desk, 0);
	// Once answered the same bytes are looked at again: the client may not have got the answer.
	desk_punt(desk, &other);
	assert_int_equal(desk->installed, 3);
	assert_int_equal(desk_lease(desk)->issued, desk->issued);
}

// Who is in which epoch, while the relay's clock goes through three of them.
static void epochs_around_ours_are_served(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	for (int offset = -2; offset <= 2; offset++) {
		unsigned before = desk->installed;
		desk_client_epoch(&client, (uint32_t)(DESK_EPOCH + offset));
		desk_register(desk, &client, 300);
		if (offset == -2 || offset == 2) {
			assert_refused(&client, before, NATIVE_REFUSED_EPOCH);
		} else {
			assert_int_equal(desk->installed, before + 1);
			desk_answer(desk, 0);
		}
	}
	// The hour turns: what was the next epoch is ours, e - 1 is over.
	desk->wall_s = (DESK_EPOCH + 1) * UINT64_C(3600);
	unsigned before = desk->installed;
	desk_client_epoch(&client, DESK_EPOCH - 1);
	desk_register(desk, &client, 300);
	assert_refused(&client, before, NATIVE_REFUSED_EPOCH);
	desk_client_epoch(&client, DESK_EPOCH + 2);
	desk_register(desk, &client, 300);
	assert_int_equal(desk->installed, before + 1);
}

static uint32_t granted_at(struct desk_client *client, int offset, uint32_t second)
{
	unsigned before = desk->installed;
	desk->wall_s = DESK_EPOCH * UINT64_C(3600) + second;
	desk_client_epoch(client, (uint32_t)(DESK_EPOCH + offset));
	desk_register(desk, client, 600);
	if (desk->installed == before) {
		assert_int_equal(desk_refusal(desk, client, NULL), NATIVE_REFUSED_EPOCH);
		return 0;
	}
	desk_answer(desk, 0);
	return desk_lease(desk)->lifetime_ms / 1000;
}

static void lease_ends_with_the_epoch_after_its_own(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	assert_int_equal(granted_at(&client, -1, 0), 600);
	assert_int_equal(granted_at(&client, -1, 3001), 599);
	assert_int_equal(granted_at(&client, -1, 3590), 10);
	assert_int_equal(granted_at(&client, -1, 3591), 0); // good for nothing
	assert_int_equal(granted_at(&client, 0, 3599), 600);
	assert_int_equal(granted_at(&client, 1, 3599), 600);
}

static void short_epochs_work_too(void **state)
{
	(void)state;
	desk_reconfigure(desk, "epoch = 2");
	struct desk_client client = desk_client(1);
	desk->wall_s = 2000000001;
	for (int offset = -1; offset <= 1; offset++) {
		desk_client_epoch(&client, (uint32_t)(1000000000 + offset));
		desk_register(desk, &client, 600);
		desk_answer(desk, 0);
		assert_int_equal(desk_lease(desk)->lifetime_ms, (2 * (offset + 2) - 1) * 1000);
	}
	assert_int_equal(desk->installed, 3);
}

static void draining_renews_and_makes_nothing_new(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	registration_core_drain(desk->core, true);
	desk_register(desk, &client, 300);
	assert_refused(&client, 0, NATIVE_REFUSED_DRAINING);
	desk->flags = API_NATIVE_PUNT_KNOWN;
	desk_register(desk, &client, 300);
	assert_int_equal(desk->installed, 1);
	desk->flags = 0;
	registration_core_drain(desk->core, false);
	desk_register(desk, &client, 300);
	assert_int_equal(desk->installed, 2);
}

static void requests_in_flight_are_bounded(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	uint32_t first = desk->next_id + 1, detail;
	for (unsigned i = 0; i < REGISTRATION_IN_FLIGHT_MAX; i++)
		assert_int_equal(desk_register(desk, &client, 300), 0);
	assert_int_equal(desk->installed, REGISTRATION_IN_FLIGHT_MAX);
	assert_int_equal(desk_register(desk, &client, 300), 1);
	assert_int_equal(desk_refusal(desk, &client, &detail), NATIVE_REFUSED_BUSY);
	assert_int_equal(detail, REGISTRATION_BUSY_MS);
	assert_int_equal(desk->installed, REGISTRATION_IN_FLIGHT_MAX);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_in_flight_full), 1);

	registration_core_answer(desk->core, first, 0, NULL, 0, desk->now_ms);
	assert_int_equal(desk_register(desk, &client, 300), 0);
	assert_int_equal(desk->installed, REGISTRATION_IN_FLIGHT_MAX + 1);

	// Nobody answers: the clients are forgotten, the slots only with the connection.
	desk_wait(desk, REGISTRATION_IN_FLIGHT_TIMEOUT_MS);
	for (unsigned i = 0; i < REGISTRATION_IN_FLIGHT_MAX; i++) {
		const struct registration_request *slot = &desk->core->flight.slots[i];
		assert_true(slot->given_up);
		assert_true(sodium_is_zero((const uint8_t *)&slot->from, sizeof(slot->from)));
		assert_true(sodium_is_zero((const uint8_t *)&slot->lease, sizeof(slot->lease)));
	}
	unsigned replies = desk->replies;
	registration_core_answer(desk->core, first + 1, 0, NULL, 0, desk->now_ms);
	assert_int_equal(desk->replies, replies);
	assert_int_equal(desk_in_flight(desk), REGISTRATION_IN_FLIGHT_MAX - 1);
	desk_connect(desk);
	assert_int_equal(desk_in_flight(desk), 0);
	assert_true(sodium_is_zero((const uint8_t *)desk->core->flight.slots,
		REGISTRATION_IN_FLIGHT_MAX * sizeof(*desk->core->flight.slots)));
	// An answer of the old connection is nobody's.
	registration_core_answer(desk->core, first + 2, 0, NULL, 0, desk->now_ms);
	assert_int_equal(desk->replies, replies);
}

static void without_a_link_nothing_is_kept(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	desk->link_down = true;
	assert_int_equal(desk_register(desk, &client, 300), 0);
	assert_int_equal(desk_in_flight(desk), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_install_failed), 1);
	desk->link_down = false;
	desk_punt(desk, &client);
	assert_int_equal(desk->installed, 1);
}

static void others_types_are_dropped(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	desk_register(desk, &client, 300);
	for (unsigned type = 0; type < 256; type++) {
		if (type == NATIVE_REGISTER || type == NATIVE_OPEN || type == NATIVE_ACCEPT)
			continue;
		desk->message[2] = (uint8_t)type;
		assert_int_equal(desk_punt(desk, &client), 0);
	}
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_unexpected_type), 253);
	assert_int_equal(desk->installed, 1);
}

static void settings_follow_configuration_and_clock(void **state)
{
	(void)state;
	const struct api_native_settings *told = &desk->settings;
	assert_int_equal(desk->settings_told, 1);
	assert_int_equal(told->epoch, DESK_EPOCH);
	assert_int_equal(told->epoch_seconds, 3600);
	assert_int_equal(told->sender_bytes, 1048576);
	assert_int_equal(told->address_bytes, 4194304);
	assert_int_equal(told->new_leases, 20000);
	assert_int_equal(told->difficulty, 0);
	assert_int_equal(told->admission, NATIVE_ADMISSION_OPEN);
	assert_int_equal(told->flags, API_NATIVE_SERVED);
	desk_wait(desk, 1000);
	assert_int_equal(desk->settings_told, 1);
	desk->wall_s = (DESK_EPOCH + 1) * UINT64_C(3600) - 1;
	desk_wait(desk, 1000);
	assert_int_equal(desk->settings_told, 2);
	assert_int_equal(told->epoch, DESK_EPOCH + 1);
	// It refuses: again, but not faster than the clock ticks.
	desk_settings_answer(desk, -EINVAL);
	struct desk_client client = desk_client(1);
	desk_register(desk, &client, 300);
	assert_int_equal(desk->settings_told, 2);
	desk_wait(desk, 1000);
	assert_int_equal(desk->settings_told, 3);
	// What changes while it is asked is told right after.
	desk_reconfigure(desk, "enabled = no\nadmission = token\nsender-bytes = 100000");
	assert_int_equal(desk->settings_told, 3);
	desk_settings_answer(desk, 0);
	assert_int_equal(desk->settings_told, 4);
	assert_int_equal(told->flags, 0);
	assert_int_equal(told->admission, NATIVE_ADMISSION_TOKEN);
	assert_int_equal(told->sender_bytes, 100000);
	// What was on its way meanwhile.
	desk_register(desk, &client, 300);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_NOT_SERVED);
}

static void without_a_key_nobody_is_served(void **state)
{
	(void)state;
	const struct registration_output output = {
		.context = desk, .install = desk_on_install, .send = desk_on_send};
	struct desk_client client = desk_client(1);
	registration_core_free(desk->core);
	desk->core = registration_core_create(desk->config, NULL, &output);
	desk_connect(desk);
	assert_int_equal(desk->settings.flags, 0);
	desk_register(desk, &client, 300);
	assert_refused(&client, 0, NATIVE_REFUSED_NOT_SERVED);
}

static void take_unknown(void *context, const struct api_native_punt *punt, const uint8_t *payload)
{
	struct desk *seen = context;
	assert_int_equal(punt->length, seen->size);
	assert_ptr_equal(payload, seen->message);
	seen->unknown++;
}

static void data_for_unknown_addresses_goes_to_the_hook(void **state)
{
	(void)state;
	const struct registration_output output = {.context = desk,
		.install = desk_on_install,
		.send = desk_on_send,
		.unknown = take_unknown};
	struct desk_client client = desk_client(1);
	desk->flags = API_NATIVE_PUNT_UNKNOWN;
	desk->message[0] = NATIVE_FIRST_ADDRESS;
	desk->size = 100;
	desk_punt(desk, &client); // without a hook: only counted
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_unknown_address), 1);

	registration_core_free(desk->core);
	desk->core = registration_core_create(desk->config, &desk->key, &output);
	desk_connect(desk);
	assert_int_equal(desk->settings.flags, API_NATIVE_SERVED | API_NATIVE_TELL_UNKNOWN);
	desk_punt(desk, &client);
	assert_int_equal(desk->unknown, 1);
	assert_int_equal(desk->replies, 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_unknown_address), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(register_makes_a_lease),
		TEST(lifetime_is_at_most_the_configured_one),
		TEST(renewal_is_told_from_a_new_one),
		TEST(lifetime_zero_withdraws),
		TEST(checks_come_in_order),
		TEST(signature_covers_every_byte),
		TEST(forged_registrations_get_nothing),
		TEST(dataplane_says_no),
		TEST(repetition_in_flight_is_dropped),
		TEST(epochs_around_ours_are_served),
		TEST(lease_ends_with_the_epoch_after_its_own),
		TEST(short_epochs_work_too),
		TEST(draining_renews_and_makes_nothing_new),
		TEST(requests_in_flight_are_bounded),
		TEST(without_a_link_nothing_is_kept),
		TEST(others_types_are_dropped),
		TEST(settings_follow_configuration_and_clock),
		TEST(without_a_key_nobody_is_served),
		TEST(data_for_unknown_addresses_goes_to_the_hook),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
