// SPDX-License-Identifier: BSD-3-Clause
// A relayed packet whose header is a handle: 8 bytes, of which 4 are the index of its session line.
// For path, to see what a header of that size costs on the same parse, rewrite and transmit stages
// when nothing has to be looked up. Not a stage of the dataplane: it has no protocol behind it.
// Owner worker.
#pragma once

#include "dataplane/worker.h"

enum { HANDLE_HEADER_LENGTH = 8, HANDLE_FIRST_BYTE = 6 };

// At most BURST_MAX frames of world_frame(WORLD_HANDLE).
void handles_run(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint64_t now);
