// SPDX-License-Identifier: BSD-3-Clause
// A phone in a call receives any bytes from anywhere, between its own exchanges with a peer and a
// relay that work. The input is a list of records: what to do (one byte), a length, and bytes for
// it. What the peer itself would seal comes from the input, too: the inside of an envelope is no
// safer than its outside.
#include "endpoint/phone/inside.h"
#include "tests/unit/phone_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct talk *talk_of(struct town_user *u)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		if (u->phone->talks[i] != NULL && u->phone->talks[i]->has_session)
			return u->phone->talks[i];
	return NULL;
}

static void from_inside_at(struct town *t, struct town_user *from, struct town_user *to,
	const struct net_endpoint *source, const uint8_t *bytes, size_t size)
{
	uint8_t sealed[ENDPOINT_BARE_MAX];
	struct talk *talk = talk_of(from);
	struct endpoint_transport at = town_transport(source);

	if (talk == NULL || size + ENVELOPE_OVERHEAD > sizeof(sealed) ||
		envelope_seal(&talk->session, bytes, size, sealed) != 0)
		return;
	phone_receive(to->phone, 0, &at, sealed, size + ENVELOPE_OVERHEAD, town_time(t));
}

static void from_inside(struct town *t, struct town_user *from, struct town_user *to,
	const uint8_t *bytes, size_t size)
{
	struct net_endpoint source = {.address = from->outside, .port = from->ports[0]};
	from_inside_at(t, from, to, &source, bytes, size);
}

static void by_address(struct town *t, struct town_user *from, const struct town_user *to,
	const uint8_t *bytes, size_t size)
{
	uint8_t address[ENDPOINT_ADDRESS_SIZE];

	if (endpoint_peer_address(&to->phone->self,
		    (uint32_t)(town_time(t).wall_s / t->relays[0].relay.epoch_seconds),
		    address) == 0 &&
		size <= ENDPOINT_RAW_MAX)
		endpoint_send_to_address(
			phone_core(from->phone, 0), address, bytes, size, town_time(t));
}

// A call whose offer opens, from a new identity, and carries the input; the leg is a real one.
static void call_with(struct town *t, struct town_user *from, const struct town_user *to,
	const uint8_t *bytes, size_t size)
{
	enum { PAYLOAD = 512 };
	uint8_t id[PHONE_CALL_ID_SIZE], seed[32], prologue[SETUP_PROLOGUE_SIZE];
	uint8_t payload[PAYLOAD] = {1}, message[HANDSHAKE_OFFER_OVERHEAD + PAYLOAD];
	uint8_t offer[PHONE_OFFER_SIZE] = {PHONE_OFFER_KIND, PHONE_OFFER_VERSION};
	uint8_t part[ENDPOINT_RAW_MAX];
	const struct handshake_random random = {.fill = town_fill, .context = &from->random_state};
	struct handshake_identity self;
	struct handshake handshake;
	struct phone_contact contact;
	uint64_t call;

	size = size < PAYLOAD - 65 ? size : PAYLOAD - 65;
	town_contact(to, &contact);
	town_fill(&from->random_state, id, sizeof(id));
	town_fill(&from->random_state, seed, sizeof(seed));
	handshake_identity_make(&self, seed);
	setup_prologue(prologue, id, to->config.namespace_id);
	memcpy(payload + 1, from->phone->self.namespace_id, 32);
	memcpy(payload + 33, from->phone->self.delivery_key, 32);
	memcpy(payload + 65, bytes, size);
	if (handshake_offer(&handshake, &self, contact.identity_key, prologue, sizeof(prologue),
		    &random, payload, 65 + size, message) != 0)
		return;
	handshake_wipe(&handshake);
	memcpy(offer + 2, id, sizeof(id));
	endpoint_open(phone_core(from->phone, 0), &contact.peer, offer, sizeof(offer), &call,
		town_time(t));
	size = HANDSHAKE_OFFER_OVERHEAD + 65 + size;
	for (unsigned i = 0; i < fragment_count(size); i++) {
		size_t one = fragment_make(part, id, FRAGMENT_OFFER, message, size, i);
		by_address(t, from, to, part, one);
	}
}

static void act(struct town *t, uint8_t what, const uint8_t *bytes, size_t size)
{
	struct town_user *u = &t->users[what >> 7], *other = &t->users[!(what >> 7)];
	struct net_endpoint outside = {.address = other->outside, .port = other->ports[0]};
	struct endpoint_transport relay = town_transport(&t->relays[0].address);
	struct endpoint_transport peer = town_transport(&outside);
	struct phone_contact contact;

	switch (what & 15) {
	case 0:
	case 1:
		phone_receive(u->phone, 0, what & 1 ? &relay : &peer, bytes, size, town_time(t));
		break;
	case 2:
	case 3:
	case 4:
		from_inside(t, other, u, bytes, size);
		break;
	case 5:
		town_contact(other, &contact);
		phone_call(u->phone, &contact, &u->call, town_time(t));
		break;
	case 6:
		phone_hangup(u->phone, u->call, town_time(t));
		break;
	case 7:
		phone_voice(u->phone, u->call, bytes, size, town_time(t));
		break;
	case 8:
		u->host.transport.address[3] ^= 1;
		phone_hosts(u->phone, &u->host, 1, town_time(t));
		break;
	case 9:
		t->direct_cut = !t->direct_cut;
		break;
	case 10:
		relay_restart(&t->relays[0].relay);
		break;
	case 11: // a part of a handshake, by address
		by_address(t, other, u, bytes, size);
		break;
	case 12:
		call_with(t, other, u, bytes, size);
		break;
	case 13: // from a place that nobody has told
		outside.port = (uint16_t)(outside.port + (size > 0 ? bytes[0] : 1));
		from_inside_at(t, other, u, &outside, bytes, size);
		break;
	default:
		town_run(t, size ? bytes[0] * 8u : 50);
		break;
	}
	for (unsigned i = 0; i < 2; i++)
		if (t->users[i].event_count > TOWN_EVENTS / 2)
			t->users[i].event_count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct town t;
	struct phone_contact contact;

	town_begin(&t, 1);
	t.delay_ms = 5;
	for (unsigned i = 0; i < 2; i++) {
		town_user_make(&t, i, NULL, 1);
		t.users[i].answers = true;
		t.users[i].deaf = true;
		phone_listen(t.users[i].phone, town_time(&t));
	}
	town_run(&t, 200);
	town_contact(&t.users[1], &contact);
	phone_call(t.users[0].phone, &contact, &t.users[0].call, town_time(&t));
	town_run(&t, 100);
	for (unsigned steps = 0; size >= 2 && steps < 64; steps++) {
		size_t n = (size_t)data[1] * 5;
		uint8_t what = data[0];
		data += 2;
		size -= 2;
		n = n < size ? n : size;
		act(&t, what, data, n);
		data += n;
		size -= n;
	}
	town_end(&t);
	return 0;
}
