// SPDX-License-Identifier: BSD-3-Clause
// Writing Data indications with lib/wire's builder, see data_indication.h. Pure functions.
#include "dataplane/stage/data_indication.h"

#include "lib/wire/stun.h"

static void write_u16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

unsigned data_indication_prefix(uint8_t out[static DATA_INDICATION_PREFIX_MAX],
	const uint8_t transaction[static 12], const struct net_endpoint *peer, unsigned length)
{
	struct stun_builder b = stun_begin(
		out, DATA_INDICATION_PREFIX_MAX, STUN_DATA, STUN_INDICATION, transaction);
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, peer);
	stun_add(&b, STUN_DATA_ATTRIBUTE, NULL, 0);
	unsigned prefix = (unsigned)stun_finish(&b);
	// The builder knows nothing of bytes that follow: both lengths grow by them.
	write_u16(out + prefix - 2, length);
	write_u16(out + 2, prefix - STUN_HEADER_LENGTH + ((length + 3) & ~3u));
	return prefix;
}

unsigned data_indication_icmp(uint8_t out[static DATA_INDICATION_ICMP_MAX],
	const uint8_t transaction[static 12], const struct net_endpoint *peer, uint8_t type,
	uint8_t code, uint32_t error_data)
{
	uint8_t value[8];
	write_u16(value, 0);
	// 7 bits of type, 9 of code.
	write_u16(value + 2, (type & 0x7Fu) << 9 | code);
	write_u16(value + 4, error_data >> 16);
	write_u16(value + 6, error_data & 0xFFFF);
	struct stun_builder b =
		stun_begin(out, DATA_INDICATION_ICMP_MAX, STUN_DATA, STUN_INDICATION, transaction);
	stun_add_xor_address(&b, STUN_XOR_PEER_ADDRESS, peer);
	stun_add(&b, STUN_ICMP, value, sizeof(value));
	return (unsigned)stun_finish(&b);
}
