// SPDX-License-Identifier: BSD-3-Clause
// Datagrams that begin here and answer no packet of the burst. Owner worker.
#pragma once

#include "dataplane/stage/datagram.h"
#include "dataplane/worker.h"

// Sends, or holds for its neighbour, or drops and counts. out: addresses, ports and family; the
// rest is filled in here. 0; -ENOBUFS, -EMSGSIZE.
int originate(struct worker *worker, struct datagram *out, const uint8_t *payload, unsigned length,
	uint64_t now);
