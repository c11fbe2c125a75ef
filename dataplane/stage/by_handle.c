// SPDX-License-Identifier: BSD-3-Clause
// Data by handle (lib/wire/README.md, first byte 6): the voice fast path. The header names a line
// of table/handles.h, which has all that the packet needs; nothing is hashed and nothing written. A
// handle is bound to the transport address that it was opened from: from elsewhere the packet goes
// nowhere and is answered by a path check. On the way the handle becomes the peer's, index ^ 1.
// Owner worker.
#include "dataplane/stage/native_answer.h"
#include "dataplane/stage/relay_usual.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/own_addresses.h"

// Everything in its header: 06 00, generation, index.
static inline uint64_t header_word(const struct pass *pass, unsigned at)
{
	uint64_t word;
	memcpy(&word, pass_frame(pass, at) + pass->burst.headers[at].payload_offset, sizeof(word));
	return __builtin_bswap64(word);
}

static const uint8_t *listen_address(const struct pass *pass, unsigned server)
{
	return pass->burst.worker->addresses->listen[server & SERVER_INDEX_MASK].bytes;
}

static inline void peer_name(uint8_t *payload)
{
	payload[NATIVE_BY_HANDLE_HEADER - 1] ^= 1;
}

// family: the peer's, a constant.
static inline __attribute__((always_inline)) bool forward_usual(
	struct pass *pass, unsigned at, const struct handle_fields *line, unsigned family)
{
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	const struct relay_usual u = {
		.source = listen_address(pass, line->peer_server),
		.destination = line->peer,
		.source_port = own_server_port(pass->burst.worker->addresses, line->peer_server),
		.destination_port = line->peer_port,
		.hop = line->to_peer,
		.epoch = line->hop_epoch,
		.offset = h->payload_offset,
		.length = h->payload_length,
		.comes = line->delta,
	};
	if (!relay_usual(pass, at, family, &u))
		return false;
	peer_name(payload);
	return true;
}

// A function of its own, so that IPv4's body has the loop for itself.
static __attribute__((noinline)) bool forward_usual_ipv6(
	struct pass *pass, unsigned at, const struct handle_fields *line)
{
	return forward_usual(pass, at, line, NET_IPV6);
}

static uint32_t outgoing_checksum(struct worker *worker, const uint8_t *frame,
	const struct headers *h, unsigned family, uint16_t delta)
{
	uint16_t received, checksum;
	switch (datagram_checksum_kind(frame, h, &received)) {
	case DATAGRAM_PARTIAL:
		worker->stats.event[EVENT_checksum_completed]++;
		return DATAGRAM_COMPUTE;
	case DATAGRAM_ABSENT:
		return family == NET_IPV6 ? DATAGRAM_COMPUTE : 0;
	case DATAGRAM_WHOLE:
		break;
	}
	worker->stats.event[EVENT_checksum_incremental]++;
	checksum = checksum_update(received, 0, delta);
	return checksum ? checksum : 0xFFFF;
}

static __attribute__((noinline)) void forward_unusual(struct pass *pass, unsigned at,
	uint32_t index, uint32_t sequence, const struct handle_fields *line)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	uint16_t hop = line->to_peer;
	uint32_t epoch = line->hop_epoch;
	struct relay_path path = {
		.packet =
			{
				.source = listen_address(pass, line->peer_server),
				.destination = line->peer,
				.source_port =
					own_server_port(worker->addresses, line->peer_server),
				.destination_port = line->peer_port,
				.family = line->flags & HANDLE_PEER_IPV6 ? NET_IPV6 : NET_IPV4,
			},
		.cache = {&hop, NULL, &epoch},
		.payload_offset = h->payload_offset,
		.payload_length = h->payload_length,
	};
	header_fields_set(&path.packet, h, path.payload_length);
	bool admitted = relay_admit(pass, at, &path);
	if (hop != line->to_peer || epoch != line->hop_epoch)
		handles_hop_set(worker->handles, index, sequence, hop, epoch);
	if (!admitted)
		return;
	uint32_t checksum =
		outgoing_checksum(worker, pass_frame(pass, at), h, path.packet.family, line->delta);
	peer_name(payload);
	worker->stats.event[EVENT_by_handle_packets]++;
	worker->stats.event[EVENT_by_handle_bytes] += h->payload_length - NATIVE_BY_HANDLE_HEADER;
	relay_send(pass, pass->burst.mbufs[at], &path, checksum);
}

