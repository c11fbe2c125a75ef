// SPDX-License-Identifier: BSD-3-Clause
// See ledger.h.
#include "tests/sim/ledger.h"

#include "tests/sim/book.h"
#include "tests/sim/client.h"
#include "tests/sim/clock.h"
#include "tests/sim/map.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <stdlib.h>
#include <string.h>

enum {
	DUE_US = 3 * CLOCK_S,   // what is due has arrived after that
	CLEAR_US = 1 * CLOCK_S, // who does something else sooner excuses it
	// Two ways there and back of at most 93 ms each, and a turn of the relay.
	FOUND_US = 400 * CLOCK_MS,
	CHUNK = 1024,
};

enum note_kind { NOTE_CALL = 1, NOTE_DATA, NOTE_MESSAGE };

struct note {
	uint32_t kind, number, side, position;
	uint64_t check;
	uint8_t reserved[8];
};
static_assert(sizeof(struct note) == LEDGER_NOTE_SIZE, "a note");

struct message {
	uint16_t from, identity;
	bool sealed;
	uint8_t address[ENDPOINT_ADDRESS_SIZE];
	uint64_t at;
	unsigned heard_count, due_count;
	uint32_t heard[LEDGER_RECEIVERS_MAX]; // client and life
	uint16_t due[LEDGER_RECEIVERS_MAX];
};

static struct list {
	void **chunks; // of CHUNK items each, so that they stay where they are
	size_t item;
	uint32_t count;
} calls = {.item = sizeof(struct ledger_call)}, messages = {.item = sizeof(struct message)};

static void *list_at(const struct list *list, uint32_t number)
{
	return (uint8_t *)list->chunks[number / CHUNK] + number % CHUNK * list->item;
}

static void *list_add(struct list *list)
{
	if (list->count % CHUNK == 0) {
		size_t chunk = list->count / CHUNK;
		list->chunks = realloc(list->chunks, (chunk + 1) * sizeof(*list->chunks));
		if (list->chunks == NULL ||
			(list->chunks[chunk] = calloc(CHUNK, list->item)) == NULL)
			abort();
	}
	return list_at(list, list->count++);
}

static void list_free(struct list *list)
{
	for (uint32_t i = 0; i * CHUNK < list->count; i++)
		free(list->chunks[i]);
	free(list->chunks);
}

static void write_note(uint8_t *out, struct note note)
{
	note.check = map_hash(&note, offsetof(struct note, check));
	memcpy(out, &note, sizeof(note));
}

static bool read_note(struct note *out, const void *data, size_t size, enum note_kind kind)
{
	if (size < sizeof(*out))
		return false;
	memcpy(out, data, sizeof(*out));
	return out->kind == kind && out->check == map_hash(out, offsetof(struct note, check));
}

// Nothing is lost until what is said now has arrived.
static bool is_lossless(void)
{
	return sim_phase.loss == 0 && sim_phase.until >= clock_now() + DUE_US;
}

// ---- calls ----

struct ledger_call *ledger_call(
	unsigned client, unsigned identity, uint8_t note[static LEDGER_NOTE_SIZE])
{
	struct ledger_call *call = list_add(&calls);
	*call = (struct ledger_call){.number = calls.count - 1,
		.client = {(uint16_t)client, SIM_NOBODY},
		.identity = (uint16_t)identity};
	write_note(note, (struct note){.kind = NOTE_CALL, .number = call->number});
	return call;
}

void ledger_answer(const struct ledger_call *call, uint8_t note[static LEDGER_NOTE_SIZE])
{
	write_note(note, (struct note){.kind = NOTE_CALL, .number = call->number, .side = 1});
}

// What is sealed end to end can only be a note: a relay that altered or misled it would have been
// found out by the endpoint.
struct ledger_call *ledger_note(unsigned client, const void *data, size_t size, unsigned side)
{
	struct note note;
	if (!read_note(&note, data, size, NOTE_CALL) || note.side != side ||
		note.number >= calls.count)
		sim_fail(client, SIM_NOBODY, "a sealed offer or answer says what nobody said");
	return list_at(&calls, note.number);
}

