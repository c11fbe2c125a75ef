// SPDX-License-Identifier: BSD-3-Clause
// See native_punt.h. Owner worker.
#include "dataplane/stage/native_punt.h"

#include "dataplane/stage/guard.h"
#include "dataplane/stage/native_answer.h"

void native_punt(
	struct pass *pass, unsigned at, unsigned flags, uint32_t issued, uint32_t remaining_ms)
{
	struct worker *worker = pass->burst.worker;
	const struct headers *h = &pass->burst.headers[at];
	const struct cookie_holder holder = native_holder(h);
	worker->stats.stage[STAGE_guard].packets++;
	enum guard_verdict verdict = guard_punt_signed(
		worker->guard, h->source, h->family, flags & API_NATIVE_PUNT_HERE, pass->tick);
	if (verdict != GUARD_ADMITS) {
		pass_drop(pass, at,
			verdict == GUARD_PREFIX_SPENT ? DROP_punt_budget : DROP_punt_total);
		return;
	}
	struct api_native_punt punt = {
		.issued = issued,
		.remaining_ms = remaining_ms,
		.flags = (uint16_t)flags,
	};
	cookie_make(worker->native, &holder, pass->burst.now, punt.cookie);
	worker->stats.event[EVENT_native_punts]++;
	worker_punt_native(worker, pass->burst.mbufs[at], h, pass->burst.port, &punt);
}
