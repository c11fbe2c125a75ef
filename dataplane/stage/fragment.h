// SPDX-License-Identifier: BSD-3-Clause
// Cutting an IPv4 packet for a small MTU (RFC 791 2.3).
#pragma once

#include <errno.h>
#include <stdint.h>

struct rte_mbuf;
struct rte_mempool;

enum { FRAGMENTS_MAX = 64 };

// mbuf: one segment, data begins at an IPv4 header without options and without DF. mtu: bytes of IP
// packet. Writes up to FRAGMENTS_MAX new mbufs of `pool` with right headers and checksums, frees
// the packet, returns how many. On -EINVAL (MTU too small or too many fragments) and -ENOMEM the
// packet stays the caller's. Copies: a port of a virtual kind may not send chains.
int fragment_ipv4(
	struct rte_mbuf *mbuf, unsigned mtu, struct rte_mempool *pool, struct rte_mbuf **out);
