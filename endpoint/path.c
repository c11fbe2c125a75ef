// SPDX-License-Identifier: BSD-3-Clause
// Contact with the relay: which of its transport addresses is used, the cookie that proves ours,
// and the keepalive that keeps a NAT's binding and the cookie young.
//
//     IDLE -> ASKING (SOLICIT, address after address, round after round) -> UP -> ASKING again
//     when the keepalive is not answered. STOPPED when no answer could help.
//
// A CHALLENGE to something that showed a young cookie means that the relay sees us elsewhere (a NAT
// has rebound) or was started anew; ALIVE tells the first by what it observed. Both lead to new
// registrations at once, which need a proven transaction: who cannot see our packets cannot cause
// them.
#include "endpoint/core.h"

#include <sodium.h>

#include <string.h>

enum {
	TRIES_ALONE = 5,  // 15 s
	TRIES_AMONG = 3,  // when there is another address to try
	TRIES_BEHIND = 2, // when nobody answered in the last round
	TRIES_KEEPALIVE = 5,
	LONGEST_MS = 16 * 1000,
	ROUND_LONGEST_MS = 30 * 1000,
	MOVE_PAUSE_MS = 1000,
};

static const uint8_t zeros[NATIVE_COOKIE_SIZE];

void core_path_stop(struct endpoint *e, enum path_state state)
{
	struct path *p = &e->path;
	p->state = state;
	core_request_clear(&p->solicit);
	core_request_clear(&p->keepalive);
	p->keepalive_at = ENDPOINT_NEVER;
	p->has_cookie = false;
	p->has_observed = false;
	p->keepalive_s = CORE_KEEPALIVE_S;
	p->payload_max = NATIVE_MESSAGE_MAX - NATIVE_BY_ADDRESS_HEADER;
}

static void begin(struct endpoint *e)
{
	e->path.state = PATH_ASKING;
	core_request_begin(e, &e->path.solicit);
}

void core_path_start(struct endpoint *e)
{
	if (e->path.state == PATH_IDLE || e->path.state == PATH_STOPPED) {
		e->path.rounds = 0;
		begin(e);
		core_path_tick(e);
	}
}

void core_path_ask(struct endpoint *e)
{
	if (e->path.solicit.due == ENDPOINT_NEVER &&
		(e->path.state == PATH_UP || e->path.state == PATH_ASKING)) {
		core_request_begin(e, &e->path.solicit);
		core_path_tick(e);
	}
}

void core_path_doubt(struct endpoint *e)
{
	if (e->path.state == PATH_UP) {
		e->path.keepalive_at = ENDPOINT_NEVER;
		core_request_clear(&e->path.keepalive);
		begin(e);
		core_path_tick(e);
	}
}

bool core_path_fresh(const struct endpoint *e, uint64_t longest_ms)
{
	return e->path.has_cookie && e->now.monotonic_ms - e->path.cookie_at < longest_ms;
}

const uint8_t *core_path_show(const struct endpoint *e)
{
	return e->path.has_cookie ? e->path.cookie : zeros;
}

void core_path_measure(struct endpoint *e, const struct request *request)
{
	if (request->tries == 1) // else it is not known which one was answered (Karn)
		e->path.round_trip_ms = (unsigned)core_earlier(
			UINT32_MAX, e->now.monotonic_ms - request->sent_at + 1);
}

bool core_path_suspicious(const struct endpoint *e, const struct request *request)
{
	return e->path.has_cookie && request->sent_at >= e->path.cookie_at &&
	       request->sent_at - e->path.cookie_at < CORE_COOKIE_CONTROL_MS;
}

static void next_relay(struct endpoint *e)
{
	struct path *p = &e->path;

	p->has_cookie = false;
	p->relay = (p->relay + 1) % e->config.relay_count;
	begin(e);
	if (p->relay != 0)
		return;
	p->rounds++;
	uint64_t wait =
		core_earlier(UINT64_C(500) << (p->rounds < 8 ? p->rounds : 8), ROUND_LONGEST_MS);
	p->solicit.due += core_jitter(e, wait);
	core_event(e, &(struct endpoint_event){.type = ENDPOINT_UNREACHABLE});
}

