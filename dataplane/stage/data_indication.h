// SPDX-License-Identifier: BSD-3-Clause
// Data indications (RFC 8656 11.3, 11.5): the STUN header and attributes before a peer's bytes.
#pragma once

#include "lib/net/address.h"

#include <stdint.h>

enum {
	DATA_INDICATION_PREFIX_MAX = 20 + 24 + 4, // header, XOR-PEER-ADDRESS over IPv6, DATA's head
	DATA_INDICATION_ICMP_MAX = 20 + 24 + 12,
};

// Writes what comes before `length` bytes of application data, whose padding the caller adds.
// Returns the prefix's length, a multiple of 4.
unsigned data_indication_prefix(uint8_t out[static DATA_INDICATION_PREFIX_MAX],
	const uint8_t transaction[static 12], const struct net_endpoint *peer, unsigned length);

// A whole Data indication with an ICMP attribute (18.13). Returns its length.
unsigned data_indication_icmp(uint8_t out[static DATA_INDICATION_ICMP_MAX],
	const uint8_t transaction[static 12], const struct net_endpoint *peer, uint8_t type,
	uint8_t code, uint32_t error_data);
