// SPDX-License-Identifier: BSD-3-Clause
// Long-term credentials as a client shows them (RFC 8489 9.2.3 - 9.2.5). Whoever can alter a 401
// could take the better algorithm out of it; the nonce says that it was there, and the server
// verifies the nonce, so such a 401 is ignored.
#include "endpoint/turn/client.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

static const char cookie_word[] = "obMatJos2";

enum {
	COOKIE_WORD_LENGTH = sizeof(cookie_word) - 1,
	FEATURES_LENGTH = 4,
	// Of the first of four base64 digits: RFC 8489 18.1 counts from the most significant of 24.
	FEATURE_ALGORITHMS = 0x20,
	FEATURE_ANONYMITY = 0x10,
};

int turn_credentials_set(
	struct turn_credentials *credentials, const char *user, const char *password)
{
	size_t user_length = user ? strlen(user) : 0;
	size_t password_length = password ? strlen(password) : 0;
	if (user != NULL && (password == NULL || user_length == 0))
		return -EINVAL;
	if (user_length > TURN_CLIENT_USER_MAX || password_length > TURN_CLIENT_PASSWORD_MAX)
		return -EMSGSIZE;
	sodium_memzero(credentials, sizeof(*credentials));
	if (user == NULL)
		return 0;
	memcpy(credentials->user, user, user_length + 1);
	memcpy(credentials->password, password, password_length + 1);
	credentials->given = true;
	return 0;
}

static int digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static unsigned features_of(const struct stun_attribute *nonce)
{
	if (nonce->length < COOKIE_WORD_LENGTH + FEATURES_LENGTH ||
		memcmp(nonce->value, cookie_word, COOKIE_WORD_LENGTH) != 0)
		return 0;
	for (unsigned i = 0; i < FEATURES_LENGTH; i++)
		if (digit(nonce->value[COOKIE_WORD_LENGTH + i]) < 0)
			return 0;
	return (unsigned)digit(nonce->value[COOKIE_WORD_LENGTH]);
}

// The first of the server's list that we have: it lists them by preference. 0: none.
static unsigned choose(const struct stun_attribute *list)
{
	for (size_t at = 0; at + 4 <= list->length;) {
		const uint8_t *p = list->value + at;
		unsigned number = (unsigned)p[0] << 8 | p[1], length = (unsigned)p[2] << 8 | p[3];
		if (length == 0 && (number == STUN_PASSWORD_SHA256 || number == STUN_PASSWORD_MD5))
			return number;
		at += 4 + ((length + 3) & ~3u);
	}
	return 0;
}

static int make_key(struct turn_credentials *k)
{
	if (!k->given)
		return 0;
	stun_userhash(k->user, strlen(k->user), k->realm, k->user_hash);
	return stun_key_long_term(k->algorithm, k->user, strlen(k->user), k->realm, k->password,
		strlen(k->password), &k->key);
}

int turn_credentials_learn(struct turn_credentials *k, const struct stun_message *m)
{
	struct stun_attribute realm, nonce, list = {0};
	bool has_realm = stun_find(m, STUN_REALM, &realm);
	enum stun_password_algorithm algorithm = STUN_PASSWORD_MD5;

	if (!stun_find(m, STUN_NONCE, &nonce) || nonce.length == 0 || nonce.length > TURN_NONCE_MAX)
		return -EBADMSG;
	// A 438 may leave the realm out (it has to be there by the RFC; some do).
	if (has_realm ? realm.length == 0 || realm.length > TURN_NONCE_MAX ||
				memchr(realm.value, 0, realm.length) != NULL
		      : !k->learned)
		return -EBADMSG;
	unsigned features = features_of(&nonce);
	bool has_list = stun_find(m, STUN_PASSWORD_ALGORITHMS, &list);
	bool negotiated = (features & FEATURE_ALGORITHMS) != 0;
	if (negotiated && !has_list)
		return -EPROTO;
	if (negotiated) {
		if (list.length > TURN_ALGORITHMS_MAX)
			return -EBADMSG;
		unsigned number = choose(&list);
		if (number == 0)
			return -ENOTSUP;
		algorithm = (enum stun_password_algorithm)number;
		memcpy(k->algorithms, list.value, list.length);
		k->algorithms_size = list.length;
	}
	memcpy(k->nonce, nonce.value, nonce.length);
	k->nonce_size = nonce.length;
	k->hide_user = (features & FEATURE_ANONYMITY) != 0;
	k->negotiated = negotiated;
	bool same = k->learned && k->algorithm == algorithm &&
		    (!has_realm || (strlen(k->realm) == realm.length &&
					   memcmp(k->realm, realm.value, realm.length) == 0));
	k->learned = true;
	if (same)
		return 0;
	k->algorithm = algorithm;
	if (has_realm) {
		memcpy(k->realm, realm.value, realm.length);
		k->realm[realm.length] = 0;
	}
	return make_key(k);
}

void turn_credentials_sign(const struct turn_credentials *k, struct stun_builder *b)
{
	if (k->hide_user)
		stun_add(b, STUN_USERHASH, k->user_hash, sizeof(k->user_hash));
	else
		stun_add(b, STUN_USERNAME, k->user, strlen(k->user));
	stun_add(b, STUN_REALM, k->realm, strlen(k->realm));
	stun_add(b, STUN_NONCE, k->nonce, k->nonce_size);
	if (!k->negotiated) {
		stun_add_integrity(b, &k->key);
		return;
	}
	const uint8_t chosen[4] = {0, (uint8_t)k->algorithm, 0, 0};
	stun_add(b, STUN_PASSWORD_ALGORITHMS, k->algorithms, k->algorithms_size);
	stun_add(b, STUN_PASSWORD_ALGORITHM, chosen, sizeof(chosen));
	stun_add_integrity_sha256(b, &k->key);
}

int turn_credentials_verify(const struct turn_credentials *k, const struct stun_message *m)
{
	int result;
	if (k->negotiated || m->integrity_sha256_offset != 0)
		result = stun_verify_integrity_sha256(m, &k->key);
	else
		result = stun_verify_integrity(m, &k->key);
	return result == 0 || result == -ENOENT ? result : -EACCES;
}