static void send_solicit(struct endpoint *e)
{
	uint8_t message[NATIVE_MESSAGE_MAX];
	struct path *p = &e->path;
	unsigned most = e->config.relay_count > 1 ? TRIES_AMONG : TRIES_ALONE;

	if (p->rounds > 0)
		most = TRIES_BEHIND;
	if (p->solicit.tries >= most) {
		next_relay(e);
		return;
	}
	size_t size = native_solicit_build(message, sizeof(message),
		&(struct native_solicit){.transaction = p->solicit.transaction});
	core_request_sent(e, &p->solicit, LONGEST_MS);
	core_send(e, message, size);
}

static void send_keepalive(struct endpoint *e)
{
	uint8_t message[NATIVE_MESSAGE_MAX];
	struct path *p = &e->path;

	if (p->keepalive.tries >= TRIES_KEEPALIVE) {
		core_path_doubt(e);
		return;
	}
	size_t size = native_keepalive_build(message, sizeof(message),
		&(struct native_keepalive){
			.transaction = p->keepalive.transaction,
			.cookie = core_path_show(e),
		});
	core_request_sent(e, &p->keepalive, LONGEST_MS);
	core_send(e, message, size);
}

void core_path_tick(struct endpoint *e)
{
	struct path *p = &e->path;

	if (core_due(e, p->solicit.due))
		send_solicit(e);
	if (core_due(e, p->keepalive_at)) {
		p->keepalive_at = ENDPOINT_NEVER;
		core_request_begin(e, &p->keepalive);
	}
	if (core_due(e, p->keepalive.due))
		send_keepalive(e);
}

uint64_t core_path_deadline(const struct endpoint *e)
{
	return core_earlier(
		e->path.solicit.due, core_earlier(e->path.keepalive.due, e->path.keepalive_at));
}

static void plan_keepalive(struct endpoint *e)
{
	// Rather early than late: a NAT's timer does not know of jitter.
	uint64_t period = (uint64_t)e->path.keepalive_s * 1000;
	core_request_clear(&e->path.keepalive);
	e->path.keepalive_at = e->now.monotonic_ms + period - core_random_below(e, period / 8 + 1);
}

static void refuse(struct endpoint *e, enum endpoint_refusal reason, uint32_t detail)
{
	core_path_stop(e, PATH_STOPPED);
	core_event(e, &(struct endpoint_event){
			      .type = ENDPOINT_REFUSED,
			      .refused = {.reason = reason, .detail = detail, .epoch = e->epoch},
		      });
}

void core_path_cookie(struct endpoint *e, const uint8_t cookie[static NATIVE_COOKIE_SIZE])
{
	struct path *p = &e->path;
	bool was_up = p->state == PATH_UP;

	if (p->state == PATH_IDLE || p->state == PATH_STOPPED)
		return;
	memcpy(p->previous, p->cookie, sizeof(p->previous));
	memcpy(p->cookie, cookie, sizeof(p->cookie));
	p->has_cookie = true;
	p->cookie_at = e->now.monotonic_ms;
	p->rounds = 0;
	p->state = PATH_UP;
	core_request_clear(&p->solicit);
	if (!was_up)
		core_leases_forget_cookies(e);
	core_leases_cookie(e);
	if (was_up)
		return;
	// After a silence nobody knows what the relay still has.
	plan_keepalive(e);
	core_leases_want(e);
	core_calls_path(e);
	core_event(e, &(struct endpoint_event){
			      .type = ENDPOINT_CONNECTED,
			      .connected = {.relay = p->relay},
		      });
}

