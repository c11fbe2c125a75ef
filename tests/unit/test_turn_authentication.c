// SPDX-License-Identifier: BSD-3-Clause
// Long-term credentials (RFC 8489 9.2) through the TURN core: static and REST users, nonces bound
// to the source, SHA-256 negotiation and bid-down, USERHASH, 441, and the size of every reply that
// an unauthenticated request can draw.
#include "tests/unit/turn_desk.h"

#define STATIC                                                                                     \
	"[turn]\nrealm = relay.example\nauth = static\nuser = alice:secret\nuser = bob:other\n"
#define REST                                                                                       \
	"[turn]\nrealm = relay.example\nauth = rest\nsecret = old secret\nsecret = new secret\n"
#define BOTH                                                                                       \
	"[turn]\nrealm = relay.example\nauth = static rest\nuser = alice:secret\nsecret = "        \
	"shared\n"

static void log_in(struct desk *desk, const char *name, const char *password)
{
	desk_challenge(desk);
	desk->name = name;
	desk->password = password;
}

static bool signed_with(const struct desk *desk, bool sha256)
{
	struct stun_message m = desk_reply(desk);
	struct stun_key key = desk_key(desk);
	if (sha256)
		return m.integrity_offset == 0 && stun_verify_integrity_sha256(&m, &key) == 0;
	return m.integrity_sha256_offset == 0 && stun_verify_integrity(&m, &key) == 0;
}

static bool unsigned_and_charged(const struct desk *desk)
{
	struct stun_message m = desk_reply(desk);
	return m.integrity_offset == 0 && m.integrity_sha256_offset == 0 &&
	       desk->sent.flags == API_SEND_UNAUTHENTICATED;
}

static void test_static_user(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	desk_allocate(desk);
	desk_refuse(desk, 401);
	assert_true(unsigned_and_charged(desk));
	assert_true(desk_has(desk, STUN_REALM));
	assert_false(desk_has(desk, STUN_SOFTWARE));
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	assert_true(stun_find(&m, STUN_ERROR_CODE, &a));
	assert_int_equal(a.length, 4); // no reason phrase
	assert_true(stun_find(&m, STUN_NONCE, &a));
	assert_int_equal(a.length, NONCE_LENGTH);
	assert_memory_equal(a.value, "obMatJos2wAAA", 13); // both features
	desk_learn(desk);

	desk->name = "alice";
	desk->password = "secret";
	desk_allocate(desk);
	desk_succeed(desk);
	assert_true(signed_with(desk, false));
	assert_int_equal(desk->sent.flags, 0);
	const struct api_allocation_install *install = (void *)desk_last(desk)->payload;
	assert_int_equal(install->flags, 0);
	assert_true(install->credential_tag != 0);
	desk_adopt(desk);
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	assert_true(signed_with(desk, false));
	// Errors are signed, too, once it is known who asks.
	desk_request(desk, STUN_CREATE_PERMISSION);
	desk_refuse(desk, 400);
	assert_true(signed_with(desk, false));
	assert_int_equal(desk->sent.flags, 0);
	desk_close(desk);
}

// RFC 8489 14.3: what the operator wrote decomposed, a client sends composed (OpaqueString is NFC).
static void test_opaque_string(void **state)
{
	(void)state;
	struct desk *desk = desk_open("[turn]\nrealm = relay.example\nauth = static\n"
				      "user = Zoe\xcc\x88:cafe\xcc\x81\n");
	log_in(desk, "Zo\xc3\xab", "caf\xc3\xa9");
	desk_allocate(desk);
	desk_succeed(desk);
	desk_close(desk);
}

static void test_wrong_credentials(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	log_in(desk, "alice", "wrong");
	desk_allocate(desk);
	desk_refuse(desk, 401);
	assert_true(unsigned_and_charged(desk));
	desk->password = "";
	desk_allocate(desk);
	desk_refuse(desk, 401);
	desk->name = "alicia";
	desk->password = "secret";
	desk_allocate(desk);
	desk_refuse(desk, 401);
	desk->name = "1800003600:rest"; // rest is off
	desk_allocate(desk);
	desk_refuse(desk, 401);
	char long_name[700];
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	desk->name = long_name;
	desk_allocate(desk);
	desk_refuse(desk, 401);
	assert_int_equal(desk_usage(desk).allocations, 0);
	desk_close(desk);
}

