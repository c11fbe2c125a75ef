// SPDX-License-Identifier: BSD-3-Clause
// RFC 8489 9.2.4, step by step; see authentication.h.
#include "controlplane/turn/authentication.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

// Name and password as clients send and use them: prepared with OpaqueString (RFC
// 8489 14.3, 9.2.2).
struct authentication_user {
	struct config_user user;
	size_t name_length;
	uint8_t hash[STUN_USERHASH_LENGTH];
	struct stun_key md5, sha256; // made once; empty, so never right, where GnuTLS refuses
};

// Each entry: algorithm, length of parameters (0). RFC 8489 18.5.
const uint8_t authentication_algorithms[8] = {
	0, STUN_PASSWORD_SHA256, 0, 0, 0, STUN_PASSWORD_MD5, 0, 0};

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
	return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_name(const void *a, const void *b)
{
	const struct authentication_user *left = a, *right = b;
	return compare_names(
		left->user.name, left->name_length, right->user.name, right->name_length);
}

// OpaqueString (RFC 8265 4.2) of a configured value. What that profile refuses, or what grows out
// of its room, stays as it was written: only a client that sends the same bytes can use it.
static void prepare(const char *text, char *out, size_t size)
{
	gnutls_datum_t prepared = {0};
	int error = gnutls_utf8_password_normalize(
		(const unsigned char *)text, (unsigned)strlen(text), &prepared, 0);
	const char *from = error == 0 && prepared.size < size ? (const char *)prepared.data : text;
	size_t length = strnlen(from, size - 1);
	memcpy(out, from, length);
	out[length] = 0;
	if (error == 0) {
		sodium_memzero(prepared.data, prepared.size);
		gnutls_free(prepared.data);
	}
}

static void make_keys(struct authentication_user *entry, const char *realm)
{
	const char *password = entry->user.password;
	stun_key_long_term(STUN_PASSWORD_MD5, entry->user.name, entry->name_length, realm, password,
		strlen(password), &entry->md5);
	stun_key_long_term(STUN_PASSWORD_SHA256, entry->user.name, entry->name_length, realm,
		password, strlen(password), &entry->sha256);
}

int authentication_init(struct authentication *authentication, const struct config *config)
{
	*authentication = (struct authentication){.config = config};
	nonce_keys_init(&authentication->nonces);
	if ((config->turn.auth & CONFIG_AUTH_STATIC) == 0 || config->turn.user_count == 0)
		return 0;
	authentication->users = calloc(config->turn.user_count, sizeof(*authentication->users));
	if (authentication->users == NULL)
		return -ENOMEM;
	authentication->user_count = config->turn.user_count;
	for (unsigned i = 0; i < config->turn.user_count; i++) {
		struct authentication_user *entry = &authentication->users[i];
		prepare(config->turn.users[i].name, entry->user.name, sizeof(entry->user.name));
		prepare(config->turn.users[i].password, entry->user.password,
			sizeof(entry->user.password));
		entry->name_length = strlen(entry->user.name);
		stun_userhash(
			entry->user.name, entry->name_length, config->turn.realm, entry->hash);
		make_keys(entry, config->turn.realm);
	}
	qsort(authentication->users, authentication->user_count, sizeof(*authentication->users),
		by_name);
	return 0;
}

void authentication_free(struct authentication *authentication)
{
	if (authentication->users != NULL)
		sodium_memzero(authentication->users,
			authentication->user_count * sizeof(*authentication->users));
	free(authentication->users);
	nonce_keys_wipe(&authentication->nonces);
	authentication->users = NULL;
	authentication->user_count = 0;
}

uint32_t authentication_features(const struct authentication *authentication, bool algorithms)
{
	uint32_t features = algorithms ? NONCE_PASSWORD_ALGORITHMS : 0;
	if (authentication->user_count > 0 &&
		(authentication->config->turn.auth & (CONFIG_AUTH_REST | CONFIG_AUTH_TOKEN)) == 0)
		features |= NONCE_USERNAME_ANONYMITY;
	return features;
}

