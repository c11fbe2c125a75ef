// SPDX-License-Identifier: BSD-3-Clause
// A ring of events; see trace.h.
#include "tests/sim/trace.h"

#include "lib/net/address_text.h"
#include "lib/wire/native.h"
#include "tests/sim/clock.h"
#include "tests/sim/map.h"
#include "tests/sim/sim.h"

#include <stdio.h>

enum { TRACE_RING = 1 << 18 };

struct entry {
	uint64_t at, data_hash;
	const char *what;
	struct net_endpoint transport;
	uint8_t kind, first[3];
	uint16_t client, size;
};

static struct {
	struct entry ring[TRACE_RING];
	uint64_t count, digest;
} journal;

static const char *const kind_names[] = {
	"sent", "arrived", "answered", "delivered", "nowhere", "table", "told", "scene"};

static const char *const type_names[] = {"?", "SOLICIT", "CHALLENGE", "REGISTER", "REGISTERED",
	"REFUSED", "KEEPALIVE", "ALIVE", "PATH_CHALLENGE", "PATH_RESPONSE", "OPEN", "INVITE",
	"ACCEPT", "OPENED", "CLOSE", "CLOSED", "UNSUPPORTED"};

static void print(const struct entry *e)
{
	char transport[NET_ENDPOINT_TEXT_SIZE] = "";
	if (e->transport.address.family != NET_UNSPECIFIED)
		net_endpoint_format(&e->transport, transport);
	printf("  %10.6f s  ", (double)e->at / CLOCK_S);
	if (e->client == SIM_NOBODY)
		printf("relay      ");
	else if (e->client == SIM_ADVERSARY)
		printf("adversary  ");
	else
		printf("client %-4u", e->client);
	printf("%-10s%s %s", kind_names[e->kind], e->what, transport);
	if (e->size > 0) {
		const char *type =
			e->first[0] == NATIVE_FIRST_ADDRESS  ? "by address"
			: e->first[0] == NATIVE_FIRST_HANDLE ? "by handle"
			: e->first[0] == NATIVE_FIRST_CONTROL && e->first[2] <= NATIVE_UNSUPPORTED
				? type_names[e->first[2]]
				: "?";
		printf(" %s, %u bytes, %08x", type, e->size, (unsigned)e->data_hash);
	}
	printf("\n");
}

void trace(enum trace_kind kind, unsigned client, const char *what,
	const struct net_endpoint *transport, const void *data, size_t size)
{
	struct entry *e = &journal.ring[journal.count++ % TRACE_RING];
	*e = (struct entry){.at = clock_now(),
		.what = what,
		.kind = (uint8_t)kind,
		.client = (uint16_t)client,
		.size = (uint16_t)size};
	if (transport != NULL)
		e->transport = *transport;
	if (size > 0) {
		memcpy(e->first, data, size < sizeof(e->first) ? size : sizeof(e->first));
		e->data_hash = map_hash(data, size);
	}
	uint64_t words[8] = {journal.digest, e->at, e->data_hash,
		(uint64_t)kind << 32 | (uint64_t)client << 16 | e->size,
		map_hash(what, strlen(what))};
	memcpy(&words[5], &e->transport, sizeof(e->transport));
	journal.digest = map_hash(words, sizeof(words));
	if (sim_options.follow != SIM_NOBODY && client == sim_options.follow)
		print(e);
}

uint64_t trace_digest(void)
{
	return journal.digest;
}

uint64_t trace_count(void)
{
	return journal.count;
}

static bool concerns(const struct entry *e, unsigned client, unsigned other)
{
	return client == SIM_NOBODY || e->client == client || e->kind == TRACE_SCENE ||
	       (other != SIM_NOBODY && e->client == other);
}

void trace_print(unsigned client, unsigned other, unsigned most)
{
	uint64_t first = journal.count > TRACE_RING ? journal.count - TRACE_RING : 0,
		 from = journal.count;
	for (unsigned found = 0; from > first && found < most; from--)
		found += concerns(&journal.ring[(from - 1) % TRACE_RING], client, other);
	for (; from < journal.count; from++)
		if (concerns(&journal.ring[from % TRACE_RING], client, other))
			print(&journal.ring[from % TRACE_RING]);
}