static void test_missing_attributes(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	log_in(desk, "alice", "secret");
	struct stun_key key = desk_key(desk);
	for (unsigned left_out = 0; left_out < 3; left_out++) {
		struct stun_builder *b = desk_allocate(desk);
		if (left_out != 0)
			stun_add(b, STUN_USERNAME, "alice", 5);
		if (left_out != 1)
			stun_add(b, STUN_REALM, "relay.example", 13);
		if (left_out != 2)
			stun_add(b, STUN_NONCE, desk->nonce, desk->nonce_length);
		stun_add_integrity(b, &key);
		assert_int_equal(desk_punt(desk), 1);
		assert_int_equal(desk_error(desk), 400);
		assert_true(unsigned_and_charged(desk));
		assert_false(desk_has(desk, STUN_NONCE));
		assert_false(desk_has(desk, STUN_REALM));
	}
	// Credentials behind the integrity attribute are as good as absent.
	struct stun_builder *b = desk_allocate(desk);
	stun_add_integrity(b, &key);
	stun_add(b, STUN_USERNAME, "alice", 5);
	stun_add(b, STUN_REALM, "relay.example", 13);
	stun_add(b, STUN_NONCE, desk->nonce, desk->nonce_length);
	assert_int_equal(desk_punt(desk), 1);
	assert_int_equal(desk_error(desk), 400);
	desk_close(desk);
}

static void test_attribute_appended_by_third_party(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	log_in(desk, "alice", "secret");
	stun_add_u32(desk_allocate(desk), STUN_LIFETIME, 600);
	desk_add_credentials(desk);
	stun_add_u32(&desk->builder, STUN_LIFETIME, 3600);
	assert_int_equal(desk_punt(desk), 0);
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_u32(desk, STUN_LIFETIME), 600);
	desk_adopt(desk);
	struct net_endpoint peer = desk_endpoint("8.8.8.8", 1);
	struct net_endpoint added = desk_endpoint("9.9.9.9", 1);
	stun_add_xor_address(
		desk_request(desk, STUN_CREATE_PERMISSION), STUN_XOR_PEER_ADDRESS, &peer);
	desk_add_credentials(desk);
	stun_add_xor_address(&desk->builder, STUN_XOR_PEER_ADDRESS, &added);
	assert_int_equal(desk_punt(desk), 0);
	const struct api_permissions_install *install = (void *)desk_last(desk)->payload;
	assert_int_equal(install->count, 1);
	desk_close(desk);
}

static void test_nonce_is_bound_to_the_source(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC "[peers]\n");
	log_in(desk, "alice", "secret");
	struct net_endpoint home = desk->client;
	desk->client.port++;
	desk_allocate(desk);
	desk_refuse(desk, 438);
	assert_true(unsigned_and_charged(desk));
	assert_true(desk_has(desk, STUN_PASSWORD_ALGORITHMS));
	desk->client = desk_endpoint("192.0.2.78", home.port);
	desk_allocate(desk);
	desk_refuse(desk, 438);
	desk->client = home;
	desk->server.port = 3479;
	desk_allocate(desk);
	desk_refuse(desk, 438);
	desk->server.port = 3478;
	// Every character counts.
	for (size_t i = 0; i < desk->nonce_length; i++) {
		desk->nonce[i] ^= 1;
		desk_allocate(desk);
		assert_int_equal(desk_send(desk), 1);
		assert_int_equal(desk_error(desk), 438);
		desk->nonce[i] ^= 1;
	}
	desk->nonce_length--;
	desk_allocate(desk);
	desk_refuse(desk, 438);
	desk->nonce_length++;
	desk_allocate(desk);
	desk_succeed(desk);
	desk_close(desk);
}

