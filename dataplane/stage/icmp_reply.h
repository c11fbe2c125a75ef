// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors that the relay itself sends about a datagram it could not relay: too big (RFC 1191,
// RFC 4443 3.2) and hop limit exceeded (RFC 792, RFC 4443 3.3), as RFC 8656 section 13 asks.
#pragma once

#include "dataplane/stage/pass.h"

enum icmp_reply {
	ICMP_REPLY_TOO_BIG,
	ICMP_REPLY_HOP_LIMIT,
};

// About packet `at` of the burst, which stays as it is and stays the caller's. mtu: bytes of IP
// packet the sender may send (too big only). Quietly sends nothing when the source's budget is
// spent, the source is ourselves, or no buffer is free.
void icmp_reply_send(struct pass *pass, unsigned at, enum icmp_reply kind, unsigned mtu);
