// SPDX-License-Identifier: BSD-3-Clause
// Refresh (RFC 8656 8.2): prolongs an allocation, or ends it, or one family of a dual one.
#include "controlplane/turn/core.h"
#include "controlplane/turn/reply.h"

#include <errno.h>

// REQUESTED-ADDRESS-FAMILY: *slot is -1 when absent. 0 or an error code.
static unsigned read_family(const struct turn_call *call, int *slot)
{
	struct stun_attribute ignored;
	uint8_t family;
	*slot = -1;
	if (turn_family_attribute(call->message, STUN_REQUESTED_ADDRESS_FAMILY, &family) != 0)
		return 400;
	if (!stun_find(call->message, STUN_REQUESTED_ADDRESS_FAMILY, &ignored))
		return 0;
	if (family == STUN_FAMILY_IPV4)
		*slot = 0;
	else if (family == STUN_FAMILY_IPV6)
		*slot = 1;
	if (*slot < 0 || call->context->relayed[*slot].address.family == NET_UNSPECIFIED)
		return 443;
	return 0;
}

void turn_refresh(struct turn_core *core, struct turn_call *call)
{
	struct turn_request *request = &call->request;
	const struct api_allocation_context *context = call->context;
	if (!turn_owns_allocation(core, call))
		return;
	int slot;
	bool zero;
	unsigned code = read_family(call, &slot);
	if (turn_lifetime(core, call->message, &request->lifetime_s, &zero) != 0)
		code = 400;
	if (code != 0) {
		turn_reply_error(core, request, code);
		return;
	}
	bool dual = context->relayed[0].address.family != NET_UNSPECIFIED &&
		    context->relayed[1].address.family != NET_UNSPECIFIED;
	struct api_allocation_change change = {.allocation_id = context->allocation_id,
		.lifetime_ms = request->lifetime_s * 1000,
		.worker = context->worker};
	enum api_type type = API_ALLOCATION_REFRESH;
	if (zero) {
		type = API_ALLOCATION_REMOVE;
		request->lifetime_s = 0;
		change.lifetime_ms = 0;
		request->families = 3;
		if (dual && slot >= 0) {
			request->families = (uint8_t)(1u << slot);
			change.family = slot == 0 ? NET_IPV4 : NET_IPV6;
		}
	} else if (dual && slot >= 0 && change.lifetime_ms < context->remaining_ms) {
		// Both families live on one clock: prolonging one may not shorten the other.
		change.lifetime_ms = context->remaining_ms;
	}
	turn_install(core, request, type, &change, sizeof(change), call->now_ms);
}

void turn_refresh_done(struct turn_core *core, struct turn_request *request, int result)
{
	if (result == -ENOENT || (result == 0 && request->families == 3))
		turn_allocation_release(core, request->allocation_id);
	else if (result == 0 && request->families != 0)
		turn_allocation_release_family(
			core, request->allocation_id, request->families == 1 ? 0 : 1);
	if (request->given_up)
		return;
	if (result != 0) {
		turn_reply_error(core, request, result == -ENOENT ? 437 : 500);
		return;
	}
	turn_count(core, TURN_COUNTER_refresh_ok);
	struct turn_reply reply;
	turn_reply_begin(&reply, request, STUN_SUCCESS);
	stun_add_u32(&reply.builder, STUN_LIFETIME, request->lifetime_s);
	turn_reply_send(core, &reply, request);
}
