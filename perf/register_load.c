// SPDX-License-Identifier: BSD-3-Clause
// Load for the native protocol's registration: how many clients a second? Who asks, and how:
// perf/generator/clients.h.
//
// A pass: every client, with a key, an address and a device of its own, goes SOLICIT -> CHALLENGE
// -> REGISTER -> REGISTERED (the part that counts), and then all withdraw. Keys and the nonces'
// points are made before the clock starts, the rest of each signature when the cookie has come
// (native_client.h). Answers are checked: type, transaction, lifetime, observed source. `--keep`:
// nobody withdraws. Prints a JSON line a phase.
//
// `--limit S` sends nothing: how many of such signatures a second one core can verify, which is the
// relay's own limit.
#include "perf/generator/clients.h"
#include "perf/generator/fail.h"
#include "perf/generator/native_client.h"

#include <sched.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

enum step { STEP_SOLICIT, STEP_REGISTER, STEP_WITHDRAW };

enum {
	LIFETIME_S = 3600,
	LIMIT_CLIENTS = 1024, // no key is in a cache because it was just there
	CODE_OTHER = 99,      // behind all reasons of REFUSED
};

struct load {
	struct clients clients;
	struct native_client *natives;
	bool keep;
	double limit; // seconds; 0: load
};

static void make_clients(struct native_client *natives, uint32_t count)
{
	uint32_t epoch = epoch_at((uint64_t)time(NULL), EPOCH_SECONDS);
	for (uint32_t i = 0; i < count; i++)
		native_client_make(&natives[i], epoch);
}

// ---- the protocol ----

static struct clients_frame request(void *context, const struct client *client, bool begins)
{
	struct load *load = context;
	struct native_client *native = &load->natives[client->index];
	const struct net_endpoint from = clients_endpoint(&load->clients, client->index);
	const struct net_endpoint *to = &load->clients.options.server;
	if (begins && client->step == STEP_SOLICIT)
		native_client_solicit(native, &load->clients.path, &from, to);
	else if (begins)
		native_client_register(native, &load->clients.path, &from, to,
			client->step == STEP_REGISTER ? LIFETIME_S : 0);
	return (struct clients_frame){native->frame, native->length};
}

static int registered(
	struct load *load, struct client *client, const uint8_t *payload, size_t length)
{
	struct native_client *native = &load->natives[client->index];
	const struct net_endpoint from = clients_endpoint(&load->clients, client->index);
	struct native_registered m;
	bool wanted = client->step == STEP_REGISTER;
	if (client->step == STEP_SOLICIT || native_registered_parse(payload, length, &m) != 0 ||
		(m.lifetime > 0) != wanted || !net_endpoint_equal(&m.observed, &from))
		return CODE_OTHER;
	memcpy(native->cookie, m.cookie, NATIVE_COOKIE_SIZE);
	client->held = wanted;
	return CLIENTS_DONE;
}

static int answer(void *context, struct client *client, const uint8_t *payload, size_t length)
{
	struct load *load = context;
	struct native_client *native = &load->natives[client->index];
	struct native_header header;
	struct native_challenge challenge;
	struct native_refused refused;
	if (!client->working || native_header_parse(payload, length, &header) != 0 ||
		memcmp(header.transaction, native->transaction, NATIVE_TRANSACTION_SIZE) != 0)
		return CLIENTS_STRAY;
	switch (header.type) {
	case NATIVE_CHALLENGE:
		if (native_challenge_parse(payload, length, &challenge) != 0)
			return CODE_OTHER;
		memcpy(native->cookie, challenge.cookie, NATIVE_COOKIE_SIZE);
		// To anything else than SOLICIT: its cookie was too old.
		return client->step == STEP_SOLICIT ? CLIENTS_DONE : CLIENTS_AGAIN;
	case NATIVE_REGISTERED:
		return registered(load, client, payload, length);
	case NATIVE_REFUSED:
		return native_refused_parse(payload, length, &refused) == 0 ? refused.reason
									    : CODE_OTHER;
	default:
		return CODE_OTHER;
	}
}

// ---- passes ----

static void run_phase(struct load *load, unsigned pass, const struct clients_phase *phase)
{
	struct clients *clients = &load->clients;
	for (uint32_t i = 0; i < clients->options.count; i++)
		native_client_prepare(&load->natives[i]);
	clients_run(clients, phase);
	clients_print(clients, pass, NULL);
}

