// SPDX-License-Identifier: BSD-3-Clause
// Cookies and path tokens of the native protocol (lib/wire/README.md): proofs that somebody
// receives packets at a transport address, of which the relay keeps nothing. 12 bytes: `issued` (4,
// big endian), and SipHash-2-4 (8, as its reference writes it) of the holder under a key of this
// start that all workers share (native.h). Cookies and path tokens have different keys, so that one
// is never taken for the other; IPv4's and IPv6's inputs have different lengths, and SipHash hashes
// the length too.
//
// issued is a tick (table/ticks.h, 1 to 2 ms) plus a random number of this start: it tells nobody
// how long the machine is up. It orders what was issued, as a signed difference: where "strictly
// newer" decides about a replay (leases, moved handles), two that were issued within one tick
// are equal, and the later message counts as a repetition of the first: its sender asks again and
// gets a newer one. What is hashed is the whole count of ticks, of which issued are the low bits,
// so that no cookie becomes good again when they come round after 50 days or more.
//
// Cost: eight rounds for IPv4, ten for IPv6, in one chain of dependencies; those of different
// packets overlap. Any worker.
#pragma once

#include "dataplane/native.h"
#include "dataplane/table/keyed_hash_portable.h"
#include "dataplane/table/ticks.h"
#include "lib/net/address.h"
#include "lib/wire/native.h"

#include <string.h>

enum {
	// Not the future, but two cores' readings of the TSC are not one.
	COOKIE_AHEAD_TICKS = 64,
};

// Who holds it. address: 4 or 16 bytes as the family says, network order; port: host order.
struct cookie_holder {
	const uint8_t *address;
	uint16_t port;
	uint8_t family;
};

// The end of what is hashed: up to seven bytes, and how many bytes there are in all.
static inline uint64_t cookie_last(uint64_t bytes, unsigned count)
{
	return (bytes & 0xFFFFFFFFFFFFFF) | (uint64_t)count << 56;
}

// Not in line: it would take registers from IPv4's in the same loop.
static __attribute__((noinline, unused)) uint64_t cookie_hash_ipv6(const struct siphash_key *key,
	const struct cookie_holder *holder, uint64_t tick, const uint64_t *handle)
{
	uint64_t words[3];
	memcpy(words, holder->address, 16);
	words[2] = handle ? *handle : 0;
	uint64_t end = holder->port | tick << 16; // 40 bits of ticks are 50 years
	return handle ? siphash_bytes(key, words, 3, cookie_last(end, 31), 2, 4)
		      : siphash_bytes(key, words, 2, cookie_last(end, 23), 2, 4);
}

// handle: of a path token; of a cookie NULL.
static inline __attribute__((always_inline)) uint64_t cookie_hash(const uint8_t *key_bytes,
	const struct cookie_holder *holder, uint64_t tick, const uint64_t *handle)
{
	struct siphash_key key;
	memcpy(&key, key_bytes, sizeof(key));
	if (__builtin_expect(holder->family != NET_IPV4, 0))
		return cookie_hash_ipv6(&key, holder, tick, handle);
	uint32_t address;
	memcpy(&address, holder->address, 4);
	const uint64_t words[2] = {
		address | (uint64_t)holder->port << 32 | tick << 48, handle ? *handle : 0};
	return handle ? siphash_bytes(&key, words, 2, cookie_last(tick >> 16, 23), 2, 4)
		      : siphash_bytes(&key, words, 1, cookie_last(tick >> 16, 15), 2, 4);
}

static inline uint32_t cookie_issued(const uint8_t *cookie)
{
	uint32_t word;
	memcpy(&word, cookie, 4);
	return __builtin_bswap32(word);
}

// Of two that were issued by this start: whether a is newer than b.
static inline bool cookie_newer(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

// How old a cookie of so many seconds is at most, in ticks. hz: TSC frequency.
static inline uint32_t cookie_ticks(unsigned seconds, uint64_t hz)
{
	return (uint32_t)((seconds * hz) >> TICKS_SHIFT);
}

static inline void cookie_write(uint8_t out[static NATIVE_COOKIE_SIZE], uint32_t offset,
	const uint8_t *key, const struct cookie_holder *holder, uint64_t now,
	const uint64_t *handle)
{
	uint64_t tick = now >> TICKS_SHIFT, hash = cookie_hash(key, holder, tick, handle);
	uint32_t issued = __builtin_bswap32((uint32_t)tick + offset);
	memcpy(out, &issued, 4);
	memcpy(out + 4, &hash, 8);
}

static inline __attribute__((always_inline)) bool cookie_good(const uint8_t *cookie,
	uint32_t offset, const uint8_t *key, const struct cookie_holder *holder, uint64_t now,
	uint32_t oldest, const uint64_t *handle)
{
	uint64_t tick = now >> TICKS_SHIFT, have;
	// Signed: a little below 0 is ahead.
	int32_t age = (int32_t)((uint32_t)tick + offset - cookie_issued(cookie));
	uint64_t hash = cookie_hash(key, holder, tick - (uint64_t)(int64_t)age, handle);
	memcpy(&have, cookie + 4, 8);
	return (hash == have) & (age <= (int32_t)oldest) & (age >= -COOKIE_AHEAD_TICKS);
}

// ---- cookies. now: TSC; oldest: cookie_ticks ----

static inline void cookie_make(const struct native_settings *native,
	const struct cookie_holder *holder, uint64_t now, uint8_t out[static NATIVE_COOKIE_SIZE])
{
	cookie_write(out, native->tick_offset, native->cookie_key, holder, now, NULL);
}

static inline __attribute__((always_inline)) bool cookie_check(const struct native_settings *native,
	const struct cookie_holder *holder, uint64_t now, uint32_t oldest, const uint8_t *cookie)
{
	return cookie_good(
		cookie, native->tick_offset, native->cookie_key, holder, now, oldest, NULL);
}

// ---- path tokens: for one handle at one source ----

static inline uint64_t path_token_handle(const struct native_handle *handle)
{
	return handle->index | (uint64_t)handle->generation << 32;
}

static inline void path_token_make(const struct native_settings *native,
	const struct cookie_holder *holder, const struct native_handle *handle, uint64_t now,
	uint8_t out[static NATIVE_PATH_TOKEN_SIZE])
{
	uint64_t word = path_token_handle(handle);
	cookie_write(out, native->tick_offset, native->path_key, holder, now, &word);
}

static inline bool path_token_check(const struct native_settings *native,
	const struct cookie_holder *holder, const struct native_handle *handle, uint64_t now,
	uint32_t oldest, const uint8_t *token)
{
	uint64_t word = path_token_handle(handle);
	return cookie_good(
		token, native->tick_offset, native->path_key, holder, now, oldest, &word);
}
static_assert(NATIVE_PATH_TOKEN_SIZE == NATIVE_COOKIE_SIZE, "written by one function");
