// SPDX-License-Identifier: BSD-3-Clause
// TTL, DSCP, ECN, DF and flow label of a relayed datagram: the preferred behaviours of RFC 8656
// sections 13 (translation) and 14 (UDP to UDP), which for translation are those of RFC 7915.
#pragma once

#include "dataplane/stage/datagram.h"

enum {
	// RFC 7915 5.1: a packet up to this long may be cut behind the translator, whatever the
	// IPv6 sender thinks of its path.
	HEADER_FIELDS_IPV4_CUTTABLE = 1260,
};

// Fills ttl, tos and dont_fragment of a packet whose family is set. received: the datagram that
// carried the data; payload_length: UDP payload that goes out.
// - TTL, hop limit: one less (the caller has made sure that something is left).
// - DSCP and ECN: as they came. The relay does not mark congestion; it drops at a full ring.
// - DF: IPv4 to IPv4 as it came. From IPv6, which is never cut on the way, set, except for what
//   surely fits IPv6's minimum MTU. To IPv6 there is no such bit.
static inline void header_fields_set(
	struct datagram *out, const struct headers *received, unsigned payload_length)
{
	out->ttl = (uint8_t)(received->ttl - 1);
	out->tos = received->tos;
	if (received->family == NET_IPV4)
		out->dont_fragment = received->dont_fragment;
	else
		out->dont_fragment = payload_length + HEADERS_UDP_LENGTH + HEADERS_IPV4_LENGTH >
				     HEADER_FIELDS_IPV4_CUTTABLE;
}
