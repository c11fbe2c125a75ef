// SPDX-License-Identifier: BSD-3-Clause
// See user.h.
#include "tests/sim/user.h"

#include "tests/sim/client.h"
#include "tests/sim/clock.h"
#include "tests/sim/scenario.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <stdlib.h>
#include <string.h>

enum {
	TALK_US = 1200 * CLOCK_MS,  // between two data of a call, on the average
	THINK_US = 2500 * CLOCK_MS, // longest before an invitation is answered
	AWAY_US = 20 * CLOCK_S,     // before who left comes again, on the average
	MESSAGE_MAX = 400,          // bytes
	GREETINGS = 5,
	CLOSE_CHANCE = 25000, // after each data
	// Nobody is silent for so long who keeps a handle alive.
	SILENCE_US = 90 * CLOCK_S,
};

// ---- calls ----

static void talk(void *object, uint64_t argument);

struct talker {
	struct client *client;
	uint32_t life;
	uint64_t id;
};

static void talk_soon(struct client *client, uint64_t id)
{
	struct talker *talker = malloc(sizeof(*talker));
	if (talker == NULL)
		abort();
	*talker = (struct talker){client, client->life, id};
	clock_after(dice_wait(&client->dice, TALK_US), talk, talker, 0);
}

static void hang_up(struct client *client, struct client_call *c)
{
	uint64_t id = c->id;
	trace(TRACE_TOLD, client->number, "hangs up", NULL, NULL, 0);
	ledger_over(c->call, c->side);
	*c = (struct client_call){0};
	endpoint_close(client->endpoint, id, client_time());
}

static void say(struct client *client, struct client_call *c)
{
	uint8_t data[MESSAGE_MAX];
	size_t size = dice_between(&client->dice, LEDGER_NOTE_SIZE, MESSAGE_MAX);
	struct ledger_call *call = c->call;
	unsigned side = c->side;
	memset(data, 0, size);
	if (!ledger_say(call, side, data))
		return;
	int result = endpoint_send(client->endpoint, c->id, data, size, client_time());
	if (result != 0)
		sim_fail(client->number, call->client[!side], "data of an open call: %s",
			strerror(-result));
	ledger_said(call, side);
}

static void talk(void *object, uint64_t argument)
{
	struct talker talker = *(struct talker *)object;
	struct client *client = talker.client;
	(void)argument;
	free(object);
	if (client->endpoint == NULL || client->life != talker.life || client->leaving)
		return;
	struct client_call *c = client_call_find(client, talker.id);
	if (c == NULL)
		return;
	if (sim_phase.calls)
		say(client, c);
	if (dice_chance(&client->dice, CLOSE_CHANCE))
		hang_up(client, c);
	else
		talk_soon(client, talker.id);
}

static void call_somebody(struct client *client)
{
	unsigned identity = (unsigned)dice_below(&client->dice, client_identities());
	const struct endpoint_peer *peer = client_peer(identity);
	uint8_t offer[LEDGER_NOTE_SIZE];
	uint64_t id;
	if (peer == NULL || identity == client->identity || !client_has_room(client))
		return;
	struct ledger_call *call = ledger_call(client->number, identity, offer);
	int result =
		endpoint_open(client->endpoint, peer, offer, sizeof(offer), &id, client_time());
	if (result != 0)
		sim_fail(client->number, SIM_NOBODY, "a call: %s", strerror(-result));
	trace(TRACE_TOLD, client->number, "calls", NULL, NULL, 0);
	client_call_begin(client, id, call, 0);
	call->id[0] = id;
	sim_count(COUNT_calls);
}

static void decide(void *object, uint64_t argument)
{
	struct talker talker = *(struct talker *)object;
	struct client *client = talker.client;
	uint8_t answer[LEDGER_NOTE_SIZE];
	(void)argument;
	free(object);
	if (client->endpoint == NULL || client->life != talker.life || client->leaving)
		return;
	struct client_call *c = client_call_find(client, talker.id);
	if (c == NULL)
		return;
	uint64_t choice = dice_below(&client->dice, 10);
	if (choice < 8) {
		ledger_answer(c->call, answer);
		trace(TRACE_TOLD, client->number, "accepts", NULL, NULL, 0);
		endpoint_accept(client->endpoint, talker.id, answer, sizeof(answer), client_time());
	} else if (choice == 8) {
		trace(TRACE_TOLD, client->number, "declines", NULL, NULL, 0);
		*c = (struct client_call){0};
		endpoint_decline(client->endpoint, talker.id, client_time());
	}
	// Else it rings until the caller gives up.
}

