// SPDX-License-Identifier: BSD-3-Clause
// Pairs of handles as they must be; see book.h. The table's functions are wrapped:
//
// wrap: handles_install
// wrap: handles_keepalive
// wrap: handles_move
// wrap: handles_close
// wrap: handles_expire
// wrap: handles_end_next
#include "tests/sim/book.h"

#include "dataplane/table/handles.h"
#include "dataplane/cookies.h"
#include "tests/sim/clock.h"
#include "tests/sim/map.h"
#include "tests/sim/network.h"
#include "tests/sim/relay.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <stdlib.h>
#include <string.h>

enum {
	ROUNDING_US = 3 * CLOCK_MS,
	// A ticket's age, and what the ways take.
	TICKET_MOST_US = (NATIVE_TICKET_S + 3) * CLOCK_S,
	PATH_MOST_US = (NATIVE_PATH_TOKEN_S + 3) * CLOCK_S,
};

static struct map by_open_id;
static struct map by_index; // of live ones, their index / 2 + 1
static uint64_t burst = 1;
static struct map ended_now; // in this burst, likewise

const struct book_pair *book_pair_opened(const uint8_t *open_id)
{
	return map_get(&by_open_id, map_hash(open_id, NATIVE_OPEN_ID_SIZE));
}

static struct book_pair *pair_at(uint32_t index)
{
	return map_get(&by_index, index / 2 + 1);
}

void book_pairs_burst(void)
{
	burst++;
	map_free(&ended_now);
}

static void change(struct book_pair *pair)
{
	if (pair->changed_in == burst)
		return;
	pair->changed_in = burst;
	pair->was_at[0] = pair->at[0];
	pair->was_at[1] = pair->at[1];
}

const struct net_endpoint *book_pair_at(const struct book_pair *pair, unsigned side)
{
	return pair->changed_in == burst ? &pair->was_at[side] : &pair->at[side];
}

const struct book_pair *book_pair_of(struct native_handle handle)
{
	const struct book_pair *pair = map_get(&ended_now, handle.index / 2 + 1);
	if (pair == NULL)
		pair = pair_at(handle.index);
	return pair != NULL && pair->handle.generation == handle.generation ? pair : NULL;
}

static void ask(struct book_pair *pair, struct book_asked asked)
{
	if (pair->asked_count == pair->asked_room) {
		pair->asked_room = pair->asked_room ? 2 * pair->asked_room : 4;
		pair->asked = realloc(pair->asked, pair->asked_room * sizeof(*pair->asked));
		if (pair->asked == NULL)
			abort();
	}
	asked.at = clock_now();
	pair->asked[pair->asked_count++] = asked;
}

void book_open(unsigned client, const struct net_endpoint *from, const struct native_open *m)
{
	uint64_t key = map_hash(m->open_id, NATIVE_OPEN_ID_SIZE);
	struct book_pair *pair = map_get(&by_open_id, key);
	if (pair == NULL) {
		pair = calloc(1, sizeof(*pair));
		if (pair == NULL)
			abort();
		memcpy(pair->open_id, m->open_id, NATIVE_OPEN_ID_SIZE);
		pair->owner[0] = (uint16_t)client;
		pair->owner[1] = SIM_NOBODY;
		map_put(&by_open_id, key, pair);
	}
	if (pair->owner[0] != client)
		sim_fail(client, pair->owner[0], "two clients have chosen one open id");
	ask(pair, (struct book_asked){
			  .from = *from, .client = (uint16_t)client, .type = NATIVE_OPEN});
}

void book_accept(unsigned client, const struct net_endpoint *from, const struct native_accept *m)
{
	struct book_pair *pair = map_get(&by_open_id, map_hash(m->open_id, NATIVE_OPEN_ID_SIZE));
	if (pair == NULL)
		sim_fail(client, SIM_NOBODY, "ACCEPT of what nobody opened");
	if (m->accept)
		ask(pair, (struct book_asked){.from = *from,
				  .client = (uint16_t)client,
				  .type = NATIVE_ACCEPT,
				  .side = 1});
}

void book_path_response(
	unsigned client, const struct net_endpoint *from, const struct native_path_response *m)
{
	struct book_pair *pair = pair_at(m->handle.index);
	unsigned side = m->handle.index & 1;
	if (pair != NULL && pair->handle.generation == m->handle.generation &&
		pair->owner[side] == client)
		ask(pair, (struct book_asked){.from = *from,
				  .client = (uint16_t)client,
				  .type = NATIVE_PATH_RESPONSE,
				  .side = (uint8_t)side,
				  .issued = cookie_issued(m->token)});
}

