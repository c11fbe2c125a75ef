// SPDX-License-Identifier: BSD-3-Clause
// Cookies and path tokens of the native protocol (lib/wire/README.md): proofs that somebody
// receives packets at a transport address, of which the relay keeps nothing. 12 bytes: `issued` (4,
// big endian), and SipHash-2-4 (8, as its reference writes it) of the holder under a random key of
// this start that all workers share. Cookies and path tokens have different keys, so that one is
// never taken for the other, and IPv4's and IPv6's inputs different lengths, which SipHash hashes
// with them.
//
// issued is a tick (table/ticks.h, 1 to 2 ms) plus a random number of this start: it tells nobody
// how long the machine is up. It orders what was issued, as a signed difference: where "strictly
// newer" decides about a replay (leases, moved handles), two that were issued within one tick
// are equal and the later message counts as a repetition of the first: its sender asks again and
// gets a newer one. What is hashed is the whole count of ticks, of which issued are the low bits,
// so that no cookie becomes good again when they come round after 50 days or more.
//
// Cost: ten rounds for IPv4, twelve for IPv6, of one dependency chain; those of different packets
// overlap. Read-only after cookies_open, any worker.
#pragma once

#include "dataplane/table/keyed_hash_portable.h"
#include "dataplane/table/ticks.h"
#include "lib/net/address.h"
#include "lib/wire/native.h"

#include <string.h>

struct cookies {
	struct siphash_key cookie, token;
	uint32_t offset;
	// Ages in ticks.
	uint32_t control_age, data_age, token_age;
	// Not the future, but two workers' readings of the TSC are not one.
	uint32_t ahead;
};

// Random keys. hz: TSC frequency.
void cookies_open(struct cookies *cookies, uint64_t hz);

// Who holds it. address: 4 or 16 bytes as the family says, network order; port: host order.
struct cookie_holder {
	const uint8_t *address;
	uint16_t port;
	uint8_t family;
};

static inline __attribute__((always_inline)) uint64_t cookie_hash(const struct siphash_key *key,
	const struct cookie_holder *holder, uint64_t tick, const uint64_t *handle)
{
	uint64_t words[4] = {0, 0, 0, 0};
	if (__builtin_expect(holder->family == NET_IPV4, 1)) {
		uint32_t address;
		memcpy(&address, holder->address, 4);
		words[0] = address | (uint64_t)holder->port << 32;
		words[1] = tick;
		words[2] = handle ? *handle : 0;
		return siphash_rounds(key, words, handle ? 3 : 2, 2, 4);
	}
	memcpy(words, holder->address, 16);
	words[2] = holder->port | tick << 16; // 48 bits of ticks are 9,000 years
	words[3] = handle ? *handle : 0;
	return siphash_rounds(key, words, handle ? 4 : 3, 2, 4);
}

static inline uint32_t cookie_issued(const uint8_t *cookie)
{
	uint32_t word;
	memcpy(&word, cookie, 4);
	return __builtin_bswap32(word);
}

static inline void cookie_write(uint8_t out[static NATIVE_COOKIE_SIZE],
	const struct cookies *cookies, const struct siphash_key *key,
	const struct cookie_holder *holder, uint64_t now, const uint64_t *handle)
{
	uint64_t tick = now >> TICKS_SHIFT, hash = cookie_hash(key, holder, tick, handle);
	uint32_t issued = __builtin_bswap32((uint32_t)tick + cookies->offset);
	memcpy(out, &issued, 4);
	memcpy(out + 4, &hash, 8);
}

static inline __attribute__((always_inline)) bool cookie_good(const uint8_t *cookie,
	const struct cookies *cookies, const struct siphash_key *key,
	const struct cookie_holder *holder, uint64_t now, uint32_t most, const uint64_t *handle)
{
	uint64_t at = now >> TICKS_SHIFT, have;
	// Signed: a little below 0 is ahead.
	int32_t age = (int32_t)((uint32_t)at + cookies->offset - cookie_issued(cookie));
	uint64_t hash = cookie_hash(key, holder, at - (uint64_t)(int64_t)age, handle);
	memcpy(&have, cookie + 4, 8);
	// No early end: both are asked of every packet, and time tells nothing of the hash.
	return (hash == have) & (age <= (int32_t)most) & (age >= -(int32_t)cookies->ahead);
}

// ---- cookies. now: TSC. age: cookies->control_age or data_age ----

static inline void cookie_make(const struct cookies *cookies, const struct cookie_holder *holder,
	uint64_t now, uint8_t out[static NATIVE_COOKIE_SIZE])
{
	cookie_write(out, cookies, &cookies->cookie, holder, now, NULL);
}

static inline bool cookie_check(const struct cookies *cookies, const struct cookie_holder *holder,
	uint64_t now, uint32_t age, const uint8_t *cookie)
{
	return cookie_good(cookie, cookies, &cookies->cookie, holder, now, age, NULL);
}

// ---- path tokens: for one handle at one source ----

static inline uint64_t path_token_handle(const struct native_handle *handle)
{
	return handle->index | (uint64_t)handle->generation << 32;
}

static inline void path_token_make(const struct cookies *cookies,
	const struct cookie_holder *holder, const struct native_handle *handle, uint64_t now,
	uint8_t out[static NATIVE_PATH_TOKEN_SIZE])
{
	uint64_t word = path_token_handle(handle);
	cookie_write(out, cookies, &cookies->token, holder, now, &word);
}

static inline bool path_token_check(const struct cookies *cookies,
	const struct cookie_holder *holder, const struct native_handle *handle, uint64_t now,
	const uint8_t *token)
{
	uint64_t word = path_token_handle(handle);
	return cookie_good(token, cookies, &cookies->token, holder, now, cookies->token_age, &word);
}
static_assert(NATIVE_PATH_TOKEN_SIZE == NATIVE_COOKIE_SIZE, "written by one function");

// Of two that were issued by this start: whether a is newer than b.
static inline bool cookie_newer(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}
