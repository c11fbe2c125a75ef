// SPDX-License-Identifier: BSD-3-Clause
// Requests about leases, handles and the native protocol's settings; see native_requests.h.

#include "dataplane/native_requests.h"

#include "dataplane/command.h"
#include "dataplane/dataplane.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/prefix_shares.h"
#include "lib/wire/native.h"

#include <rte_memory.h>

#include <sys/random.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	RATE_MAX = 1000000000,
	DIFFICULTY_MAX = 64, // of a hash of 256 bits; whoever asks for more serves nobody
};

#define NATIVE_COUNTER_NAME(name) #name,

const char *native_counter_name(enum native_counter counter)
{
	static const char *const names[] = {NATIVE_COUNTERS(NATIVE_COUNTER_NAME)};
	return names[counter];
}

static void count(struct dataplane *dataplane, enum native_counter counter)
{
	dataplane->native.counters[counter]++;
}

// ---- life ----

int native_open(struct dataplane *dataplane, const struct config *config)
{
	struct native *native = &dataplane->native;
	struct native_settings *slot = &native->slots[0];
	dataplane->leases = leases_create(config->registration.leases, SOCKET_ID_ANY);
	dataplane->handles = handles_create(config->registration.handles, SOCKET_ID_ANY);
	if (dataplane->leases == NULL || dataplane->handles == NULL)
		return -ENOMEM;
	leases_share_set(dataplane->leases, prefix_shares_of(config->registration.leases));
	handles_share_set(dataplane->handles, prefix_shares_of(config->registration.handles));
	if (getrandom(slot->cookie_key, sizeof(slot->cookie_key), 0) != sizeof(slot->cookie_key) ||
		getrandom(slot->path_key, sizeof(slot->path_key), 0) != sizeof(slot->path_key) ||
		getrandom(&slot->tick_offset, sizeof(slot->tick_offset), 0) !=
			sizeof(slot->tick_offset))
		return -EIO;
	native->slots[1] = *slot;
	return 0;
}

void native_close(struct dataplane *dataplane)
{
	leases_free(dataplane->leases);
	handles_free(dataplane->handles);
	dataplane->leases = NULL;
	dataplane->handles = NULL;
	explicit_bzero(&dataplane->native, sizeof(dataplane->native));
}

// ---- leases and handles ----

static const struct node_addresses *addresses_of(const struct dataplane *dataplane)
{
	return &dataplane->settings.slots[dataplane->settings.current];
}

int native_lease(struct dataplane *dataplane, uint32_t type, const struct api_lease *lease)
{
	struct leases *leases = dataplane->leases;
	uint64_t before = leases->used, now = dataplane_now_tsc();
	int result;
	if (type == API_LEASE_REMOVE)
		result = leases_remove(leases, lease, now);
	else
		result = leases_set(
			leases, addresses_of(dataplane), lease, dataplane->drain.on, now);
	if (result < 0)
		count(dataplane, NATIVE_leases_refused);
	else if (leases->used > before)
		count(dataplane, NATIVE_leases_made);
	else if (leases->used < before)
		count(dataplane, NATIVE_leases_removed);
	else if (type == API_LEASE_SET)
		count(dataplane, NATIVE_leases_changed);
	return result;
}

int native_install(struct dataplane *dataplane, const struct api_handles_install *install,
	struct api_handles_installed *out)
{
	int result = handles_install(dataplane->handles, addresses_of(dataplane), install,
		dataplane->drain.on, dataplane_now_tsc(), out);
	count(dataplane, result < 0   ? NATIVE_handles_refused
			 : out->again ? NATIVE_handles_repeated
				      : NATIVE_handles_installed);
	return result;
}

// ---- settings ----

static bool valid(const struct api_native_settings *in)
{
	return in->epoch_seconds >= 1 && in->sender_bytes >= 1 && in->sender_bytes <= RATE_MAX &&
	       in->address_bytes >= 1 && in->address_bytes <= RATE_MAX && in->new_leases >= 1 &&
	       in->new_leases <= RATE_MAX && in->difficulty <= DIFFICULTY_MAX &&
	       in->admission <= NATIVE_ADMISSION_TOKEN &&
	       (in->flags & ~(API_NATIVE_SERVED | API_NATIVE_TELL_UNKNOWN)) == 0;
}

static bool same(const struct native_settings *a, const struct native_settings *b)
{
	return a->served == b->served && a->tell_unknown == b->tell_unknown &&
	       a->difficulty == b->difficulty && a->admission == b->admission &&
	       a->epoch == b->epoch && a->epoch_seconds == b->epoch_seconds &&
	       a->sender_bytes == b->sender_bytes && a->address_bytes == b->address_bytes;
}

static void tell_workers(struct dataplane *dataplane, uint64_t connection, uint32_t request)
{
	struct native *native = &dataplane->native;
	const struct command_native_settings payload = {&native->slots[native->current]};
	const struct command_request from = {API_NATIVE_SETTINGS, request, connection};
	native->pending = dataplane->worker_count;
	command_all_submit(dataplane, COMMAND_NATIVE_SETTINGS, &from, &payload, sizeof(payload));
}

int native_settings_set(struct dataplane *dataplane, const struct api_native_settings *in,
	uint64_t connection, uint32_t request)
{
	struct native *native = &dataplane->native;
	const struct native_settings *now = &native->slots[native->current];
	struct native_settings wanted = *now;
	if (!valid(in))
		return -EINVAL;
	if (native->pending || !command_all_free(dataplane))
		return -EAGAIN;
	leases_rate_set(dataplane->leases, in->new_leases);
	wanted.served = in->flags & API_NATIVE_SERVED;
	wanted.tell_unknown = in->flags & API_NATIVE_TELL_UNKNOWN;
	wanted.difficulty = in->difficulty;
	wanted.admission = in->admission;
	wanted.epoch = in->epoch;
	wanted.epoch_seconds = in->epoch_seconds;
	wanted.sender_bytes = in->sender_bytes;
	wanted.address_bytes = in->address_bytes;
	if (same(&wanted, now))
		return 0;
	native->slots[!native->current] = wanted;
	native->current = !native->current;
	tell_workers(dataplane, connection, request);
	return 1;
}

void native_settings_reported(struct dataplane *dataplane)
{
	assert(dataplane->native.pending > 0);
	dataplane->native.pending--;
}