static void test_nonce_expires(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	const uint64_t minute = 60 * 1000;
	for (unsigned start = 0; start < 3; start++) {
		desk->now_ms += 17 * minute + 123;
		log_in(desk, "alice", "secret");
		uint64_t made = desk->now_ms;
		for (unsigned age = 1; age < 59; age++) {
			desk->now_ms = made + age * minute;
			turn_core_tick(desk->core, desk->now_ms);
			desk_request(desk, STUN_REFRESH);
			desk_refuse(desk, 437);
		}
		desk->now_ms = made + 60 * minute;
		desk_request(desk, STUN_REFRESH);
		desk_refuse(desk, 438);
		desk_learn(desk);
		desk_request(desk, STUN_REFRESH);
		desk_refuse(desk, 437);
	}
	// Half a year later the minute counter comes round; the keys do not.
	uint8_t old[NONCE_LENGTH];
	log_in(desk, "alice", "secret");
	memcpy(old, desk->nonce, sizeof(old));
	desk->now_ms += (uint64_t)0x40000 * minute;
	desk_request(desk, STUN_REFRESH);
	desk_refuse(desk, 438);
	desk_close(desk);
}

static void test_two_cores_have_different_keys(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	log_in(desk, "alice", "secret");
	desk_restart(desk);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	desk_allocate(desk);
	desk_refuse(desk, 438);
	desk_learn(desk);
	desk_allocate(desk);
	desk_succeed(desk);
	desk_close(desk);
}

static void test_sha256_negotiated(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	log_in(desk, "alice", "secret");
	assert_int_equal(desk->algorithms_length, 8);
	desk->sha256 = true;
	desk_allocate(desk);
	desk_succeed(desk);
	assert_true(signed_with(desk, true));
	desk_adopt(desk);
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	assert_true(signed_with(desk, true));
	desk_request(desk, STUN_CREATE_PERMISSION);
	desk_refuse(desk, 400);
	assert_true(signed_with(desk, true));
	// The key of the other algorithm does not open it.
	desk_request(desk, STUN_REFRESH);
	const uint8_t md5[4] = {0, STUN_PASSWORD_MD5, 0, 0};
	struct stun_key key = desk_key(desk);
	stun_add(&desk->builder, STUN_USERNAME, "alice", 5);
	stun_add(&desk->builder, STUN_REALM, "relay.example", 13);
	stun_add(&desk->builder, STUN_NONCE, desk->nonce, desk->nonce_length);
	stun_add(&desk->builder, STUN_PASSWORD_ALGORITHMS, desk->algorithms, 8);
	stun_add(&desk->builder, STUN_PASSWORD_ALGORITHM, md5, 4);
	stun_add_integrity_sha256(&desk->builder, &key);
	assert_int_equal(desk_punt(desk), 1);
	assert_int_equal(desk_error(desk), 401);
	desk_close(desk);
}

// Asks for an MD5 key but signs with SHA-256: replies follow the request.
static void test_sha256_integrity_without_negotiation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	log_in(desk, "alice", "secret");
	desk->only_sha256_integrity = true;
	desk_allocate(desk);
	desk_succeed(desk);
	assert_true(signed_with(desk, true));
	desk_close(desk);
}

static void add_login(struct desk *desk, const void *list, size_t list_length, const void *chosen,
	size_t chosen_length, bool sha256)
{
	struct stun_builder *b = &desk->builder;
	stun_add(b, STUN_USERNAME, "alice", 5);
	stun_add(b, STUN_REALM, "relay.example", 13);
	stun_add(b, STUN_NONCE, desk->nonce, desk->nonce_length);
	if (list != NULL)
		stun_add(b, STUN_PASSWORD_ALGORITHMS, list, list_length);
	if (chosen != NULL)
		stun_add(b, STUN_PASSWORD_ALGORITHM, chosen, chosen_length);
	desk->sha256 = sha256;
	struct stun_key key = desk_key(desk);
	desk->sha256 = false;
	if (sha256)
		stun_add_integrity_sha256(b, &key);
	else
		stun_add_integrity(b, &key);
}