static const struct authentication_user *user_by_name(
	const struct authentication *authentication, const char *name, size_t length)
{
	unsigned low = 0, high = authentication->user_count;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		const struct authentication_user *entry = &authentication->users[middle];
		int order = compare_names(name, length, entry->user.name, entry->name_length);
		if (order == 0)
			return entry;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static const struct authentication_user *user_by_hash(const struct authentication *authentication,
	const uint8_t hash[static STUN_USERHASH_LENGTH])
{
	for (unsigned i = 0; i < authentication->user_count; i++) {
		if (memcmp(authentication->users[i].hash, hash, STUN_USERHASH_LENGTH) == 0)
			return &authentication->users[i];
	}
	return NULL;
}

// The "password algorithms" checks of 9.2.4. 0, and the algorithm for the key, or -EBADMSG.
// *negotiated: the request named one.
static int choose_algorithm(const struct stun_message *m, uint32_t features,
	enum stun_password_algorithm *algorithm, bool *negotiated)
{
	struct stun_attribute list, chosen;
	bool has_list = stun_find(m, STUN_PASSWORD_ALGORITHMS, &list);
	bool has_chosen = stun_find(m, STUN_PASSWORD_ALGORITHM, &chosen);
	*algorithm = STUN_PASSWORD_MD5;
	*negotiated = false;
	if (!has_chosen && (!has_list || (features & NONCE_PASSWORD_ALGORITHMS) == 0))
		return 0;
	// An algorithm is chosen from the list that came with the nonce. A nonce without the
	// feature came without a list, so there was nothing to choose from.
	if ((features & NONCE_PASSWORD_ALGORITHMS) == 0 || !has_list || !has_chosen)
		return -EBADMSG;
	if (list.length != sizeof(authentication_algorithms) ||
		memcmp(list.value, authentication_algorithms, list.length) != 0)
		return -EBADMSG;
	if (chosen.length != 4 || chosen.value[2] != 0 || chosen.value[3] != 0)
		return -EBADMSG;
	unsigned number = (unsigned)chosen.value[0] << 8 | chosen.value[1];
	if (number != STUN_PASSWORD_SHA256 && number != STUN_PASSWORD_MD5)
		return -EBADMSG;
	*algorithm = (enum stun_password_algorithm)number;
	*negotiated = true;
	return 0;
}

// "expiry[:id]": decimal UNIX seconds. False when it does not begin like that.
static bool rest_expiry(const char *name, size_t length, uint64_t *expiry)
{
	uint64_t value = 0;
	size_t i = 0;
	for (; i < length && name[i] >= '0' && name[i] <= '9'; i++) {
		if (i >= 18)
			return false;
		value = value * 10 + (uint64_t)(name[i] - '0');
	}
	*expiry = value;
	return i > 0 && (i == length || name[i] == ':');
}

// SHA-256 is checked where both are present (9.2.4).
static bool integrity_holds(const struct stun_message *m, const struct stun_key *key)
{
	if (m->integrity_sha256_offset != 0)
		return stun_verify_integrity_sha256(m, key) == 0;
	return stun_verify_integrity(m, key) == 0;
}

struct attempt {
	const struct stun_message *message;
	const char *realm;
	enum stun_password_algorithm algorithm;
	const char *name;
	size_t name_length;
};

static bool try_password(const struct attempt *attempt, const char *password, struct stun_key *key)
{
	if (stun_key_long_term(attempt->algorithm, attempt->name, attempt->name_length,
		    attempt->realm, password, strlen(password), key) != 0)
		return false;
	if (integrity_holds(attempt->message, key))
		return true;
	stun_key_wipe(key);
	return false;
}

static bool try_rest(
	const struct config *config, const struct attempt *attempt, struct stun_key *key)
{
	bool found = false;
	for (unsigned i = 0; i < config->turn.secret_count && !found; i++) {
		char password[29];
		stun_rest_password(
			config->turn.secrets[i], attempt->name, attempt->name_length, password);
		found = try_password(attempt, password, key);
		sodium_memzero(password, sizeof(password));
	}
	return found;
}

// The key of a token's user; false with result->error told otherwise.
static bool token_user_key(const struct authentication_input *input,
	struct authentication_result *result, uint8_t key[static TOKEN_KEY_SIZE])
{
	struct authentication_tokens *tokens = input->tokens;
	const struct turn_tokens *checks = &tokens->output->tokens;
	// A key that is retired goes on serving what was bought with it.
	bool retired = input->own_allocation;
	if (!checks->known(tokens->output->context, result->key_id, retired))
		return false;
	if (token_keys_find(&tokens->keys, result->key_id, result->nonce, key))
		return true;
	if (!token_keys_ration(&tokens->keys, retired, input->prefix_tag, input->now_ms)) {
		result->error = AUTHENTICATION_LATER;
		return false;
	}
	result->evaluated = true;
	return checks->key(tokens->output->context, result->key_id, result->nonce, retired, key) ==
	       0;
}

static bool identify_token(const struct authentication_input *input, const struct attempt *attempt,
	struct authentication_result *result)
{
	uint8_t key[TOKEN_KEY_SIZE];
	char password[TOKEN_PASSWORD_LENGTH + 1];
	bool holds = false;
	if (token_user_key(input, result, key)) {
		token_password(password, key);
		holds = try_password(attempt, password, &result->key);
		if (holds)
			token_keys_keep(&input->tokens->keys, result->key_id, result->nonce, key);
	}
	sodium_memzero(key, sizeof(key));
	sodium_memzero(password, sizeof(password));
	result->by_token = holds;
	return holds;
}

// Finds whose the request is and whether the integrity holds under their password. fresh: the nonce
// is good.
static bool identify(const struct authentication *authentication,
	const struct authentication_input *input, bool fresh, struct attempt *attempt,
	struct authentication_result *result)
{
	const struct config *config = authentication->config;
	const struct authentication_user *user = NULL;
	struct stun_attribute a;
	if (stun_find(input->message, STUN_USERNAME, &a)) {
		attempt->name = (const char *)a.value;
		attempt->name_length = a.length;
		user = user_by_name(authentication, attempt->name, attempt->name_length);
	} else if (stun_find(input->message, STUN_USERHASH, &a)) {
		if (a.length != STUN_USERHASH_LENGTH)
			return false;
		user = user_by_hash(authentication, a.value);
		if (user == NULL)
			return false;
	}
	if (user != NULL) {
		attempt->name = user->user.name;
		attempt->name_length = user->name_length;
		const struct stun_key *key =
			attempt->algorithm == STUN_PASSWORD_MD5 ? &user->md5 : &user->sha256;
		if (!integrity_holds(attempt->message, key))
			return false;
		result->key = *key;
		return true;
	}
	if ((config->turn.auth & CONFIG_AUTH_TOKEN) != 0 && input->tokens->output->tokens.key &&
		token_username_parse(
			attempt->name, attempt->name_length, &result->key_id, result->nonce) == 0) {
		if (fresh)
			return identify_token(input, attempt, result);
		result->error = 438;
		return false;
	}
	uint64_t expiry;
	if ((config->turn.auth & CONFIG_AUTH_REST) == 0 ||
		!rest_expiry(attempt->name, attempt->name_length, &expiry) ||
		!try_rest(config, attempt, &result->key))
		return false;
	result->expired = expiry <= input->wall_s;
	return true;
}

void authentication_check(const struct authentication *authentication,
	const struct authentication_input *input, struct authentication_result *result)
{
	const struct stun_message *m = input->message;
	struct stun_attribute name, realm, nonce;
	*result = (struct authentication_result){.error = 401};
	if (m->integrity_offset == 0 && m->integrity_sha256_offset == 0)
		return;
	if ((!stun_find(m, STUN_USERNAME, &name) && !stun_find(m, STUN_USERHASH, &name)) ||
		!stun_find(m, STUN_REALM, &realm) || !stun_find(m, STUN_NONCE, &nonce)) {
		result->error = 400;
		return;
	}
	struct attempt attempt = {.message = m, .realm = authentication->config->turn.realm};
	bool negotiated;
	if (choose_algorithm(m, nonce_features(nonce.value, nonce.length), &attempt.algorithm,
		    &negotiated) != 0) {
		result->error = 400;
		return;
	}
	bool fresh = nonce_valid(&authentication->nonces, nonce.value, nonce.length, input->client,
		input->server, input->now_ms);
	if (!identify(authentication, input, fresh, &attempt, result))
		return;
	result->name = attempt.name;
	result->name_length = attempt.name_length;
	// 9.2.4, last paragraph: SHA-256 once an algorithm was negotiated, else as the request.
	result->integrity = negotiated || m->integrity_offset == 0 ? AUTHENTICATION_SHA256
								   : AUTHENTICATION_SHA1;
	if (!fresh) {
		result->error = 438;
		return;
	}
	result->error = 0;
}
