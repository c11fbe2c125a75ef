// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only)
// The guard: what is addressed to the relay but can only be malformed or unsolicited is dropped
// before it costs a copy, a wake-up or a worker's time. Behind steer_classify, for frames that are
// the relay's and have a socket to go to; XDP only, since an AF_PACKET socket has its copy of a
// frame before any program runs.
//
// Nothing is dropped here that the dataplane would not drop: tests/unit/test_steer_guard.c holds
// the two against each other. What asks for more than the frame and these maps (checksums,
// attributes, permissions) is the dataplane's to find. First bytes 4 to 8 are kept for protocols to
// come (RFC 7983, RFC 9443) and pass.
#pragma once

#include "ebpf/classify.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct steer_guard_settings);
} steer_guard SEC(".maps");

// A bit per address and port, set while an allocation has it. Workers write it through a mapping,
// without a system call.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STEER_ADDRESSES_MAX *STEER_PORT_WORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} steer_ports SEC(".maps");

struct steer_prefix4 {
	__u32 length;
	__u8 bytes[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, STEER_RULES_MAX + 1); // 6.1 wants room for a replacement
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct steer_prefix4);
	__type(value, __u8);
} steer_rules4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, STEER_RULES_MAX + 1); // 6.1 wants room for a replacement
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct steer_prefix);
	__type(value, __u8);
} steer_rules6 SEC(".maps");

// When a slot's requests so far will have been paid for (nanoseconds of the coarse clock). Prefixes
// share slots by a keyed hash; nothing here is an address, grows or has to be removed.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_BUDGETS);
	__type(key, __u32);
	__type(value, __u64);
} steer_budgets SEC(".maps");

enum {
	GUARD_STUN_FIRST_BYTE_LAST = 3,
	GUARD_RESERVED_FIRST = 4,
	GUARD_RESERVED_LAST = 8,
	GUARD_CHANNEL_FIRST_BYTE = 64,
	GUARD_STUN_HEADER = 20,
	GUARD_STUN_CLASS = 0x0110,
	GUARD_STUN_INDICATION = 0x0010,
	GUARD_STUN_BINDING_INDICATION = 0x0011,
	GUARD_STUN_SEND_INDICATION = 0x0016,
	GUARD_STUN_COOKIE = 0x2112A442,
	GUARD_SECOND = 1000000000,
};

static __always_inline bool guard_blocked(
	const struct steer_guard_settings *guard, const struct steer_address *source)
{
	const __u8 *rule = NULL;

	if (source->family == 4 && guard->rules4) {
		struct steer_prefix4 key = {.length = 32};
		__builtin_memcpy(key.bytes, source->bytes, 4);
		rule = bpf_map_lookup_elem(&steer_rules4, &key);
	} else if (source->family == 6 && guard->rules6) {
		struct steer_prefix key = {.length = 128};
		__builtin_memcpy(key.bytes, source->bytes, 16);
		rule = bpf_map_lookup_elem(&steer_rules6, &key);
	}
	return rule && *rule == STEER_RULE_BLOCK;
}

// RFC 1122 3.2.1.3, RFC 4291 2.5.5.2 and 2.7: such a source cannot be answered, or is ourselves.
static __always_inline bool guard_source_bad(const struct steer_datagram *datagram)
{
	const __u8 *bytes = datagram->source.bytes;

	if (!datagram->source_port)
		return true;
	if (datagram->source.family == 4) {
		if (bytes[0] == 0 || bytes[0] == 127 || bytes[0] >= 224)
			return true;
	} else {
		__u32 words[4];
		__builtin_memcpy(words, bytes, sizeof(words));
		if (bytes[0] == 0xff)
			return true;
		if (!words[0] && !words[1] &&
			(words[2] == bpf_htonl(0xffff) ||
				(!words[2] && (!words[3] || words[3] == bpf_htonl(1)))))
			return true;
	}
	return address_find(&datagram->source);
}

static __always_inline bool guard_allocated(const struct steer_datagram *datagram)
{
	__u32 key = datagram->address * STEER_PORT_WORDS + datagram->port / 64;
	const __u64 *word = bpf_map_lookup_elem(&steer_ports, &key);

	return word && *word >> (datagram->port & 63) & 1;
}

static __always_inline __u64 guard_rotate(__u64 x, __u32 bits)
{
	return x << bits | x >> (64 - bits);
}

#define GUARD_SIP_ROUND(v0, v1, v2, v3)                                                            \
	do {                                                                                       \
		v0 += v1;                                                                          \
		v2 += v3;                                                                          \
		v1 = guard_rotate(v1, 13) ^ v0;                                                    \
		v3 = guard_rotate(v3, 16) ^ v2;                                                    \
		v0 = guard_rotate(v0, 32);                                                         \
		v2 += v1;                                                                          \
		v0 += v3;                                                                          \
		v1 = guard_rotate(v1, 17) ^ v2;                                                    \
		v3 = guard_rotate(v3, 21) ^ v0;                                                    \
		v2 = guard_rotate(v2, 32);                                                         \
	} while (0)