static void test_bid_down(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	static const uint8_t only_md5[4] = {0, 1, 0, 0}, md5[4] = {0, 1, 0, 0};
	static const uint8_t turned[8] = {0, 1, 0, 0, 0, 2, 0, 0};
	static const uint8_t sha256[4] = {0, 2, 0, 0}, unknown[4] = {0, 3, 0, 0};
	static const uint8_t parameters[4] = {0, 2, 0, 4};
	log_in(desk, "alice", "secret");
	struct {
		const void *list;
		size_t list_length;
		const void *chosen;
		size_t chosen_length;
	} bad[] = {
		{only_md5, 4, md5, 4},                // the list was cut on the way
		{turned, 8, md5, 4},                  // the preference was turned round
		{NULL, 0, md5, 4},                    // no list
		{desk->algorithms, 8, NULL, 0},       // nothing chosen
		{desk->algorithms, 8, unknown, 4},    // not of the list
		{desk->algorithms, 8, parameters, 4}, // parameters where none belong
		{desk->algorithms, 8, sha256, 2},     // too short
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		desk_allocate(desk);
		add_login(desk, bad[i].list, bad[i].list_length, bad[i].chosen,
			bad[i].chosen_length, false);
		assert_int_equal(desk_punt(desk), 1);
		assert_int_equal(desk_error(desk), 400);
		assert_true(unsigned_and_charged(desk));
	}
	// The feature bit cleared on the way, the list taken out: the client believes an old
	// server, but the nonce is not ours any more.
	uint8_t nonce[NONCE_LENGTH];
	memcpy(nonce, desk->nonce, sizeof(nonce));
	memcpy(desk->nonce + 9, "QAAA", 4);
	desk_allocate(desk);
	add_login(desk, NULL, 0, NULL, 0, false);
	assert_int_equal(desk_punt(desk), 1);
	assert_int_equal(desk_error(desk), 438);
	// An algorithm chosen of a list that was never sent.
	desk_allocate(desk);
	add_login(desk, desk->algorithms, 8, sha256, 4, true);
	assert_int_equal(desk_punt(desk), 1);
	assert_int_equal(desk_error(desk), 400);
	// MD5, honestly chosen, signs replies with SHA-256 all the same (9.2.4).
	memcpy(desk->nonce, nonce, sizeof(nonce));
	desk_allocate(desk);
	add_login(desk, desk->algorithms, 8, md5, 4, false);
	assert_int_equal(desk_punt(desk), 0);
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_true(signed_with(desk, true));
	desk_close(desk);
}

static void test_userhash(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	desk->userhash = true;
	log_in(desk, "bob", "other");
	desk_allocate(desk);
	desk_succeed(desk);
	desk_adopt(desk);
	// Name and hash are one credential.
	desk->userhash = false;
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	desk->userhash = true;
	desk->name = "mallory";
	desk_request(desk, STUN_REFRESH);
	desk_refuse(desk, 401);
	struct stun_key key = desk_key(desk);
	desk_request(desk, STUN_REFRESH);
	stun_add(&desk->builder, STUN_USERHASH, "short", 5);
	stun_add(&desk->builder, STUN_REALM, "relay.example", 13);
	stun_add(&desk->builder, STUN_NONCE, desk->nonce, desk->nonce_length);
	stun_add_integrity(&desk->builder, &key);
	assert_int_equal(desk_punt(desk), 1);
	assert_int_equal(desk_error(desk), 401);
	desk_close(desk);

	// With rest on, anonymity is not offered, and a hash of a REST name finds nobody.
	desk = desk_open(BOTH);
	desk_challenge(desk);
	assert_memory_equal(desk->nonce, "obMatJos2gAAA", 13);
	char password[29];
	stun_rest_password("shared", "1800003600:x", 12, password);
	desk->userhash = true;
	desk->name = "1800003600:x";
	desk->password = password;
	desk_allocate(desk);
	desk_refuse(desk, 401);
	desk->name = "alice";
	desk->password = "secret";
	desk_allocate(desk);
	desk_succeed(desk);
	desk_close(desk);
}