void book_asks_close(unsigned client, const struct native_close *m)
{
	struct book_pair *pair = pair_at(m->handle.index);
	if (pair != NULL && pair->handle.generation == m->handle.generation &&
		pair->owner[m->handle.index & 1] == client)
		pair->close_asked = true;
}

static const struct book_asked *find(const struct book_pair *pair, unsigned type,
	const struct net_endpoint *from, uint32_t issued, unsigned *number)
{
	for (unsigned i = 0; i < pair->asked_count; i++) {
		const struct book_asked *asked = &pair->asked[i];
		if (asked->type == type && asked->issued == issued &&
			net_endpoint_equal(&asked->from, from)) {
			*number = i + 1;
			return asked;
		}
	}
	return NULL;
}

// ---- what the table reports ----

static void made(const struct api_handles_install *install, const struct api_handles_installed *out)
{
	struct book_pair *pair =
		map_get(&by_open_id, map_hash(install->open_id, NATIVE_OPEN_ID_SIZE));
	unsigned number = 0;
	unsigned client = network_owner(&install->end[0].client);
	if (pair == NULL)
		sim_fail(client, SIM_NOBODY, "a pair of handles was made that nobody opened");
	const struct book_asked *opened =
		find(pair, NATIVE_OPEN, &install->end[0].client, 0, &number);
	const struct book_asked *accepted =
		find(pair, NATIVE_ACCEPT, &install->end[1].client, 0, &number);
	if (opened == NULL || accepted == NULL)
		sim_fail(pair->owner[0], network_owner(&install->end[1].client),
			"a pair of handles was made that its %s never asked for",
			opened == NULL ? "caller" : "callee");
	if (out->again ? !pair->live : pair->made)
		sim_fail(pair->owner[0], pair->owner[1], "an open id has made two pairs");
	if (out->again)
		return;
	if (opened->at + TICKET_MOST_US < clock_now() &&
		pair->asked[pair->asked_count - 1].at + TICKET_MOST_US < clock_now())
		sim_fail(pair->owner[0], accepted->client, "a ticket was taken that was too old");
	if (out->index[0] % 2 != 0 || out->index[1] != out->index[0] + 1 ||
		out->generation[0] != out->generation[1] || pair_at(out->index[0]) != NULL)
		sim_fail(pair->owner[0], accepted->client, "handles that are none, or another's");
	pair->made = pair->live = true;
	pair->made_at = clock_now();
	pair->lifetime_ms = install->lifetime_ms;
	pair->owner[1] = accepted->client;
	pair->handle = (struct native_handle){out->generation[0], out->index[0]};
	for (unsigned side = 0; side < 2; side++) {
		pair->at[side] = install->end[side].client;
		pair->until[side] = clock_now() + pair->lifetime_ms * CLOCK_MS;
		trace(TRACE_TABLE, pair->owner[side], "pair made", &pair->at[side], NULL, 0);
	}
	map_put(&by_index, out->index[0] / 2 + 1, pair);
	sim_count(COUNT_pairs_made);
}

int __real_handles_install(struct handles *handles, const struct node_addresses *addresses,
	const struct api_handles_install *install, bool draining, uint64_t now,
	struct api_handles_installed *out);
int __wrap_handles_install(struct handles *handles, const struct node_addresses *addresses,
	const struct api_handles_install *install, bool draining, uint64_t now,
	struct api_handles_installed *out);
int __wrap_handles_install(struct handles *handles, const struct node_addresses *addresses,
	const struct api_handles_install *install, bool draining, uint64_t now,
	struct api_handles_installed *out)
{
	int result = __real_handles_install(handles, addresses, install, draining, now, out);
	if (result == 0)
		made(install, out);
	return result;
}

enum handle_verdict __real_handles_keepalive(struct handles *handles, struct native_handle handle,
	const struct client_key *source, uint32_t tick, uint32_t *left);
enum handle_verdict __wrap_handles_keepalive(struct handles *handles, struct native_handle handle,
	const struct client_key *source, uint32_t tick, uint32_t *left);
enum handle_verdict __wrap_handles_keepalive(struct handles *handles, struct native_handle handle,
	const struct client_key *source, uint32_t tick, uint32_t *left)
{
	enum handle_verdict verdict = __real_handles_keepalive(handles, handle, source, tick, left);
	struct book_pair *pair = pair_at(handle.index);
	if (verdict != HANDLE_HERE)
		return verdict;
	if (pair == NULL || pair->handle.generation != handle.generation)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "a keepalive of a handle that is not there");
	pair->until[handle.index & 1] = clock_now() + pair->lifetime_ms * CLOCK_MS;
	return verdict;
}

