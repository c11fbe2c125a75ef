// SPDX-License-Identifier: BSD-3-Clause
// Load for a TURN server's slow path: how many authenticated Allocate + ChannelBind + Refresh a
// second? Who asks, and how: perf/generator/clients.h.
//
// A pass is four phases over all clients: a challenge each (nonces may be bound to the source),
// making all requests with their integrity, the three requests of each (the part that counts), and
// deletion, so that passes can be repeated. Answers are checked: class, transaction; of every 64th
// client the integrity too, after the clock has stopped. Prints a JSON line a phase.
#include "lib/net/address_text.h"
#include "perf/generator/clients.h"
#include "perf/generator/fail.h"
#include "perf/generator/turn_frames.h"

#include <sodium.h>
#include <string.h>

enum {
	SAMPLE_EVERY = 64,
	SAMPLE_SIZE = 512,
	REALM_MAX = 128,
	CHANNEL = 0x4001,
	PEER_PORT = 5000,
	ERROR_WITHOUT_CODE = 1,
};

struct load {
	struct clients clients;
	struct net_address peer;
	char *user, *password;
	struct turn_frame_login login;
	char realm[REALM_MAX];
	struct turn_frame (*frames)[TURN_STEPS];
	uint8_t (*nonces)[TURN_NONCE_MAX];
	uint8_t *nonce_lengths;
	uint8_t (*samples)[3][SAMPLE_SIZE];
	uint16_t (*sample_lengths)[3];
};

// ---- requests, made before they are sent ----

static void make_request(struct load *load, uint32_t index, enum turn_step step)
{
	const struct net_endpoint peer = {.address = load->peer, .port = PEER_PORT};
	const struct turn_frame_path path = {.macs = load->clients.path,
		.client = clients_endpoint(&load->clients, index),
		.server = load->clients.options.server};
	uint8_t transaction[STUN_TRANSACTION_LENGTH];
	randombytes_buf(transaction, sizeof(transaction));
	memcpy(load->login.nonce, load->nonces[index], TURN_NONCE_MAX);
	load->login.nonce_length = load->nonce_lengths[index];
	if (turn_frame_make(&load->frames[index][step], step, &path, &load->login, &peer, CHANNEL,
		    transaction))
		fail("a request does not fit", NULL);
}

static struct clients_frame request(void *context, const struct client *client, bool begins)
{
	const struct load *load = context;
	const struct turn_frame *frame = &load->frames[client->index][client->step];
	(void)begins;
	return (struct clients_frame){frame->bytes, frame->length};
}

// ---- answers ----

static void take_nonce(struct load *load, uint32_t index, const struct stun_message *m)
{
	struct stun_attribute a;
	if (!stun_find(m, STUN_NONCE, &a) || a.length > TURN_NONCE_MAX)
		fail("a challenge has no usable NONCE", NULL);
	memcpy(load->nonces[index], a.value, a.length);
	load->nonce_lengths[index] = (uint8_t)a.length;
	if (load->realm[0])
		return;
	if (!stun_find(m, STUN_REALM, &a) || a.length >= REALM_MAX)
		fail("a challenge has no usable REALM", NULL);
	memcpy(load->realm, a.value, a.length);
	load->login.realm = load->realm;
	stun_key_long_term(STUN_PASSWORD_MD5, load->user, strlen(load->user), load->realm,
		load->password, strlen(load->password), &load->login.key);
}

static int error_code(const struct stun_message *m)
{
	struct stun_attribute a;
	unsigned code;
	if (!stun_find(m, STUN_ERROR_CODE, &a) || stun_read_error(&a, &code) || code < 400 ||
		code >= CLIENTS_CODES)
		return ERROR_WITHOUT_CODE;
	return (int)code;
}

static void keep_sample(
	struct load *load, const struct client *client, const uint8_t *data, size_t length)
{
	unsigned which = client->step - (unsigned)TURN_STEP_ALLOCATE;
	if (client->index % SAMPLE_EVERY || which > 2 || length > SAMPLE_SIZE)
		return;
	memcpy(load->samples[client->index / SAMPLE_EVERY][which], data, length);
	load->sample_lengths[client->index / SAMPLE_EVERY][which] = (uint16_t)length;
}

static int answer(void *context, struct client *client, const uint8_t *payload, size_t length)
{
	struct load *load = context;
	const struct turn_frame *asked = &load->frames[client->index][client->step];
	bool challenge = client->step == TURN_STEP_CHALLENGE;
	struct stun_message m;
	if (!client->working || stun_parse(payload, length, &m) != 0 ||
		memcmp(stun_transaction(&m), asked->bytes + asked->message + 8,
			STUN_TRANSACTION_LENGTH) != 0)
		return CLIENTS_STRAY;
	if (m.class != STUN_SUCCESS) {
		int code = error_code(&m);
		if (!challenge || code != 401)
			return code;
		take_nonce(load, client->index, &m);
	} else if (challenge) {
		return ERROR_WITHOUT_CODE;
	}
	keep_sample(load, client, m.data, m.length);
	if (client->step == TURN_STEP_ALLOCATE)
		client->held = true;
	else if (client->step == TURN_STEP_DELETE)
		client->held = false;
	return CLIENTS_DONE;
}