static void test_rest(void **state)
{
	(void)state;
	struct desk *desk = desk_open(REST);
	char password[29];
	static const char *const good[] = {
		"1800003600:user", "1800003600", "1800003600:", "1800000001:a:b"};
	for (unsigned i = 0; i < 4; i++) {
		const char *secret = i % 2 == 0 ? "old secret" : "new secret";
		stun_rest_password(secret, good[i], strlen(good[i]), password);
		log_in(desk, good[i], password);
		desk_allocate(desk);
		desk_succeed(desk);
		desk->client.port++;
	}
	static const char *const bad[] = {"1800000000:now", "1799999999:past", "0", ":x", "user",
		"180000360x:user", "99999999999999999999:user", "-1:x"};
	for (unsigned i = 0; i < 8; i++) {
		stun_rest_password("old secret", bad[i], strlen(bad[i]), password);
		log_in(desk, bad[i], password);
		desk_allocate(desk);
		desk_refuse(desk, 401);
		assert_true(unsigned_and_charged(desk));
	}
	stun_rest_password("third secret", good[0], strlen(good[0]), password);
	log_in(desk, good[0], password);
	desk_allocate(desk);
	desk_refuse(desk, 401);
	desk_close(desk);
}

// A call outlives its credential, but nothing new begins with it.
static void test_rest_expiry_of_a_live_allocation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(REST);
	char password[29];
	stun_rest_password("new secret", "1800000100:u", 12, password);
	log_in(desk, "1800000100:u", password);
	desk_have_allocation(desk);
	desk->wall_s += 200;
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	struct api_allocation_context live = desk->context;
	desk->context = (struct api_allocation_context){0};
	desk_allocate(desk);
	desk_refuse(desk, 401);
	desk_request(desk, STUN_REFRESH);
	desk_refuse(desk, 401);
	// Nor does it open an allocation that somebody else made.
	desk->context = live;
	desk->context.credential_tag++;
	desk_request(desk, STUN_REFRESH);
	desk_refuse(desk, 401);
	desk_close(desk);
}

static void test_other_users_allocation(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	log_in(desk, "alice", "secret");
	desk_have_allocation(desk);
	memcpy(desk->context.transaction, "abcdefghijkl", 12);
	desk->name = "bob";
	desk->password = "other";
	static const uint16_t methods[] = {STUN_REFRESH, STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND};
	for (unsigned i = 0; i < 3; i++) {
		desk_request(desk, methods[i]);
		desk_refuse(desk, 441);
		assert_true(signed_with(desk, false));
	}
	// An Allocate never earns 441 (RFC 8656 7.4), also when it repeats the transaction.
	desk_allocate(desk);
	desk_refuse(desk, 437);
	desk_allocate(desk);
	memcpy(desk->context.transaction, desk->transaction, 12);
	desk_refuse(desk, 437);
	desk_close(desk);
}

// ---- amplification ----

static size_t ip_bytes(const struct desk *desk, size_t stun)
{
	return (desk->client.address.family == NET_IPV4 ? 20u : 40u) + 8 + stun;
}

static void assert_bounded(const struct desk *desk)
{
	assert_true(
		ip_bytes(desk, desk->sent.length) * 2 <= ip_bytes(desk, desk->request_length) * 5);
}

// Realms of every length, both families, all four methods, requests from bare to long.
static void test_amplification(void **state)
{
	(void)state;
	static const uint16_t methods[] = {
		STUN_ALLOCATE, STUN_REFRESH, STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND};
	unsigned answered = 0, with_algorithms = 0, without = 0, refused = 0;
	for (unsigned length = 1; length < 128; length++) {
		char realm[128];
		memset(realm, 'r', sizeof(realm));
		realm[length] = 0;
		struct desk *desk =
			desk_open("listen = 2001:db8::1\n[turn]\nauth = static\nuser = a:b\n");
		// Longer than the configuration takes, too: the bound holds by itself.
		memcpy(desk->config->turn.realm, realm, sizeof(realm));
		for (unsigned variant = 0; variant < 2 * 4 * 4; variant++) {
			bool v6 = variant & 1, fingerprint = variant & 2, long_one = variant & 4;
			desk->client = desk_endpoint(v6 ? "2001:db8:7::1" : "192.0.2.9", 999);
			desk->server = desk_endpoint(v6 ? "2001:db8::1" : "198.51.100.1", 3478);
			desk_request(desk, methods[variant / 8]);
			if (variant / 8 == 0)
				stun_add_u32(&desk->builder, STUN_REQUESTED_TRANSPORT, 17u << 24);
			if (long_one)
				stun_add(&desk->builder, STUN_SOFTWARE, realm, 100);
			if (fingerprint)
				stun_add_fingerprint(&desk->builder);
			if (desk_punt(desk) == 0) {
				refused++;
				// A bare Allocate is answered with realms up to 44 bytes; the other
				// methods do not come without credentials from a real client.
				assert_true(length >
					    (variant / 8 == 0 ? CONFIG_REALM_CHALLENGED_MAX : 24));
				continue;
			}
			answered++;
			assert_int_equal(desk_error(desk), 401);
			assert_bounded(desk);
			struct stun_message m = desk_reply(desk);
			struct stun_attribute a;
			assert_true(stun_find(&m, STUN_NONCE, &a));
			bool feature = memcmp(a.value + 9, "wAAA", 4) == 0;
			assert_int_equal(feature, desk_has(desk, STUN_PASSWORD_ALGORITHMS));
			if (feature)
				with_algorithms++;
			else
				without++;
			if (length <= 32 && variant / 8 == 0)
				assert_true(feature);
		}
		assert_int_equal(turn_core_counter(desk->core, TURN_COUNTER_amplification_refused),
			desk->core->counters[TURN_COUNTER_error_401] - desk->replies);
		desk_close(desk);
	}
	assert_true(answered > 0 && with_algorithms > 0 && without > 0 && refused > 0);
}