void ledger_over(struct ledger_call *call, unsigned side)
{
	call->over[side] = true;
	if (call->over_at == 0)
		call->over_at = clock_now();
}

void ledger_moves(struct ledger_call *call, unsigned side, bool rebound)
{
	call->rebound[side] = rebound && (!call->moving[side] || call->rebound[side]);
	call->moving[side] = true;
	call->unsettled[side] = clock_now();
}

void ledger_found(struct ledger_call *call, unsigned side)
{
	call->moving[side] = false;
	call->unsettled[side] = clock_now();
}

bool ledger_say(struct ledger_call *call, unsigned side, uint8_t note[static LEDGER_NOTE_SIZE])
{
	if (call->said[side] == LEDGER_SAID_MAX)
		return false;
	write_note(note, (struct note){.kind = NOTE_DATA,
				 .number = call->number,
				 .side = side,
				 .position = call->said[side]++});
	sim_count(COUNT_data_sent);
	return true;
}

static bool heard(const struct ledger_call *call, unsigned side, unsigned position)
{
	return call->heard[side][position / 8] >> position % 8 & 1;
}

struct due {
	struct ledger_call *call;
	uint64_t at;
	unsigned side, position;
};

static void look_for_data(void *object, uint64_t argument)
{
	struct due *due = object;
	(void)argument;
	const struct ledger_call *call = due->call;
	uint64_t clear = due->at + CLEAR_US;
	bool excused = (call->over_at != 0 && call->over_at < clear) ||
		       call->unsettled[0] >= due->at || call->unsettled[1] >= due->at;
	if (excused)
		sim_count(COUNT_due_excused);
	else if (!heard(call, due->side, due->position))
		sim_fail(call->client[0], call->client[1],
			"data %u by handle of call %u, said by client %u after %.6f s, was lost",
			due->position, call->number, call->client[due->side],
			(double)due->at / CLOCK_S);
	free(due);
}

static void look_for_path(void *object, uint64_t argument)
{
	struct due *due = object;
	(void)argument;
	const struct ledger_call *call = due->call;
	if (call->over_at == 0 && call->moving[due->side] && call->unsettled[due->side] < due->at)
		sim_fail(call->client[due->side], call->client[!due->side],
			"client %u said something after %.6f s and has not been found since",
			call->client[due->side], (double)due->at / CLOCK_S);
	free(due);
}

// Both know that it is open, and where they are.
void ledger_said(struct ledger_call *call, unsigned side)
{
	if (!is_lossless() || !call->open[0] || !call->open[1] || call->over_at != 0)
		return;
	bool moving = call->moving[0] || call->moving[1];
	// Where something was lost the answer may have been, by which it knows that it was found.
	if (moving && !(call->moving[side] && call->rebound[side] &&
			      call->unsettled[side] >= sim_phase.since))
		return;
	struct due *due = malloc(sizeof(*due));
	if (due == NULL)
		abort();
	*due = (struct due){call, clock_now(), side, call->said[side] - 1};
	sim_count(moving ? COUNT_paths_due : COUNT_due);
	if (moving)
		clock_after(FOUND_US, look_for_path, due, 0);
	else
		clock_after(DUE_US, look_for_data, due, 0);
}

void ledger_heard(struct ledger_call *call, unsigned side, const void *data, size_t size)
{
	struct note note;
	unsigned client = call->client[side], from = !side;
	if (!read_note(&note, data, size, NOTE_DATA))
		sim_fail(client, call->client[from], "data of a call that nobody said");
	if (note.number != call->number || note.side != from)
		sim_fail(client, call->client[from], "data of call %u came in call %u", note.number,
			call->number);
	if (note.position >= call->said[from])
		sim_fail(client, call->client[from], "data came before it was said");
	if (heard(call, from, note.position))
		sim_fail(client, call->client[from], "data %u of call %u came twice", note.position,
			call->number);
	call->heard[from][note.position / 8] |= (uint8_t)(1 << note.position % 8);
	sim_count(COUNT_data_received);
}

