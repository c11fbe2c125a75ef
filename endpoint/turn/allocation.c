// SPDX-License-Identifier: BSD-3-Clause
// The allocation: made, kept by Refresh a minute before its end, made anew when the server does not
// know it any more or sees the socket elsewhere, and given back. What no answer comes to, or a
// refusal, ends everything; the owner decides what then.
//
// After a change of network nobody can tell whether the server still sees the same 5-tuple.
// Allocate tells in one round trip: it makes the new allocation where the tuple is another one, and
// 437 says that the old one may be there still, which Refresh then proves.
#include "endpoint/turn/client.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

static void forget(struct turn_client *c)
{
	turn_exchange_end(&c->main);
	turn_exchange_end(&c->question);
	turn_permissions_drop(c);
	turn_channels_drop(c);
	sodium_memzero(&c->relayed, sizeof(c->relayed));
	sodium_memzero(&c->mapped, sizeof(c->mapped));
	c->asking_mine = false;
}

static void fail(struct turn_client *c, enum turn_client_failure why, unsigned code)
{
	forget(c);
	c->state = TURN_IDLE;
	turn_client_tell(c, &(struct turn_client_event){.type = TURN_CLIENT_FAILED,
				    .failed = {.why = why, .code = code}});
}

static enum turn_client_failure why_of(unsigned code)
{
	switch (code) {
	case 401:
	case 441:
		return TURN_CLIENT_CREDENTIALS;
	case 486:
		return TURN_CLIENT_QUOTA;
	case 508:
		return TURN_CLIENT_CAPACITY;
	case 437:
		return TURN_CLIENT_MISMATCH;
	case 0:
	case 300:
	case 403:
	case 420:
	case 440:
	case 442:
		return TURN_CLIENT_UNSUPPORTED;
	default:
		return TURN_CLIENT_PROTOCOL;
	}
}

static void allocate(struct turn_client *c)
{
	c->asking_mine = false;
	turn_exchange_begin(c, &c->main, STUN_ALLOCATE);
}

static void start(struct turn_client *c)
{
	c->start_wanted = false;
	c->state = TURN_ALLOCATING;
	c->had_allocation = false;
	allocate(c);
}

static void released(struct turn_client *c)
{
	forget(c);
	c->state = TURN_IDLE;
	if (c->start_wanted)
		start(c);
	turn_client_tell(c, &(struct turn_client_event){.type = TURN_CLIENT_RELEASED});
}

// ---- requests ----

static void fill(struct turn_client *c, const void *of, struct stun_builder *b)
{
	(void)of;
	bool leaving = c->state == TURN_RELEASING;
	if (c->main.method == STUN_ALLOCATE) {
		stun_add_u32(b, STUN_REQUESTED_TRANSPORT, 17u << 24);
		if (c->family == 6)
			stun_add_u32(
				b, STUN_REQUESTED_ADDRESS_FAMILY, (uint32_t)STUN_FAMILY_IPV6 << 24);
	}
	if (leaving || c->lifetime_s != 0)
		stun_add_u32(b, STUN_LIFETIME, leaving ? 0 : c->lifetime_s);
}

// When nothing was heard or said for so long: a NAT on the way forgets what does not send, and a
// server that is gone does not say so.
static uint64_t quiet_until(const struct turn_client *c)
{
	return turn_earlier(c->heard_at, c->spoke_at) + c->keepalive_ms;
}

// Refresh tells most, whether the allocation is there as well; a server that was restarted answers
// Bindings as before. But it costs the server more, so the regular question is mostly a Binding.
static void ask(struct turn_client *c, bool thoroughly)
{
	if (c->state != TURN_ALLOCATED || c->main.method != 0)
		return;
	if (thoroughly)
		turn_exchange_begin(c, &c->main, STUN_REFRESH);
	else if (c->question.method == 0)
		turn_exchange_begin(c, &c->question, STUN_BINDING);
}