void core_path_observed(struct endpoint *e, const struct net_endpoint *observed)
{
	struct path *p = &e->path;
	struct endpoint_transport t = {
		.family = observed->address.family,
		.port = observed->port,
	};
	memcpy(t.address, observed->address.bytes, sizeof(t.address));
	if (p->has_observed && p->observed.family == t.family && p->observed.port == t.port &&
		memcmp(p->observed.address, t.address, sizeof(t.address)) == 0)
		return;
	bool moved = p->has_observed;
	p->observed = t;
	p->has_observed = true;
	// A NAT that changes with every packet must not make us ask without end.
	if (!moved || e->now.monotonic_ms - p->moved_at < MOVE_PAUSE_MS)
		return;
	p->moved_at = e->now.monotonic_ms;
	core_leases_want(e);
}

bool core_path_learn(struct endpoint *e, const struct native_registered *m)
{
	struct path *p = &e->path;

	if (e->config.relay_key_pinned &&
		memcmp(p->relay_key, m->relay_key, NATIVE_KEY_SIZE) != 0) {
		refuse(e, ENDPOINT_REFUSED_RELAY_KEY, 0);
		return false;
	}
	memcpy(p->relay_key, m->relay_key, NATIVE_KEY_SIZE);
	p->has_relay_key = true;
	if (m->payload < p->payload_max)
		p->payload_max = m->payload;
	if (m->keepalive != 0 && m->keepalive != p->keepalive_s) {
		p->keepalive_s = m->keepalive;
		plan_keepalive(e);
	}
	core_path_cookie(e, m->cookie);
	core_path_observed(e, &m->observed);
	return true;
}

void core_path_changed(struct endpoint *e)
{
	if (e->path.state == PATH_IDLE || e->path.state == PATH_STOPPED)
		return;
	// The old cookie may still be good, and without any nothing at all could be sent meanwhile.
	e->path.rounds = 0;
	core_request_begin(e, &e->path.solicit);
	core_leases_want(e);
	core_path_tick(e);
}

// Data by address is challenged with the end of the cookie that it showed.
static bool ends_in(const uint8_t cookie[static NATIVE_COOKIE_SIZE], const uint8_t *transaction)
{
	return sodium_memcmp(cookie + NATIVE_COOKIE_SIZE - NATIVE_TRANSACTION_SIZE, transaction,
		       NATIVE_TRANSACTION_SIZE) == 0;
}

bool core_path_challenge(struct endpoint *e, const struct native_challenge *m)
{
	struct path *p = &e->path;
	bool solicited = core_request_is(&p->solicit, m->transaction);
	bool kept = core_request_is(&p->keepalive, m->transaction);
	bool data = p->has_cookie && ends_in(p->cookie, m->transaction);
	bool suspicious = data || (kept && core_path_suspicious(e, &p->keepalive));

	if (!solicited && !kept && !data)
		// Several packets were challenged and the first has brought a new cookie.
		return p->has_cookie && ends_in(p->previous, m->transaction);
	if (m->epoch_seconds != e->config.epoch_seconds) {
		refuse(e, ENDPOINT_REFUSED_EPOCH_SECONDS, m->epoch_seconds);
		return true;
	}
	p->admission = m->admission;
	p->difficulty = m->difficulty;
	if (solicited)
		core_path_measure(e, &p->solicit);
	if (kept)
		core_request_challenged(e, &p->keepalive);
	if (suspicious)
		core_leases_forget_cookies(e);
	core_path_cookie(e, m->cookie);
	if (suspicious) {
		core_leases_want(e);
		core_calls_path(e);
	}
	core_path_tick(e);
	return true;
}

bool core_path_alive(struct endpoint *e, const struct native_alive *m)
{
	if (!core_request_is(&e->path.keepalive, m->transaction))
		return false;
	core_path_measure(e, &e->path.keepalive);
	plan_keepalive(e);
	core_path_cookie(e, m->cookie);
	core_path_observed(e, &m->observed);
	return true;
}

bool core_path_unsupported(struct endpoint *e, const struct native_unsupported *m)
{
	bool ours = core_request_is(&e->path.solicit, m->transaction);

	// A relay that knows our version does not say so.
	if (ours && (m->lowest > NATIVE_VERSION || m->highest < NATIVE_VERSION))
		refuse(e, ENDPOINT_REFUSED_VERSION, m->highest);
	return ours;
}
