// SPDX-License-Identifier: BSD-3-Clause
// What the files of the registration core share: the core itself, and the doors between dispatch,
// the messages and replies. Private to controlplane/registration and its tests.
#pragma once

#include "controlplane/registration/load.h"
#include "controlplane/registration/registration.h"
#include "controlplane/registration/request.h"
#include "controlplane/registration/ticket.h"

enum {
	// A lease that would end sooner, because its epoch does, is not made; in epochs of less
	// than 80 s an eighth of one.
	REGISTRATION_SHORTEST_S = 10,
	REGISTRATION_BUSY_MS = 1000, // what clients are told to wait
	REGISTRATION_FULL_MS = 10000,
	REGISTRATION_HANDLE_LEAST_S = 30,
};

struct registration_core {
	const struct config *config;
	struct registration_output output;
	struct registration_key key;
	bool has_key;
	uint8_t ticket_key[REGISTRATION_TICKET_KEY_SIZE];
	bool connected; // once; before that there is no key of tickets
	bool draining;
	struct registration_load load;
	struct registration_flight flight;
	uint64_t now_ms, wall_s; // as of the last call that told them

	struct api_native_settings told; // the dataplane
	bool settings_due;               // it has to be told again
	bool settings_refused;           // it said no: again with the next tick
	uint32_t settings_id;            // of the request under way; 0: none

	uint64_t counters[REGISTRATION_COUNTER_COUNT];
};

// A punted message being looked at.
struct registration_call {
	const struct api_native_punt *punt;
	const uint8_t *message;
	struct registration_request request;
};

static inline void registration_count(
	struct registration_core *core, enum registration_counter counter)
{
	core->counters[counter]++;
}

static inline bool registration_served(const struct registration_core *core)
{
	return core->has_key && core->config->registration.enabled;
}

// The messages. Each answers, or starts something whose outcome comes to its _done.
void registration_register(struct registration_core *core, struct registration_call *call);
void registration_register_done(
	struct registration_core *core, const struct registration_request *request, int result);
void registration_open(struct registration_core *core, struct registration_call *call);
void registration_open_done(
	struct registration_core *core, const struct registration_request *request, int result);
void registration_accept(struct registration_core *core, struct registration_call *call);
void registration_accept_done(struct registration_core *core,
	const struct registration_request *request, int result,
	const struct api_handles_installed *installed);

// Whether the signature at the message's end is the key's.
bool registration_signed(
	const uint8_t *message, size_t size, const uint8_t key[static NATIVE_KEY_SIZE]);

// Whether there is room for one more request; else the client is told to come again.
bool registration_room(struct registration_core *core, const struct registration_party *to);
// Sends a request to the dataplane; held waits for its answer. When that is not possible now, held
// is released and false returned: the client will repeat itself.
bool registration_install(struct registration_core *core, struct registration_request *held,
	enum api_type type, const void *payload, uint32_t size);
// The same for a request that is not held yet.
bool registration_start(struct registration_core *core, const struct registration_request *request,
	enum api_type type, const void *payload, uint32_t size);

// ---- admission.c ----

// What a REGISTER of a device without a lease must bring, but for the token itself. True when it
// may go on; otherwise it has been refused.
bool registration_admit(struct registration_core *core, const struct registration_call *call,
	const struct native_register *message);
// Whether a token has to be spent for it.
bool registration_wants_token(const struct registration_core *core,
	const struct registration_call *call, const struct native_register *message);
// Spends it, and makes the lease then; or refuses.
void registration_redeem(struct registration_core *core, struct registration_call *call,
	const struct native_register *message);
// The lease was not made: the token may be spent again.
void registration_give_back(
	struct registration_core *core, const struct registration_request *request);

// Sends the dataplane what workers tell clients, if that is other than it was told. Call with a
// fresh clock.
void registration_settings(struct registration_core *core);

// ---- reply.c ----

void registration_refuse(struct registration_core *core, const struct registration_party *to,
	enum native_reason reason, uint32_t detail);
void registration_reply_registered(
	struct registration_core *core, const struct registration_request *request);
// To one end of the new pair; sealed: what the other end has for it.
void registration_reply_opened(struct registration_core *core, const struct registration_party *to,
	const struct registration_request *request, const struct native_handle *handle,
	const uint8_t path_key[static NATIVE_PATH_KEY_SIZE], const uint8_t *sealed,
	uint16_t sealed_size);
// How long a handle lives without keepalives.
uint32_t registration_handle_s(const struct registration_core *core);
// REFUSED for what the dataplane said. Those that say nothing to a client are only counted.
void registration_refuse_errno(
	struct registration_core *core, const struct registration_party *to, int result);