void turn_allocation_run(struct turn_client *c)
{
	if (c->state == TURN_RELEASING && c->now >= c->release_until) {
		released(c);
		return;
	}
	if (c->now >= c->refresh_at)
		ask(c, true);
	else if (c->question.method == 0 && c->now >= quiet_until(c))
		ask(c, ++c->questions % TURN_THOROUGH == 0);
	unsigned code = c->main.doubted_code;
	if (!turn_exchange_run(c, &c->main, fill, NULL)) {
		if (c->state == TURN_RELEASING)
			released(c);
		else
			fail(c, code ? why_of(code) : TURN_CLIENT_UNREACHABLE, code);
		return;
	}
	uint64_t began_at = c->question.began_at;
	if (turn_exchange_run(c, &c->question, NULL, NULL))
		return;
	if (c->heard_at > began_at) // it has said something else meanwhile
		turn_exchange_end(&c->question);
	else
		fail(c, TURN_CLIENT_UNREACHABLE, 0);
}

uint64_t turn_allocation_deadline(const struct turn_client *c)
{
	uint64_t at = turn_earlier(turn_exchange_due(&c->main), turn_exchange_due(&c->question));
	if (c->state == TURN_RELEASING)
		at = turn_earlier(at, c->release_until);
	if (c->state == TURN_ALLOCATED && c->main.method == 0) {
		at = turn_earlier(at, c->refresh_at);
		if (c->question.method == 0)
			at = turn_earlier(at, quiet_until(c));
	}
	return at;
}

// ---- answers ----

static void lives(struct turn_client *c, uint32_t lifetime_s)
{
	uint64_t lifetime_ms = 1000 * (uint64_t)lifetime_s;
	uint64_t margin = turn_earlier(TURN_MARGIN_MS, lifetime_ms / 2);
	uint16_t spread;

	c->random(c->random_context, &spread, sizeof(spread));
	c->granted_s = lifetime_s;
	c->refresh_at = c->now + lifetime_ms - margin - margin / 8 * spread / 65536;
}

static bool read_lifetime(const struct stun_message *m, uint32_t *seconds)
{
	struct stun_attribute a;
	if (!stun_find(m, STUN_LIFETIME, &a) || stun_read_u32(&a, seconds) != 0 || *seconds == 0)
		return false;
	if (*seconds > TURN_LIFETIME_MAX_S)
		*seconds = TURN_LIFETIME_MAX_S;
	return true;
}

static bool read_transport(
	const struct stun_message *m, uint16_t type, struct endpoint_transport *out)
{
	struct stun_attribute a;
	struct net_endpoint e;
	if (!stun_find(m, type, &a) || stun_read_xor_address(m, &a, &e) != 0)
		return false;
	*out = turn_from_net(&e);
	return true;
}

static void allocated(struct turn_client *c, const struct stun_message *m)
{
	struct turn_client_event event = {.type = TURN_CLIENT_ALLOCATED};
	uint32_t lifetime;

	if (!read_transport(m, STUN_XOR_RELAYED_ADDRESS, &event.allocated.relayed) ||
		!read_transport(m, STUN_XOR_MAPPED_ADDRESS, &event.allocated.mapped) ||
		event.allocated.relayed.family != c->family || !read_lifetime(m, &lifetime)) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_malformed);
		fail(c, TURN_CLIENT_PROTOCOL, 0);
		return;
	}
	turn_client_count(c, TURN_CLIENT_COUNTER_allocations);
	event.allocated.anew = c->had_allocation;
	event.allocated.lifetime_s = lifetime;
	c->relayed = event.allocated.relayed;
	c->mapped = event.allocated.mapped;
	c->state = TURN_ALLOCATED;
	c->had_allocation = true;
	turn_exchange_end(&c->question); // about the one before
	lives(c, lifetime);
	turn_permissions_renew(c);
	turn_channels_renew(c);
	turn_client_tell(c, &event);
}

void turn_allocation_lost(struct turn_client *c)
{
	if (c->state != TURN_ALLOCATED)
		return;
	c->state = TURN_ALLOCATING;
	turn_exchange_end(&c->question);
	turn_permissions_renew(c);
	turn_channels_renew(c);
	allocate(c);
}