// The simulation's IPv6 addresses have something behind their first four bytes.
static struct net_endpoint endpoint_of(const struct client_key *source)
{
	struct net_endpoint e = {.port = (uint16_t)source->words[2]};
	memcpy(e.address.bytes, source->words, 16);
	e.address.family = source->words[0] >> 32 || source->words[1] ? NET_IPV6 : NET_IPV4;
	return e;
}

static void moved(
	struct book_pair *pair, unsigned side, const struct net_endpoint *to, uint32_t issued)
{
	unsigned number = 0;
	pair->until[side] = clock_now() + pair->lifetime_ms * CLOCK_MS;
	if (net_endpoint_equal(&pair->at[side], to))
		return;
	const struct book_asked *asked = find(pair, NATIVE_PATH_RESPONSE, to, issued, &number);
	if (asked == NULL || asked->side != side)
		sim_fail(pair->owner[side], network_owner(to),
			"a handle was moved in a way that its client never asked for");
	if (number <= pair->effective[side])
		sim_fail(pair->owner[side], SIM_NOBODY,
			"answer %u to a path check moved a handle after answer %u had", number,
			pair->effective[side]);
	if (asked->at + PATH_MOST_US < clock_now())
		sim_fail(pair->owner[side], SIM_NOBODY, "a path token was taken that was too old");
	change(pair);
	pair->effective[side] = number;
	pair->at[side] = *to;
	trace(TRACE_TABLE, pair->owner[side], "handle moved", to, NULL, 0);
	sim_count(COUNT_pairs_moved);
}

enum handle_verdict __real_handles_move(struct handles *handles,
	const struct node_addresses *addresses, struct native_handle handle,
	const struct client_key *source, uint32_t issued, uint32_t tick, uint32_t *left);
enum handle_verdict __wrap_handles_move(struct handles *handles,
	const struct node_addresses *addresses, struct native_handle handle,
	const struct client_key *source, uint32_t issued, uint32_t tick, uint32_t *left);
enum handle_verdict __wrap_handles_move(struct handles *handles,
	const struct node_addresses *addresses, struct native_handle handle,
	const struct client_key *source, uint32_t issued, uint32_t tick, uint32_t *left)
{
	enum handle_verdict verdict =
		__real_handles_move(handles, addresses, handle, source, issued, tick, left);
	struct book_pair *pair = pair_at(handle.index);
	if (verdict != HANDLE_HERE)
		return verdict;
	if (pair == NULL || pair->handle.generation != handle.generation)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "a handle was moved that is not there");
	struct net_endpoint to = endpoint_of(source);
	moved(pair, handle.index & 1, &to, issued);
	return verdict;
}

// ---- the end ----

static void ended(struct book_pair *pair, const char *how, enum sim_count count)
{
	change(pair);
	map_remove(&by_index, pair->handle.index / 2 + 1);
	map_put(&ended_now, pair->handle.index / 2 + 1, pair);
	pair->live = false;
	trace(TRACE_TABLE, pair->owner[0], how, NULL, NULL, 0);
	trace(TRACE_TABLE, pair->owner[1], how, NULL, NULL, 0);
	sim_count(count);
}

static struct book_pair *ended_pair(const struct handles_ended *out)
{
	struct book_pair *pair = pair_at(out->handle.index);
	if (pair == NULL || pair->handle.generation != out->handle.generation)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "a pair of handles has ended that was not there");
	return pair;
}

enum handle_verdict __real_handles_close(struct handles *handles, struct native_handle handle,
	uint32_t tick, struct handles_ended *out);
enum handle_verdict __wrap_handles_close(struct handles *handles, struct native_handle handle,
	uint32_t tick, struct handles_ended *out);
enum handle_verdict __wrap_handles_close(struct handles *handles, struct native_handle handle,
	uint32_t tick, struct handles_ended *out)
{
	enum handle_verdict verdict = __real_handles_close(handles, handle, tick, out);
	if (verdict != HANDLE_HERE)
		return verdict;
	struct book_pair *pair = ended_pair(out);
	if (!pair->close_asked)
		sim_fail(pair->owner[0], pair->owner[1],
			"a pair of handles was closed that neither client wanted to close");
	ended(pair, "pair closed", COUNT_pairs_closed);
	return verdict;
}