static void invited(struct client *client, const struct endpoint_event *event)
{
	struct ledger_call *call = ledger_note(client->number, event->data, event->size, 0);
	const struct client *caller = client_at(call->client[0]);
	if (call->identity != client->identity)
		sim_fail(client->number, caller->number, "an invitation came to another identity");
	if (memcmp(event->invite.caller, client_peer(caller->identity),
		    sizeof(*event->invite.caller)) != 0)
		sim_fail(client->number, caller->number, "an invitation in another's name");
	trace(TRACE_TOLD, client->number, "is called", NULL, NULL, 0);
	// An OPEN that was repeated after the relay had forgotten what came of it rings again.
	if (!client_has_room(client) || call->open[1] || call->over_at != 0) {
		endpoint_decline(client->endpoint, event->call, client_time());
		return;
	}
	client_call_begin(client, event->call, call, 1);
	struct talker *talker = malloc(sizeof(*talker));
	if (talker == NULL)
		abort();
	*talker = (struct talker){client, client->life, event->call};
	clock_after(dice_below(&client->dice, THINK_US), decide, talker, 0);
}

static struct client_call *known_call(struct client *client, const struct endpoint_event *event)
{
	struct client_call *c = client_call_find(client, event->call);
	if (c == NULL || event->call == 0)
		sim_fail(client->number, SIM_NOBODY, "an endpoint tells of a call that is over");
	return c;
}

static void opened(struct client *client, const struct endpoint_event *event)
{
	struct client_call *c = known_call(client, event);
	struct ledger_call *call = c->call;
	if (call->open[c->side] && call->opened_at[c->side] > scenario_dataplane_since())
		sim_fail(client->number, call->client[!c->side], "a call was opened twice");
	// What was opened at an earlier start of the dataplane may be opened anew, even by another
	// device. Of the first time nothing is expected any more.
	if (call->open[c->side])
		ledger_over(call, c->side);
	if (c->side == 0 && ledger_note(client->number, event->data, event->size, 1) != call)
		sim_fail(client->number, call->client[1], "another call's answer");
	call->client[c->side] = client->number;
	call->open[c->side] = true;
	call->opened_at[c->side] = clock_now();
	// If it moved meanwhile, where the handle is bound is not known here.
	call->moving[c->side] = c->moved;
	call->rebound[c->side] = false;
	sim_count(COUNT_opened);
	trace(TRACE_TOLD, client->number, "has a call", NULL, NULL, 0);
	talk_soon(client, event->call);
}

// A call that both wanted to keep, and that nothing has disturbed for long.
static bool should_live(const struct ledger_call *call)
{
	uint64_t since = scenario_dataplane_since();
	for (unsigned side = 0; side < 2; side++) {
		if (!call->open[side] || call->over[side] || call->moving[side])
			return false;
		if (call->unsettled[side] > since)
			since = call->unsettled[side];
	}
	return sim_phase.calm && since + SILENCE_US < clock_now();
}

static void ended(struct client *client, const struct endpoint_event *event)
{
	struct client_call *c = client_call_find(client, event->call);
	sim_count(event->ended.why == ENDPOINT_END_DECLINED ? COUNT_declined : COUNT_ended);
	trace(TRACE_TOLD, client->number, scenario_end_name(event->ended.why), NULL, NULL, 0);
	if (c == NULL || event->call == 0)
		return; // one that there was no room for
	struct ledger_call *call = c->call;
	if (event->ended.why == ENDPOINT_END_NOT_SEALED)
		sim_fail(client->number, call->client[!c->side],
			"a call was answered by somebody else");
	// Another device may have taken it.
	bool takes_part = c->side == 0 || (call->open[1] && call->client[1] == client->number);
	if (event->ended.why == ENDPOINT_END_REFUSED && sim_phase.quiet && client_settled(client))
		sim_fail(client->number, call->client[!c->side],
			"the relay refuses a call for reason %u", event->ended.reason);
	if (takes_part && should_live(call))
		sim_fail(client->number, call->client[!c->side], "a call %s for no reason",
			scenario_end_name(event->ended.why));
	if (takes_part)
		ledger_over(call, c->side);
	*c = (struct client_call){0};
}