static void run_pass(struct load *load, unsigned pass)
{
	static const struct clients_phase withdrawal = {.name = "withdraw",
		.first = STEP_WITHDRAW,
		.last = STEP_WITHDRAW,
		.timed = STEP_WITHDRAW,
		.of_held = true,
		.seconds = 1e9};
	struct clients *clients = &load->clients;
	const struct clients_phase registration = {.name = "register",
		.first = STEP_SOLICIT,
		.last = STEP_REGISTER,
		.timed = STEP_REGISTER,
		.seconds = clients->options.seconds};
	clients_begin_pass(clients, pass);
	for (uint32_t i = 0; i < clients->options.count; i++)
		native_client_renew(&load->natives[i]);
	run_phase(load, pass, &registration);
	if (!load->keep)
		run_phase(load, pass, &withdrawal);
	clients_linger(clients);
}

// ---- the limit ----

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure_limit(const struct load *load)
{
	static const struct flow_path path;
	static struct native_client natives[LIMIT_CLIENTS];
	static uint8_t inputs[LIMIT_CLIENTS][sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	const struct net_endpoint nowhere = {.address.family = NET_IPV4};
	size_t size = NATIVE_CLIENT_FRAME - FLOW_STAMP_PLAIN, covered = 0;
	cpu_set_t core;
	CPU_ZERO(&core);
	CPU_SET(load->clients.options.core, &core);
	if (sched_setaffinity(0, sizeof(core), &core) != 0)
		fail("cannot run on that core", NULL);
	make_clients(natives, LIMIT_CLIENTS);
	for (uint32_t i = 0; i < LIMIT_CLIENTS; i++) {
		native_client_register(&natives[i], &path, &nowhere, &nowhere, LIFETIME_S);
		covered = native_signature_input(
			inputs[i], natives[i].frame + FLOW_STAMP_PLAIN, size);
	}
	uint64_t done = 0;
	double began = now_s(), now = began;
	for (; now < began + load->limit; now = now_s(), done++) {
		const struct native_client *native = &natives[done % LIMIT_CLIENTS];
		if (!blinding_verify(native->frame + NATIVE_CLIENT_FRAME - NATIVE_SIGNATURE_SIZE,
			    inputs[done % LIMIT_CLIENTS], covered, native->key))
			fail("a signature is wrong", NULL);
	}
	printf("{\"limit\":%.0f,\"seconds\":%.3f}\n", (double)done / (now - began), now - began);
}

// ---- set-up ----

static void parse_options(int argc, char **argv, struct load *load)
{
	static const struct option names[] = {CLIENTS_OPTIONS, {"keep", 0, NULL, 'k'},
		{"limit", 1, NULL, 'l'}, {"help", 0, NULL, 'h'}, {0}};
	static const char usage[] = "usage: register_load [--keep] " CLIENTS_USAGE
				    "       register_load --limit SECONDS [--core N]\n"
				    "  --keep     leave the leases\n" CLIENTS_USAGE_MORE;
	struct clients_options *o = &load->clients.options;
	bool wrong = false;
	*o = (struct clients_options){.count = 16384, .window = 256, .passes = 1, .seconds = 1e6};
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
		switch (c) {
		case 'k':
			load->keep = true;
			break;
		case 'l':
			load->limit = strtod(optarg, NULL);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			wrong |= !clients_option(o, c, optarg);
		}
	}
	if (wrong || (load->limit <= 0 && !clients_options_whole(o))) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load *load = take(1, sizeof(*load));
	parse_options(argc, argv, load);
	if (sodium_init() < 0)
		fail("libsodium", NULL);
	if (load->limit > 0) {
		measure_limit(load);
		return 0;
	}
	uint32_t count = load->clients.options.count;
	load->clients.protocol =
		(struct clients_protocol){.context = load, .request = request, .answer = answer};
	load->natives = take(count, sizeof(*load->natives));
	make_clients(load->natives, count);
	clients_open(&load->clients);
	for (unsigned pass = 0; pass < load->clients.options.passes; pass++)
		run_pass(load, pass);
	clients_close(&load->clients);
	return 0;
}
