// SPDX-License-Identifier: BSD-3-Clause
// Data by address on its way to a device: the header without the cookie, which is its sender's
// alone, and one hop less. Owner worker.
#pragma once

#include "dataplane/stage/relay.h"
#include "dataplane/table/leases.h"

// Packet `at` itself, which is taken. tally: counts what went the usual way.
void deliver_packet(
	struct pass *pass, unsigned at, const struct lease_view *device, struct relay_tally *tally);
// A copy of it.
void deliver_copy(struct pass *pass, unsigned at, const struct lease_view *device);
