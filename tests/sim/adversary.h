// SPDX-License-Identifier: BSD-3-Clause
// Somebody who sees datagrams on all ways and sends what he likes with whatever source: what he has
// seen, again, at once, later, after restarts, from where it came, from another's place or from his
// own; what he has altered; what he makes up; and much of it.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void adversary_open(uint64_t seed);
void adversary_close(void);
// Goes to work every now and then; 0: not any more.
void adversary_work(uint64_t every_us);
// A datagram on its way.
void adversary_see(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size, bool to_relay);
