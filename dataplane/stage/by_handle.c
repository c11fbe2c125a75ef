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

// Data by handle begins with 06 00.
enum { HEADER_FIRST = NATIVE_FIRST_HANDLE << 8 };

// Everything in its header: 06 00, generation, index. A shorter datagram has something else there,
// inside of its buffer.
static inline uint64_t header_word(const struct pass *pass, unsigned at)
{
	uint64_t word;
	memcpy(&word, pass_frame(pass, at) + pass->burst.headers[at].payload_offset, sizeof(word));
	return __builtin_bswap64(word);
}

static inline bool well_formed(const struct headers *h, uint64_t word)
{
	return h->payload_length >= NATIVE_BY_HANDLE_HEADER && word >> 48 == HEADER_FIRST;
}

static const uint8_t *listen_address(const struct pass *pass, unsigned server)
{
	return pass->burst.worker->addresses->listen[server & SERVER_INDEX_MASK].bytes;
}

// word: as received. The index is the header's last number, and its last bit is whose it is.
static inline void peer_name(uint8_t *payload, uint64_t word)
{
	payload[NATIVE_BY_HANDLE_HEADER - 1] = (uint8_t)(word ^ 1);
}

static uint32_t outgoing_checksum(struct worker *worker, const uint8_t *frame,
	const struct headers *h, unsigned family, uint16_t delta)
{
	uint16_t received;
	uint32_t instead;
	if (!relay_checksum_whole(worker, frame, h, family, &received, &instead))
		return instead;
	return relay_checksum_update(received, 0, delta);
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
	peer_name(payload, index);
	worker->stats.event[EVENT_by_handle_packets]++;
	worker->stats.event[EVENT_by_handle_bytes] += h->payload_length - NATIVE_BY_HANDLE_HEADER;
	relay_send(pass, pass->burst.mbufs[at], &path, checksum);
}

// Nothing that is relayed.
static __attribute__((noinline)) void refuse(
	struct pass *pass, unsigned at, uint64_t word, enum handle_verdict verdict)
{
	const struct native_handle handle = {(uint16_t)(word >> 32), (uint32_t)word};
	switch (verdict) {
	case HANDLE_ELSEWHERE:
		if (pass->burst.headers[at].payload_length < NATIVE_PATH_CHALLENGE_SIZE)
			pass_drop(pass, at, DROP_handle_source);
		else
			native_answer_path_challenge(pass, at, &handle, NULL);
		return;
	case HANDLE_BUSY:
		pass_drop(pass, at, DROP_handle_busy);
		return;
	default:
		if (!native_answer_closed(pass, at, handle))
			pass_drop(pass, at, DROP_handle_unknown);
	}
}

// Whatever is not usual: everything is asked once more, with patience for a line that is being
// written.
static __attribute__((noinline)) void forward_patient(struct pass *pass, unsigned at, uint64_t word)
{
	const struct headers *h = &pass->burst.headers[at];
	const struct native_handle handle = {(uint16_t)(word >> 32), (uint32_t)word};
	struct handle_fields line;
	struct client_key source;
	uint32_t sequence;
	if (!well_formed(h, word)) {
		pass_drop(pass, at, DROP_native_malformed);
		return;
	}
	native_source(&source, pass, at, h);
	enum handle_verdict verdict = handles_read(
		pass->burst.worker->handles, handle, &source, pass->tick, &line, &sequence);
	if (verdict == HANDLE_HERE)
		forward_unusual(pass, at, handle.index, sequence, &line);
	else
		refuse(pass, at, word, verdict);
}

// A line in the words that the usual way needs of it. As words they stay in registers, between the
// two readings of the sequence and after.
struct line_words {
	uint64_t names;     // sequence 32, generation 16, server 8, peer's server 8, from below
	uint64_t ports;     // client's 16, peer's 16, deadline 32
	uint64_t way;       // hop_epoch 32, to_peer 16, delta 16
	uint64_t peer[2];   // of IPv4 half of the first
	uint64_t different; // 0: it is whole, and its client is where the packet came from
	uint8_t flags;
};
#define LINE_OFFSET(member)                                                                        \
	(offsetof(struct handle, fields) + offsetof(struct handle_fields, member))
static_assert(LINE_OFFSET(generation) == 4 && LINE_OFFSET(server) == 6 &&
		      LINE_OFFSET(peer_server) == 7 && LINE_OFFSET(client_port) == 24 &&
		      LINE_OFFSET(peer_port) == 26 && LINE_OFFSET(deadline) == 28 &&
		      LINE_OFFSET(hop_epoch) == 48 && LINE_OFFSET(to_peer) == 52 &&
		      LINE_OFFSET(delta) == 54,
	"the words of struct line_words");

static inline uint64_t word_at(const uint8_t *p)
{
	uint64_t word;
	memcpy(&word, p, sizeof(word));
	return word;
}