// ---- messages ----

static void look_for_message(void *object, uint64_t argument)
{
	const struct message *m = object;
	(void)argument;
	for (unsigned i = 0; i < m->due_count; i++) {
		const struct client *client = client_at(m->due[i]);
		bool found = false;
		for (unsigned h = 0; h < m->heard_count; h++)
			found |= (m->heard[h] & 0xFFFF) == m->due[i];
		// Whoever has left or moved meanwhile may have missed it.
		if (client_at(m->from)->settled_at > m->at || client->settled_at > m->at)
			sim_count(COUNT_due_excused);
		else if (!found)
			sim_fail(m->due[i], m->from,
				"data by address, said by client %u after %.6f s, did not reach "
				"client %u",
				m->from, (double)m->at / CLOCK_S, m->due[i]);
	}
}

void ledger_message(unsigned client, unsigned identity, bool sealed, const uint8_t *address,
	uint8_t note[static LEDGER_NOTE_SIZE])
{
	struct message *m = list_add(&messages);
	*m = (struct message){.from = (uint16_t)client,
		.identity = (uint16_t)identity,
		.sealed = sealed,
		.at = clock_now()};
	memcpy(m->address, address, sizeof(m->address));
	write_note(note, (struct note){.kind = NOTE_MESSAGE, .number = messages.count - 1});
}

// Of those who gather with one identity, more than may, the relay takes the first; others may get
// in when one leaves.
static bool has_place(const struct client *client, const uint8_t *wanted)
{
	const struct book_address *address = book_address(wanted);
	if (client->identity != 0)
		return true;
	for (unsigned i = 0; address != NULL && i < address->count; i++)
		if (address->devices[i]->owner == client->number &&
			book_lease_live(address->devices[i]) &&
			net_endpoint_equal(&address->devices[i]->at, &client->host.transport))
			return true;
	return false;
}

void ledger_message_sent(void)
{
	struct message *m = list_at(&messages, messages.count - 1);
	sim_count(COUNT_messages_sent);
	if (!sim_phase.calm || !is_lossless() || !client_settled(client_at(m->from)))
		return;
	struct client *client;
	for (unsigned from = 0; (client = client_of_identity(m->identity, from)) != NULL;
		from = client->number + 1u)
		if (client_settled(client) && has_place(client, m->address) &&
			m->due_count < LEDGER_RECEIVERS_MAX) {
			m->due[m->due_count++] = client->number;
			sim_count(COUNT_due);
		}
	if (m->due_count > 0)
		clock_after(DUE_US, look_for_message, m, 0);
}

void ledger_message_heard(unsigned client, const struct endpoint_event *event)
{
	const struct client *to = client_at(client);
	struct note note;
	if (!read_note(&note, event->data, event->size, NOTE_MESSAGE) ||
		note.number >= messages.count) {
		if (event->message.sealed)
			sim_fail(client, SIM_NOBODY, "a sealed message says what nobody said");
		sim_count(COUNT_forgeries_told); // to an address anybody may send anything
		return;
	}
	struct message *m = list_at(&messages, note.number);
	if (m->identity != to->identity || m->sealed != event->message.sealed ||
		memcmp(m->address, event->message.address, sizeof(m->address)) != 0)
		sim_fail(client, m->from, "message %u came to another than it was sent to",
			note.number);
	if (m->sealed && memcmp(event->message.from, client_peer(client_at(m->from)->identity),
				 sizeof(*event->message.from)) != 0)
		sim_fail(client, m->from, "message %u came from another than sent it", note.number);
	uint32_t who = client | to->life << 16;
	for (unsigned i = 0; i < m->heard_count; i++)
		if (m->heard[i] == who && m->sealed)
			sim_fail(client, m->from, "message %u came twice", note.number);
		else if (m->heard[i] == who)
			return;
	if (m->heard_count < LEDGER_RECEIVERS_MAX)
		m->heard[m->heard_count++] = who;
	sim_count(COUNT_messages_received);
}

void ledger_close(void)
{
	list_free(&calls);
	list_free(&messages);
}