// ---- messages ----

static void send_message(struct client *client)
{
	uint8_t data[MESSAGE_MAX], address[ENDPOINT_ADDRESS_SIZE];
	unsigned identity = (unsigned)dice_below(&client->dice, client_identities());
	const struct endpoint_peer *peer = client_peer(identity);
	size_t size = dice_between(&client->dice, LEDGER_NOTE_SIZE, MESSAGE_MAX);
	bool sealed = dice_chance(&client->dice, 500000);
	struct endpoint_usage usage;
	endpoint_usage(client->endpoint, &usage);
	if (peer == NULL || !usage.connected)
		return;
	if (endpoint_peer_address(peer, (uint32_t)(clock_wall_s() / SIM_EPOCH_S), address) != 0)
		abort();
	memset(data, 0, size);
	ledger_message(client->number, identity, sealed, address, data);
	int result =
		sealed ? endpoint_send_to_peer(client->endpoint, peer, data, size, client_time())
		       : endpoint_send_to_address(
				 client->endpoint, address, data, size, client_time());
	if (result == 0)
		ledger_message_sent();
}

void user_greet(struct client *client)
{
	if (client->endpoint == NULL || client->leaving)
		return;
	for (unsigned i = 0; i < GREETINGS; i++)
		send_message(client);
}

// ---- coming and going ----

static void come_again(void *object, uint64_t life)
{
	struct client *client = object;
	if (client->life == life && client->endpoint == NULL && sim_phase.calls)
		client_come(client);
}

static void go_home(struct client *client)
{
	client_vanish(client);
	clock_after(dice_wait(&client->dice, AWAY_US), come_again, client, client->life);
}

static void withdrawn(void *object, uint64_t life)
{
	struct client *client = object;
	if (client->life != life || !client->leaving)
		return;
	sim_count(COUNT_withdrawn);
	go_home(client);
}

static void act(void *object, uint64_t life)
{
	struct client *client = object;
	if (client->life != life || client->endpoint == NULL || client->leaving)
		return;
	uint64_t choice = dice_below(&client->dice, 100);
	if (sim_phase.calls && choice < 40)
		call_somebody(client);
	else if (sim_phase.calls && choice < 75)
		send_message(client);
	else if (sim_phase.moves && choice < 88)
		client_move(client, choice < 81);
	else if (sim_phase.restless && choice < 92)
		client_leave(client);
	else if (sim_phase.restless && choice < 96) {
		sim_count(COUNT_vanished);
		go_home(client);
		return;
	}
	clock_after(dice_wait(&client->dice, scenario_act_us()), act, client, life);
}

void user_begin(struct client *client)
{
	clock_after(dice_wait(&client->dice, scenario_act_us()), act, client, client->life);
}

void user_event(struct client *client, const struct endpoint_event *event)
{
	struct client_call *c;
	switch (event->type) {
	case ENDPOINT_REGISTERED:
		sim_count(COUNT_registered);
		trace(TRACE_TOLD, client->number, "is registered", NULL, NULL, 0);
		if (client->settling && !client->leaving) {
			client->settled_at = clock_now();
			client->settling = false;
		}
		break;
	case ENDPOINT_REFUSED:
		sim_count(COUNT_refused);
		trace(TRACE_TOLD, client->number, "is refused", NULL, NULL, 0);
		break;
	case ENDPOINT_WITHDRAWN:
		trace(TRACE_TOLD, client->number, "is withdrawn", NULL, NULL, 0);
		clock_after(0, withdrawn, client, client->life);
		break;
	case ENDPOINT_MESSAGE:
		ledger_message_heard(client->number, event);
		break;
	case ENDPOINT_INVITE:
		invited(client, event);
		break;
	case ENDPOINT_OPENED:
		opened(client, event);
		break;
	case ENDPOINT_DATA:
		c = known_call(client, event);
		ledger_heard(c->call, c->side, event->data, event->size);
		break;
	case ENDPOINT_ENDED:
		ended(client, event);
		break;
	case ENDPOINT_PATH_CHANGED:
		sim_count(COUNT_paths_changed);
		c = known_call(client, event);
		trace(TRACE_TOLD, client->number, "is found again", NULL, NULL, 0);
		ledger_found(c->call, c->side);
		break;
	default:
		break;
	}
}