// from, to: families, constants.
static inline __attribute__((always_inline)) void line_read(const struct handle *line,
	const uint8_t *source, unsigned from, unsigned to, struct line_words *out)
{
	const uint8_t *p = (const uint8_t *)line;
	uint32_t before = atomic_load_explicit(&line->sequence, memory_order_acquire);
	out->names = word_at(p);
	out->ports = word_at(p + LINE_OFFSET(client_port));
	out->way = word_at(p + LINE_OFFSET(hop_epoch));
	out->different = from == NET_IPV4 ? relay_load32(source) : word_at(source);
	out->different ^= word_at(line->fields.client);
	uint64_t rest = word_at(line->fields.client + 8);
	out->different |= from == NET_IPV4 ? rest : rest ^ word_at(source + 8);
	out->peer[0] =
		to == NET_IPV4 ? relay_load32(line->fields.peer) : word_at(line->fields.peer);
	out->peer[1] = to == NET_IPV4 ? 0 : word_at(line->fields.peer + 8);
	out->flags = line->fields.flags;
	atomic_thread_fence(memory_order_acquire);
	uint32_t after = atomic_load_explicit(&line->sequence, memory_order_relaxed);
	out->different |= (before ^ after) | (before & 1);
}

// from, to: families, constants. True: relayed. False: nothing has changed.
static inline __attribute__((always_inline)) bool forward_usual(
	struct pass *pass, unsigned at, uint64_t word, unsigned from, unsigned to)
{
	const struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	uint8_t *payload = pass_frame(pass, at) + h->payload_offset;
	struct line_words line;
	if (!well_formed(h, word) || (uint32_t)word >= worker->handles->count)
		return false;
	line_read(&worker->handles->lines[(uint32_t)word], h->source, from, to, &line);
	// As handle_verdict, as differences. A line that is not live has zeros for a client, which
	// no source is (source.h).
	const uint32_t names = (uint16_t)(word >> 32) | (uint32_t)pass->server[at] << 16;
	line.different |= ((line.names >> 32) ^ names) & 0xFFFFFF;
	line.different |= (uint16_t)line.ports ^ (uint32_t)h->source_port;
	line.different |=
		(line.flags & HANDLE_PEER_IPV6) ^ (to == NET_IPV6 ? HANDLE_PEER_IPV6 : 0u);
	if (__builtin_expect(
		    line.different != 0 || ticks_passed((uint32_t)(line.ports >> 32), pass->tick),
		    0))
		return false;
	const unsigned peer_server = (unsigned)(line.names >> 56);
	const struct relay_usual u = {
		.source = listen_address(pass, peer_server),
		.destination = (const uint8_t *)line.peer,
		.source_port = own_server_port(worker->addresses, peer_server),
		.destination_port = (uint16_t)(line.ports >> 16),
		.hop = (uint16_t)(line.way >> 32),
		.epoch = (uint32_t)line.way,
		.offset = h->payload_offset,
		.length = h->payload_length,
		.comes = line.way >> 48,
	};
	if (!relay_usual(pass, at, to, &u))
		return false;
	peer_name(payload, word);
	return true;
}

// Functions of their own, so that the usual of the usual has the loop for itself.
static __attribute__((noinline)) bool forward_4_to_6(struct pass *pass, unsigned at, uint64_t word)
{
	return forward_usual(pass, at, word, NET_IPV4, NET_IPV6);
}

static __attribute__((noinline)) bool forward_6_to_6(struct pass *pass, unsigned at, uint64_t word)
{
	return forward_usual(pass, at, word, NET_IPV6, NET_IPV6);
}

static __attribute__((noinline)) bool forward_6_to_4(struct pass *pass, unsigned at, uint64_t word)
{
	return forward_usual(pass, at, word, NET_IPV6, NET_IPV4);
}

static inline __attribute__((always_inline)) void forward(
	struct pass *pass, unsigned at, uint64_t word, struct relay_tally *tally)
{
	const struct headers *h = &pass->burst.headers[at];
	const unsigned bytes = h->payload_length - (unsigned)NATIVE_BY_HANDLE_HEADER;
	bool usual = __builtin_expect(h->family == NET_IPV4, 1)
			     ? forward_usual(pass, at, word, NET_IPV4, NET_IPV4) ||
				       forward_4_to_6(pass, at, word)
			     : forward_6_to_6(pass, at, word) || forward_6_to_4(pass, at, word);
	if (__builtin_expect(usual, 1)) {
		tally->packets++;
		tally->bytes += bytes;
	} else {
		forward_patient(pass, at, word);
	}
}

void stage_by_handle(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	const struct pass_list *list = &pass->native[PASS_BY_HANDLE];
	const unsigned count = list->count;
	struct relay_tally tally = {0};
	for (unsigned i = 0; i < count; i++)
		forward(pass, list->at[i], header_word(pass, list->at[i]), &tally);
	relay_count(worker, &tally, EVENT_by_handle_packets, EVENT_by_handle_bytes);
}