static void allocate_refused(struct turn_client *c, unsigned code)
{
	if (code == 437 && c->state == TURN_ALLOCATED) {
		turn_exchange_begin(c, &c->main, STUN_REFRESH);
		c->asking_mine = true;
		return;
	}
	fail(c, why_of(code), code);
}

static void refresh_refused(struct turn_client *c, unsigned code)
{
	if (code == 437 && !c->asking_mine)
		turn_allocation_lost(c);
	else
		fail(c, why_of(code), code);
}

static void refreshed(struct turn_client *c, const struct stun_message *m)
{
	uint32_t lifetime;
	if (!read_lifetime(m, &lifetime)) {
		turn_client_count(c, TURN_CLIENT_COUNTER_ignored_malformed);
		fail(c, TURN_CLIENT_PROTOCOL, 0);
		return;
	}
	turn_client_count(c, TURN_CLIENT_COUNTER_refreshes);
	c->asking_mine = false;
	lives(c, lifetime);
}

static void main_answer(struct turn_client *c, const struct stun_message *m)
{
	unsigned code = 0;
	enum turn_answer answer = turn_exchange_answer(c, &c->main, m, &code);
	bool success = answer == TURN_ANSWER_SUCCESS;

	if (answer == TURN_ANSWER_NONE)
		return;
	if (c->state == TURN_RELEASING)
		released(c); // refused: there is nothing to release (RFC 8656 8.3)
	else if (m->method == STUN_ALLOCATE && success)
		allocated(c, m);
	else if (m->method == STUN_ALLOCATE)
		allocate_refused(c, code);
	else if (success)
		refreshed(c, m);
	else
		refresh_refused(c, code);
}

static void question_answer(struct turn_client *c, const struct stun_message *m)
{
	struct endpoint_transport mapped;
	unsigned code;
	if (turn_exchange_answer(c, &c->question, m, &code) != TURN_ANSWER_SUCCESS)
		return; // an error is an answer
	if (c->state == TURN_ALLOCATED && c->main.method != STUN_ALLOCATE &&
		read_transport(m, STUN_XOR_MAPPED_ADDRESS, &mapped) &&
		!turn_same(&mapped, &c->mapped))
		allocate(c);
}

bool turn_allocation_answer(struct turn_client *c, const struct stun_message *m)
{
	if (turn_exchange_is(&c->main, m))
		main_answer(c, m);
	else if (turn_exchange_is(&c->question, m))
		question_answer(c, m);
	else
		return false;
	return true;
}

// ---- wishes ----

void turn_client_start(struct turn_client *c, uint64_t now_ms)
{
	turn_client_enter(c, now_ms);
	if (c->state == TURN_IDLE)
		start(c);
	else if (c->state == TURN_RELEASING)
		c->start_wanted = true;
	turn_client_leave(c);
}

void turn_client_release(struct turn_client *c, uint64_t now_ms)
{
	turn_client_enter(c, now_ms);
	c->start_wanted = false;
	// An Allocate that could have been granted while we turn away is given back as well.
	bool something = c->state == TURN_ALLOCATED ||
			 (c->state == TURN_ALLOCATING &&
				 (c->had_allocation ||
					 (c->main.tries > 0 &&
						 (c->main.is_signed || !c->credentials.given))));
	if (something) {
		forget(c);
		c->state = TURN_RELEASING;
		c->release_until = c->now + TURN_RELEASE_MS;
		turn_exchange_begin(c, &c->main, STUN_REFRESH);
	} else if (c->state != TURN_RELEASING) {
		released(c);
	}
	turn_client_leave(c);
}

void turn_client_network_changed(struct turn_client *c, uint64_t now_ms)
{
	turn_client_enter(c, now_ms);
	if (c->state == TURN_ALLOCATED || c->state == TURN_ALLOCATING) {
		turn_exchange_end(&c->question);
		allocate(c);
	}
	turn_client_leave(c);
}

void turn_client_check(struct turn_client *c, uint64_t now_ms)
{
	turn_client_enter(c, now_ms);
	ask(c, true);
	turn_client_leave(c);
}
