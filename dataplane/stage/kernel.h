// SPDX-License-Identifier: BSD-3-Clause
// What is not the relay's is the kernel's. Where the kernel sees the port's packets by itself our
// copy is dropped under the reason given; elsewhere the frame goes through the exception TAP.
#pragma once

#include "dataplane/stage/pass.h"

static inline void kernel_or_drop(struct pass *pass, unsigned at, enum stats_drop reason)
{
	struct worker *worker = pass->burst.worker;
	uint16_t port = pass->burst.port;
	if (port >= PORTS_MAX || worker->port_has_kernel[port]) {
		pass_drop(pass, at, reason);
		return;
	}
	worker->stats.stage[STAGE_kernel].packets++;
	worker_to_kernel(worker, pass->burst.mbufs[at], port);
}