// Nothing that is relayed.
static __attribute__((noinline)) void refuse(
	struct pass *pass, unsigned at, uint64_t word, enum handle_verdict verdict)
{
	const struct native_handle handle = {(uint16_t)(word >> 32), (uint32_t)word};
	if (verdict == HANDLE_BUSY)
		pass_drop(pass, at, DROP_handle_busy);
	else if (verdict == HANDLE_NONE)
		pass_drop(pass, at, DROP_handle_unknown);
	else if (pass->burst.headers[at].payload_length < NATIVE_PATH_CHALLENGE_SIZE)
		pass_drop(pass, at, DROP_handle_source);
	else
		native_answer_path_challenge(pass, at, &handle, NULL);
}

// The line is being written: a bounded number of other readings.
static __attribute__((noinline)) void forward_patient(
	struct pass *pass, unsigned at, uint64_t word, const struct client_key *source)
{
	const struct native_handle handle = {(uint16_t)(word >> 32), (uint32_t)word};
	struct handle_fields line;
	uint32_t sequence;
	enum handle_verdict verdict = handles_read(
		pass->burst.worker->handles, handle, source, pass->tick, &line, &sequence);
	if (verdict == HANDLE_HERE)
		forward_unusual(pass, at, handle.index, sequence, &line);
	else
		refuse(pass, at, word, verdict);
}

// False: not a datagram with a handle; dropped.
static inline bool well_formed(struct pass *pass, unsigned at, uint64_t word)
{
	const struct headers *h = &pass->burst.headers[at];
	if (__builtin_expect((h->payload_length < NATIVE_BY_HANDLE_HEADER) |
				     (word >> 48 != (uint64_t)NATIVE_FIRST_HANDLE << 8),
		    0)) {
		pass_drop(pass, at, DROP_native_malformed);
		return false;
	}
	// RFC 8200 8.1: over IPv6 there is no UDP without a checksum.
	if (h->family == NET_IPV6 && datagram_udp_checksum(pass_frame(pass, at), h) == 0) {
		pass_drop(pass, at, DROP_bad_checksum);
		return false;
	}
	return true;
}

static inline __attribute__((always_inline)) void forward(
	struct pass *pass, unsigned at, uint64_t word, struct relay_tally *tally)
{
	const struct handles *handles = pass->burst.worker->handles;
	const struct headers *h = &pass->burst.headers[at];
	const uint32_t index = (uint32_t)word;
	struct handle_fields line;
	struct client_key source;
	uint32_t sequence;
	if (!well_formed(pass, at, word))
		return;
	native_source(&source, pass, at, h);
	if (__builtin_expect(index >= handles->count, 0)) {
		refuse(pass, at, word, HANDLE_NONE);
		return;
	}
	if (__builtin_expect(!handle_read(&handles->lines[index], &line, &sequence), 0)) {
		forward_patient(pass, at, word, &source);
		return;
	}
	enum handle_verdict verdict =
		handle_verdict(&line, (uint16_t)(word >> 32), &source, pass->tick);
	if (__builtin_expect(verdict != HANDLE_HERE, 0)) {
		refuse(pass, at, word, verdict);
		return;
	}
	unsigned bytes = h->payload_length - NATIVE_BY_HANDLE_HEADER;
	bool usual = __builtin_expect(line.flags & HANDLE_PEER_IPV6, 0)
			     ? forward_usual_ipv6(pass, at, &line)
			     : forward_usual(pass, at, &line, NET_IPV4);
	if (__builtin_expect(usual, 1)) {
		tally->packets++;
		tally->bytes += bytes;
	} else {
		forward_unusual(pass, at, index, sequence, &line);
	}
}

void stage_by_handle(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	const struct pass_list *list = &pass->by_handle;
	struct relay_tally tally = {0};
	uint64_t words[BURST_MAX];
	// A datagram shorter than its header has something else there, inside of its buffer.
	for (unsigned i = 0; i < list->count; i++) {
		words[i] = header_word(pass, list->at[i]);
		handles_prefetch(worker->handles, (uint32_t)words[i]);
	}
	for (unsigned i = 0; i < list->count; i++)
		forward(pass, list->at[i], words[i], &tally);
	relay_count(worker, &tally, EVENT_by_handle_packets, EVENT_by_handle_bytes);
}
