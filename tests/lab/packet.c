// SPDX-License-Identifier: BSD-3-Clause
// See packet.h.
#include "tests/lab/packet.h"

#include "lib/wire/checksum.h"

#include <string.h>

enum { UDP = 17, IPV4_HEADER = 20, IPV6_HEADER = 40, UDP_HEADER = 8 };

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void store16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static bool is_ipv4(const uint8_t *packet)
{
	return packet[0] >> 4 == 4;
}

static size_t header_size(const uint8_t *packet)
{
	return is_ipv4(packet) ? (packet[0] & 15u) * 4u : IPV6_HEADER;
}

static bool is_whole_ipv4(const uint8_t *packet, size_t size)
{
	return size >= IPV4_HEADER && header_size(packet) >= IPV4_HEADER &&
	       load16(packet + 2) == size && size >= header_size(packet) + UDP_HEADER &&
	       (load16(packet + 6) & 0x3FFF) == 0 && packet[9] == UDP;
}

static bool is_whole_ipv6(const uint8_t *packet, size_t size)
{
	return size >= IPV6_HEADER + UDP_HEADER && packet[0] >> 4 == 6 &&
	       load16(packet + 4) == size - IPV6_HEADER && packet[6] == UDP;
}

bool packet_endpoints(const uint8_t *packet, size_t size, struct net_endpoint *source,
	struct net_endpoint *destination)
{
	if (size == 0)
		return false;
	if (is_ipv4(packet)) {
		if (!is_whole_ipv4(packet, size))
			return false;
		source->address = net_address_v4(packet + 12);
		destination->address = net_address_v4(packet + 16);
	} else {
		if (!is_whole_ipv6(packet, size))
			return false;
		source->address = net_address_v6(packet + 8);
		destination->address = net_address_v6(packet + 24);
	}
	const uint8_t *udp = packet + header_size(packet);
	if (load16(udp + 4) != size - header_size(packet))
		return false;
	source->port = load16(udp);
	destination->port = load16(udp + 2);
	source->reserved = destination->reserved = 0;
	return true;
}

// By difference (RFC 1624): a checksum that came in wrong must not go out right by our doing.
void packet_rewrite(uint8_t *packet, size_t size, const struct net_endpoint *source,
	const struct net_endpoint *destination)
{
	(void)size;
	bool ipv4 = is_ipv4(packet);
	size_t length = ipv4 ? 4 : 16;
	uint8_t *addresses = packet + (ipv4 ? 12 : 8), *udp = packet + header_size(packet);
	uint64_t old_addresses = checksum_sum(addresses, 2 * length);
	uint64_t old_ports = checksum_sum(udp, 4);
	memcpy(addresses, source->address.bytes, length);
	memcpy(addresses + length, destination->address.bytes, length);
	store16(udp, source->port);
	store16(udp + 2, destination->port);
	uint64_t new_addresses = checksum_sum(addresses, 2 * length);
	uint64_t new_ports = checksum_sum(udp, 4);
	uint16_t checksum;
	if (ipv4) {
		memcpy(&checksum, packet + 10, 2);
		checksum = checksum_update(checksum, old_addresses, new_addresses);
		memcpy(packet + 10, &checksum, 2);
	}
	memcpy(&checksum, udp + 6, 2);
	// RFC 768: 0 is none, and what comes out as 0 is sent as all ones.
	if (ipv4 && checksum == 0)
		return;
	checksum = checksum_update(checksum, old_addresses + old_ports, new_addresses + new_ports);
	checksum = checksum == 0 ? 0xFFFF : checksum;
	memcpy(udp + 6, &checksum, 2);
}

bool packet_forward(uint8_t *packet)
{
	uint8_t *hops = packet + (is_ipv4(packet) ? 8 : 7);
	if (*hops <= 1)
		return false;
	if (!is_ipv4(packet)) {
		(*hops)--;
		return true;
	}
	uint64_t before = checksum_sum(packet + 8, 2);
	uint16_t checksum;
	(*hops)--;
	memcpy(&checksum, packet + 10, 2);
	checksum = checksum_update(checksum, before, checksum_sum(packet + 8, 2));
	memcpy(packet + 10, &checksum, 2);
	return true;
}
