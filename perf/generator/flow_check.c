// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/flow_check.h"

#include "lib/wire/channel_data.h"
#include "lib/wire/checksum.h"
#include "lib/wire/stun.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static bool checksum_right(const uint8_t *frame, const struct headers *h)
{
	uint16_t stored;
	memcpy(&stored, frame + h->l4_offset + 6, 2);
	if (stored == 0)
		return true;
	uint64_t sum = checksum_sum(h->source, 4) + checksum_sum(h->destination, 4) +
		       htons(IPPROTO_UDP) + htons(h->l4_length) +
		       checksum_sum(frame + h->l4_offset, h->l4_length);
	return checksum_fold(sum) == 0xFFFF;
}

static bool parse(const uint8_t *frame, size_t length, struct headers *h,
	struct net_endpoint *source, struct net_endpoint *destination)
{
	if (headers_parse(frame, length, h) != HEADERS_UDP || h->family != NET_IPV4 ||
		!checksum_right(frame, h))
		return false;
	*source =
		(struct net_endpoint){.address = net_address_v4(h->source), .port = h->source_port};
	*destination = (struct net_endpoint){
		.address = net_address_v4(h->destination), .port = h->destination_port};
	return true;
}

// Stamp, then zeros.
static bool payload_right(const uint8_t *payload, size_t length)
{
	if (length < sizeof(struct flow_stamp) ||
		memcmp(payload, &flow_mark, sizeof(flow_mark)) != 0)
		return false;
	for (size_t i = sizeof(struct flow_stamp); i < length; i++)
		if (payload[i])
			return false;
	return true;
}

bool flow_check_relayed(const struct turn_calls *calls, const uint8_t *frame, size_t length)
{
	struct headers h;
	struct net_endpoint source, destination;
	struct channel_data data;
	unsigned channel;
	if (!parse(frame, length, &h, &source, &destination) ||
		memcmp(frame, calls->path.own_mac, 6) != 0)
		return false;
	const uint8_t *payload = frame + h.payload_offset;
	int call = turn_calls_find_peer(calls, &destination, &channel);
	if (call >= 0)
		return net_endpoint_equal(&source, &calls->calls[call].relayed) &&
		       payload_right(payload, h.payload_length);
	call = turn_calls_find_client(calls, &destination);
	return call >= 0 && net_endpoint_equal(&source, &calls->server) &&
	       channel_data_parse(payload, h.payload_length, CHANNEL_NUMBER_LAST, &data) == 0 &&
	       data.channel >= TURN_CALLS_CHANNEL &&
	       data.channel - TURN_CALLS_CHANNEL < (int)calls->channels &&
	       payload_right(data.payload, data.length);
}

bool flow_check_binding(const struct net_endpoint *server, const uint8_t *frame, size_t length)
{
	struct headers h;
	struct net_endpoint source, destination, mapped;
	struct stun_message m;
	struct stun_attribute a;
	return parse(frame, length, &h, &source, &destination) &&
	       net_endpoint_equal(&source, server) &&
	       stun_parse(frame + h.payload_offset, h.payload_length, &m) == 0 &&
	       m.method == STUN_BINDING && m.class == STUN_SUCCESS &&
	       stun_find(&m, STUN_XOR_MAPPED_ADDRESS, &a) &&
	       stun_read_xor_address(&m, &a, &mapped) == 0 &&
	       net_endpoint_equal(&mapped, &destination);
}
