// SPDX-License-Identifier: BSD-3-Clause
// STUN requests other than Binding: to the control plane, with what this worker knows of the
// 5-tuple, within the source prefix's budget. Owner worker.
#include "dataplane/stage/datagram.h"
#include "dataplane/stage/elsewhere.h"
#include "dataplane/stage/guard.h"
#include "dataplane/stage/pass.h"
#include "lib/wire/stun.h"

#include <rte_prefetch.h>

enum { LINES_AHEAD = 3 }; // cache lines of an authenticated request

static uint32_t find(const struct pass *pass, unsigned at)
{
	const struct mappings *m = pass->burst.worker->mappings;
	const struct headers *h = &pass->burst.headers[at];
	struct client_key key;
	client_key_set(&key, h->source, h->family, h->source_port, 0, pass->server[at]);
	uint32_t slot = mappings_find_client(m, client_key_hash(m, &key), &key);
	// What has expired but was not scanned yet has ended all the same.
	if (slot != MAPPINGS_NONE && ticks_passed(m->allocations[slot].deadline, pass->tick))
		return MAPPINGS_NONE;
	return slot;
}

static void context_fill(
	const struct pass *pass, uint32_t slot, struct api_allocation_context *context)
{
	const struct mappings *m = pass->burst.worker->mappings;
	const struct allocation *a = &m->allocations[slot];
	context->allocation_id = a->id;
	context->credential_tag = a->credential_tag;
	context->prefix_tag = a->prefix_tag;
	allocation_relayed(m, a, context->relayed);
	context->remaining_ms = ticks_left_ms(a->deadline, pass->burst.now, m->hz);
	context->flags = a->api_flags;
	context->worker = pass->burst.worker->id;
	memcpy(context->transaction, a->transaction, sizeof(context->transaction));
}

void stage_punt(struct pass *pass)
{
	struct worker *worker = pass->burst.worker;
	// The stages before have looked at the first line only.
	for (unsigned i = 0; i < pass->punt.count; i++)
		for (unsigned line = 1; line <= LINES_AHEAD; line++)
			rte_prefetch0(pass_frame(pass, pass->punt.at[i]) + line * 64);
	for (unsigned i = 0; i < pass->punt.count; i++) {
		unsigned at = pass->punt.at[i];
		const struct headers *h = &pass->burst.headers[at];
		const uint8_t *frame = pass_frame(pass, at);
		struct stun_message message;
		if (stun_parse(frame + h->payload_offset, h->payload_length, &message) < 0) {
			pass_drop(pass, at, DROP_stun_malformed);
			continue;
		}
		if (!datagram_checksum_right(frame, h)) {
			pass_drop(pass, at, DROP_bad_checksum);
			continue;
		}
		struct api_allocation_context context = {0};
		uint32_t slot = find(pass, at);
		if (slot != MAPPINGS_NONE)
			context_fill(pass, slot, &context);
		else if (elsewhere_hand_off(pass, at))
			continue;
		worker->stats.stage[STAGE_guard].packets++;
		enum guard_verdict verdict = guard_punt(
			worker->guard, h->source, h->family, slot != MAPPINGS_NONE, pass->tick);
		if (verdict != GUARD_ADMITS) {
			pass_drop(pass, at,
				verdict == GUARD_PREFIX_SPENT ? DROP_punt_budget : DROP_punt_total);
			continue;
		}
		worker_punt(worker, pass->burst.mbufs[at], h, pass->burst.port, &context);
	}
}