// SipHash-1-3 of the source's /24 or /56 and family, as the dataplane's tables have it
// (dataplane/table/keyed_hash.h says why); another key.
static __always_inline __u32 guard_slot(
	const struct steer_guard_settings *guard, const struct steer_address *source)
{
	__u64 word = 0;
	__u64 v0 = guard->seed[0] ^ 0x736f6d6570736575u, v1 = guard->seed[1] ^ 0x646f72616e646f6du;
	__u64 v2 = guard->seed[0] ^ 0x6c7967656e657261u, v3 = guard->seed[1] ^ 0x7465646279746573u;

	__builtin_memcpy(&word, source->bytes, 8);
	word &= source->family == 4 ? 0xffffffu : 0xffffffffffffffu;
	word |= (__u64)source->family << 56;
	v3 ^= word;
	GUARD_SIP_ROUND(v0, v1, v2, v3);
	v0 ^= word;
	v3 ^= (__u64)8 << 56;
	GUARD_SIP_ROUND(v0, v1, v2, v3);
	v0 ^= (__u64)8 << 56;
	v2 ^= 0xff;
	GUARD_SIP_ROUND(v0, v1, v2, v3);
	GUARD_SIP_ROUND(v0, v1, v2, v3);
	GUARD_SIP_ROUND(v0, v1, v2, v3);
	return (__u32)(v0 ^ v1 ^ v2 ^ v3) & (STEER_BUDGETS - 1);
}

// One request of the prefix, on this CPU. A second's worth may come at once. This is the wide
// budget: who has an allocation is known to the dataplane only, which has the narrow ones.
static __always_inline bool guard_spend(
	const struct steer_guard_settings *guard, const struct steer_address *source)
{
	__u32 key = guard_slot(guard, source);
	__u64 *paid_until = bpf_map_lookup_elem(&steer_budgets, &key);
	__u64 now = bpf_ktime_get_coarse_ns() + GUARD_SECOND; // never below a second
	__u64 at = now - GUARD_SECOND;

	if (!paid_until)
		return true;
	if (*paid_until > at)
		at = *paid_until;
	at += guard->request_cost;
	if (at > now)
		return false;
	*paid_until = at;
	return true;
}

// cursor: at the message. length: of it.
static __always_inline enum steer_counter guard_stun(const struct steer_guard_settings *guard,
	struct steer_cursor *cursor, __u32 length, const struct steer_address *source)
{
	const __be16 *header = cursor_take(cursor, 8);

	if (length < GUARD_STUN_HEADER || !header)
		return STEER_DROP_STUN;
	__u16 type = bpf_ntohs(header[0]), body = bpf_ntohs(header[1]);
	if (body != length - GUARD_STUN_HEADER || body & 3 ||
		header[2] != bpf_htons(GUARD_STUN_COOKIE >> 16) ||
		header[3] != bpf_htons(GUARD_STUN_COOKIE & 0xffff))
		return STEER_DROP_STUN;
	switch (type & GUARD_STUN_CLASS) {
	case 0:
		return guard_spend(guard, source) ? STEER_TAKE_CLIENT : STEER_DROP_BUDGET;
	case GUARD_STUN_INDICATION:
		return type == GUARD_STUN_SEND_INDICATION || type == GUARD_STUN_BINDING_INDICATION
			       ? STEER_TAKE_CLIENT
			       : STEER_DROP_STUN;
	default: // a response, to whom nothing was sent
		return STEER_DROP_STUN;
	}
}

// RFC 8656 12.5: up to three bytes of padding.
static __always_inline enum steer_counter guard_channel_data(const __be16 *header, __u32 length)
{
	__u32 data = bpf_ntohs(header[1]);

	return data > length - 4 || length - 4 - data > 3 ? STEER_DROP_CHANNEL : STEER_TAKE_CLIENT;
}

static __always_inline enum steer_counter guard_client(
	const struct steer_guard_settings *guard, struct steer_datagram *datagram)
{
	struct steer_cursor cursor = datagram->payload;
	__u32 length = datagram->payload_length;
	const void *start = cursor_take(&cursor, 4);

	if (length < 4 || !start)
		return STEER_DROP_SHORT;
	__u8 first = *(const __u8 *)start;
	if (first <= GUARD_STUN_FIRST_BYTE_LAST)
		return guard_stun(guard, &datagram->payload, length, &datagram->source);
	if (first >= GUARD_RESERVED_FIRST && first <= GUARD_RESERVED_LAST)
		return STEER_TAKE_CLIENT;
	if (first >= GUARD_CHANNEL_FIRST_BYTE && first <= guard->channel_last)
		return guard_channel_data(start, length);
	return STEER_DROP_FIRST_BYTE;
}

// counter: one of STEER_TAKE_. The same, or one of STEER_DROP_. Rules are about datagrams: an ICMP
// error comes from a router on the way, and reaches a client under its permissions only.
static __always_inline enum steer_counter guard_judge(
	enum steer_counter counter, struct steer_datagram *datagram)
{
	__u32 key = 0;
	const struct steer_guard_settings *guard = bpf_map_lookup_elem(&steer_guard, &key);

	if (!guard || !guard->enabled)
		return counter;
	if (counter != STEER_TAKE_ICMP_ERROR) {
		if (guard_blocked(guard, &datagram->source))
			return STEER_DROP_BLOCKED;
		if (guard_source_bad(datagram))
			return STEER_DROP_SOURCE;
	}
	if (counter == STEER_TAKE_CLIENT)
		return guard_client(guard, datagram);
	return guard_allocated(datagram) ? counter : STEER_DROP_UNALLOCATED;
}