// Replies of other kinds that nobody had to prove anything for.
static void test_amplification_of_other_replies(void **state)
{
	(void)state;
	struct desk *desk = desk_open("listen = 2001:db8::1\n[turn]\nauth = open\n");
	for (unsigned unknown = 0; unknown < 40; unknown++) {
		desk_request(desk, STUN_REFRESH);
		for (unsigned i = 0; i < unknown; i++)
			stun_add(&desk->builder, (uint16_t)(0x7000 + i), NULL, 0);
		assert_int_equal(desk_punt(desk), 1);
		assert_bounded(desk);
		assert_int_equal(desk->sent.flags, API_SEND_UNAUTHENTICATED);
	}
	desk_allocate(desk);
	stun_add_u32(&desk->builder, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	desk_succeed(desk);
	assert_int_equal(desk->sent.flags, API_SEND_UNAUTHENTICATED);
	assert_bounded(desk);
	desk_close(desk);
	desk = desk_open(STATIC);
	desk_allocate(desk);
	stun_add_integrity(&desk->builder, &(struct stun_key){.length = 16});
	assert_int_equal(desk_punt(desk), 1);
	assert_int_equal(desk_error(desk), 400);
	assert_bounded(desk);
	desk_close(desk);
}

static void test_fingerprint_follows_the_request(void **state)
{
	(void)state;
	struct desk *desk = desk_open(STATIC);
	desk_allocate(desk);
	stun_add_fingerprint(&desk->builder);
	assert_int_equal(desk_punt(desk), 1);
	assert_true(desk_reply(desk).has_fingerprint);
	desk_learn(desk);
	desk->name = "alice";
	desk->password = "secret";
	desk_allocate(desk);
	desk_add_credentials(desk);
	stun_add_fingerprint(&desk->builder);
	assert_int_equal(desk_punt(desk), 0);
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_true(desk_reply(desk).has_fingerprint);
	assert_true(signed_with(desk, false));
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_static_user),
		cmocka_unit_test(test_opaque_string),
		cmocka_unit_test(test_wrong_credentials),
		cmocka_unit_test(test_missing_attributes),
		cmocka_unit_test(test_attribute_appended_by_third_party),
		cmocka_unit_test(test_nonce_is_bound_to_the_source),
		cmocka_unit_test(test_nonce_expires),
		cmocka_unit_test(test_two_cores_have_different_keys),
		cmocka_unit_test(test_sha256_negotiated),
		cmocka_unit_test(test_sha256_integrity_without_negotiation),
		cmocka_unit_test(test_bid_down),
		cmocka_unit_test(test_userhash),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_rest_expiry_of_a_live_allocation),
		cmocka_unit_test(test_other_users_allocation),
		cmocka_unit_test(test_amplification),
		cmocka_unit_test(test_amplification_of_other_replies),
		cmocka_unit_test(test_fingerprint_follows_the_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
