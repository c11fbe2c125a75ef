// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as an Ethernet frame. Held: every offset and pointer of an accepted datagram lies
// inside the frame and agrees with a second, plain reading of it; cutting an accepted datagram
// anywhere makes it truncated; padding behind it changes nothing. Frames rarely have right
// checksums by chance, so each IPv4 frame is tried a second time with its checksum put right.
#include "lib/wire/headers.h"

#include "lib/wire/checksum.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

static unsigned u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void check_datagram(const uint8_t *frame, size_t length, const struct headers *h)
{
	size_t l3 = 14 + 4u * h->vlan_count;
	size_t address = h->family == NET_IPV6 ? 16 : 4;
	const uint8_t *ip = frame + l3, *udp = frame + h->l4_offset;
	require(h->vlan_count <= 2 && h->l3_offset == l3 && h->vlan < 4096);
	require(h->payload_offset == h->l4_offset + 8u);
	require((size_t)h->payload_offset + h->payload_length <= length);
	require(h->l4_length == h->payload_length + 8u && h->l4_length == u16(udp + 4));
	require(h->source_port == u16(udp) && h->destination_port == u16(udp + 2));
	require(h->destination == h->source + address);
	if (h->family == NET_IPV4) {
		require(ip[0] == 0x45 && ip[9] == 17 && (u16(ip + 6) & 0x3FFF) == 0);
		require(h->l4_offset == l3 + 20 && u16(ip + 2) == 20u + h->l4_length);
		require(h->source == ip + 12 && h->ttl == ip[8] && h->tos == ip[1]);
		require(checksum_fold(checksum_sum(ip, 20)) == 0xFFFF);
	} else {
		require(h->family == NET_IPV6 && ip[0] >> 4 == 6 && ip[6] == 17);
		require(h->l4_offset == l3 + 40 && u16(ip + 4) == h->l4_length);
		require(h->source == ip + 8 && h->ttl == ip[7]);
		require(h->tos == (uint8_t)(ip[0] << 4 | ip[1] >> 4) && h->flow_label <= 0xFFFFF);
	}
}

// Exactly-sized copies let the sanitizer see a read behind the end.
static enum headers_verdict parse_copy(const uint8_t *frame, size_t length, struct headers *h)
{
	uint8_t *copy = malloc(length ? length : 1);
	memcpy(copy, frame, length);
	enum headers_verdict verdict = headers_parse(copy, length, h);
	if (verdict == HEADERS_UDP)
		check_datagram(copy, length, h);
	free(copy);
	return verdict;
}

static void check_frame(const uint8_t *frame, size_t length)
{
	struct headers h, other;
	enum headers_verdict verdict = parse_copy(frame, length, &h);
	require(verdict <= HEADERS_BAD_CHECKSUM);
	if (verdict == HEADERS_ICMP_ERROR)
		require(h.l4_length >= 8 && (size_t)h.l4_offset + h.l4_length <= length);
	if (verdict != HEADERS_UDP)
		return;
	size_t end = (size_t)h.payload_offset + h.payload_length;
	for (size_t cut = end > 80 ? end - 80 : 0; cut < end; cut++)
		require(parse_copy(frame, cut, &other) == HEADERS_TRUNCATED);
	require(parse_copy(frame, end, &other) == HEADERS_UDP);
	require(other.payload_offset == h.payload_offset);
	require(other.payload_length == h.payload_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[65536];
	struct headers h;
	if (size > sizeof(frame))
		return 0;
	check_frame(data, size);
	if (headers_parse(data, size, &h) != HEADERS_BAD_CHECKSUM)
		return 0;
	memcpy(frame, data, size);
	uint8_t *ip = frame + h.l3_offset;
	ip[10] = ip[11] = 0;
	uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(ip, (ip[0] & 15u) * 4u));
	memcpy(ip + 10, &sum, 2);
	require(headers_parse(frame, size, &h) != HEADERS_BAD_CHECKSUM);
	check_frame(frame, size);
	return 0;
}