bool __real_handles_expire(
	struct handles *handles, uint64_t now, unsigned *budget, struct handles_ended *out);
bool __wrap_handles_expire(
	struct handles *handles, uint64_t now, unsigned *budget, struct handles_ended *out);
bool __wrap_handles_expire(
	struct handles *handles, uint64_t now, unsigned *budget, struct handles_ended *out)
{
	if (!__real_handles_expire(handles, now, budget, out))
		return false;
	struct book_pair *pair = ended_pair(out);
	if (pair->until[0] > clock_now() + ROUNDING_US &&
		pair->until[1] > clock_now() + ROUNDING_US)
		sim_fail(pair->owner[0], pair->owner[1],
			"a pair of handles ended before its time had passed");
	ended(pair, "pair expired", COUNT_pairs_expired);
	return true;
}

bool __real_handles_end_next(struct handles *handles, uint32_t *position, uint64_t now,
	unsigned *budget, struct handles_ended *out);
bool __wrap_handles_end_next(struct handles *handles, uint32_t *position, uint64_t now,
	unsigned *budget, struct handles_ended *out);
bool __wrap_handles_end_next(struct handles *handles, uint32_t *position, uint64_t now,
	unsigned *budget, struct handles_ended *out)
{
	if (!relay_drain_is_over())
		sim_fail(SIM_NOBODY, SIM_NOBODY, "handles are ended without a drain");
	if (!__real_handles_end_next(handles, position, now, budget, out))
		return false;
	ended(ended_pair(out), "pair drained", COUNT_pairs_expired);
	return true;
}

// ---- comparing ----

static void compare(const struct book_pair *pair)
{
	const struct handles *handles = relay_handles();
	for (unsigned side = 0; side < 2; side++) {
		const struct handle_fields *have =
			&handles->lines[pair->handle.index + side].fields;
		const struct net_endpoint *at = &pair->at[side], *peer = &pair->at[!side];
		if (have->generation != pair->handle.generation)
			sim_fail(pair->owner[0], pair->owner[1], "a handle is gone");
		if (have->client_port != at->port || have->peer_port != peer->port ||
			memcmp(have->client, at->address.bytes,
				at->address.family == NET_IPV4 ? 4 : 16) != 0 ||
			memcmp(have->peer, peer->address.bytes,
				peer->address.family == NET_IPV4 ? 4 : 16) != 0)
			sim_fail(pair->owner[0], pair->owner[1],
				"a handle is not bound to where it was put");
		int64_t left = (int64_t)(int32_t)(have->deadline - ticks_of(clock_tsc())) *
			       CLOCK_MS,
			wanted = (int64_t)(pair->until[side] - clock_now());
		if (left > wanted + ROUNDING_US || wanted > left + ROUNDING_US)
			sim_fail(pair->owner[side], SIM_NOBODY,
				"a handle ends in %lld ms, not in %lld", (long long)left / CLOCK_MS,
				(long long)wanted / CLOCK_MS);
	}
}

void book_pairs_compare(void)
{
	size_t position = 0;
	const struct book_pair *pair;
	while ((pair = map_next(&by_index, &position)) != NULL)
		compare(pair);
	const struct handles *handles = relay_handles();
	unsigned live = 0;
	for (uint32_t i = 0; i < handles->count; i++)
		live += handles->lines[i].fields.generation != 0;
	if (live != 2 * by_index.count)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "%u handles are live, not %zu", live,
			2 * by_index.count);
}

unsigned book_pairs_live(void)
{
	return (unsigned)by_index.count;
}

void book_pairs_sample(unsigned most, void (*look)(const struct book_pair *pair))
{
	size_t position = 0, step = by_open_id.count / most + 1;
	const struct book_pair *pair;
	for (size_t i = 0; (pair = map_next(&by_open_id, &position)) != NULL; i++)
		if (i % step == 0)
			look(pair);
}

void book_pairs_forget(void)
{
	size_t position = 0;
	struct book_pair *pair;
	while ((pair = map_next(&by_open_id, &position)) != NULL) {
		pair->made = pair->live = pair->close_asked = false;
		pair->effective[0] = pair->effective[1] = 0;
	}
	map_free(&ended_now);
	map_free(&by_index);
}

void book_pairs_close(void)
{
	size_t position = 0;
	struct book_pair *pair;
	book_pairs_forget();
	while ((pair = map_next(&by_open_id, &position)) != NULL) {
		free(pair->asked);
		free(pair);
	}
	map_free(&by_open_id);
}