static unsigned check_samples(struct load *load)
{
	unsigned good = 0;
	for (uint32_t i = 0; i < load->clients.options.count / SAMPLE_EVERY; i++)
		for (unsigned which = 0; which < 3; which++) {
			struct stun_message m;
			uint16_t length = load->sample_lengths[i][which];
			load->sample_lengths[i][which] = 0;
			if (length == 0)
				continue;
			if (stun_parse(load->samples[i][which], length, &m) != 0 ||
				stun_verify_integrity(&m, &load->login.key) != 0)
				fail("an answer's integrity is wrong", NULL);
			good++;
		}
	return good;
}

// ---- passes ----

static void run_pass(struct load *load, unsigned pass)
{
	struct clients *clients = &load->clients;
	const double seconds = clients->options.seconds;
	const struct clients_phase challenge = {.name = "challenge",
		.first = TURN_STEP_CHALLENGE,
		.last = TURN_STEP_CHALLENGE,
		.timed = TURN_STEP_CHALLENGE,
		.seconds = seconds};
	const struct clients_phase triple = {.name = "triple",
		.first = TURN_STEP_ALLOCATE,
		.last = TURN_STEP_REFRESH,
		.timed = TURN_STEP_ALLOCATE,
		.seconds = seconds};
	const struct clients_phase deletion = {.name = "delete",
		.first = TURN_STEP_DELETE,
		.last = TURN_STEP_DELETE,
		.timed = TURN_STEP_DELETE,
		.of_held = true,
		.seconds = 1e9};
	char checked[32];
	clients_begin_pass(clients, pass);
	for (uint32_t i = 0; i < clients->options.count; i++)
		make_request(load, i, TURN_STEP_CHALLENGE);
	clients_run(clients, &challenge);
	clients_print(clients, pass, NULL);
	for (uint32_t i = 0; i < clients->options.count; i++) {
		struct client *client = &clients->all[i];
		// Who was not asked for, or got no challenge, does not take part.
		client->out |= load->nonce_lengths[i] == 0;
		for (enum turn_step step = TURN_STEP_ALLOCATE; step < TURN_STEPS; step++)
			if (!client->out)
				make_request(load, i, step);
	}
	clients_run(clients, &triple);
	snprintf(checked, sizeof(checked), "\"checked\":%u", check_samples(load));
	clients_print(clients, pass, checked);
	clients_run(clients, &deletion);
	clients_print(clients, pass, NULL);
	clients_linger(clients);
	memset(load->nonce_lengths, 0, clients->options.count);
}

// ---- set-up ----

static void parse_options(int argc, char **argv, struct load *load)
{
	static const struct option names[] = {CLIENTS_OPTIONS, {"peer", 1, NULL, 'p'},
		{"login", 1, NULL, 'l'}, {"help", 0, NULL, 'h'}, {0}};
	static const char usage[] = "usage: allocate_load --peer ADDRESS --login USER:PASSWORD\n"
				    "       " CLIENTS_USAGE CLIENTS_USAGE_MORE;
	struct clients_options *o = &load->clients.options;
	bool wrong = false;
	*o = (struct clients_options){.count = 16384, .window = 256, .passes = 1, .seconds = 1e6};
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
		char *save = NULL;
		switch (c) {
		case 'p':
			if (net_address_parse(optarg, &load->peer))
				fail("expected an address", optarg);
			break;
		case 'l':
			load->user = strtok_r(optarg, ":", &save);
			load->password = strtok_r(NULL, "", &save);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			wrong |= !clients_option(o, c, optarg);
		}
	}
	if (wrong || !clients_options_whole(o) || !load->password ||
		load->peer.family != NET_IPV4) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load *load = take(1, sizeof(*load));
	parse_options(argc, argv, load);
	load->clients.protocol =
		(struct clients_protocol){.context = load, .request = request, .answer = answer};
	uint32_t count = load->clients.options.count;
	load->frames = take(count, sizeof(*load->frames));
	load->nonces = take(count, sizeof(*load->nonces));
	load->nonce_lengths = take(count, 1);
	load->samples = take(count / SAMPLE_EVERY + 1, sizeof(*load->samples));
	load->sample_lengths = take(count / SAMPLE_EVERY + 1, sizeof(*load->sample_lengths));
	load->login.user = load->user;
	clients_open(&load->clients);
	for (unsigned pass = 0; pass < load->clients.options.passes; pass++)
		run_pass(load, pass);
	clients_close(&load->clients);
	return 0;
}
