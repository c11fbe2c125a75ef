// SPDX-License-Identifier: BSD-3-Clause
// Load for a TURN server's slow path: how many authenticated Allocate + ChannelBind + Refresh a
// second? Many clients, each with an address and a /24 of its own, on raw frames through AF_XDP;
// a window of them at work at once, each with one request under way.
//
//   [client namespace] veth --> server under test
//
// A pass is four phases over all clients: a challenge each (nonces may be bound to the source),
// making all requests with their integrity, the three requests of each (the part that counts), and
// deletion, so that passes can be repeated. A lost request is sent again as RFC 8489 6.2.1 says
// and counted; a client that gets no answer or an error is out for the rest of the pass and
// counted. Answers are checked: class, transaction; of every 64th client the integrity too, after
// the clock has stopped. One lcore. Prints a JSON line a pass.
#include "lib/net/address_text.h"
#include "lib/wire/headers.h"
#include "perf/generator/histogram.h"
#include "perf/generator/turn_frames.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BURST = 32,
	POOL_SIZE = 16384,
	DESCRIPTORS = 2048,
	PREFIX_COUNT = 8192, // /24s behind --sources; more clients share them by port
	CLIENT_PORT_FIRST = 10000,
	PASS_PORTS = 32, // a pass has 5-tuples of its own
	CLIENTS_MAX = PREFIX_COUNT * PASS_PORTS,
	PASSES_MAX = 1000,
	WINDOW_MAX = 8192,
	TRIES = 7,
	RTO_MS = 500,
	SAMPLE_EVERY = 64,
	SAMPLE_SIZE = 512,
	REALM_MAX = 128,
	LINGER_MS = 50,
	CHANNEL = 0x4001,
	PEER_PORT = 5000,
};

struct options {
	const char *namespace, *interface, *relay_mac;
	struct net_address sources, peer;
	struct net_endpoint server;
	char *user, *password;
	unsigned clients, window, passes, core;
	double seconds;
};

struct client {
	uint8_t step;  // enum turn_step under way
	uint8_t tries; // of it
	bool working;  // has a request under way
	bool out;      // had an error or no answer in this pass
	bool held;     // has an allocation
	uint32_t index;
	uint64_t first_sent, due; // TSC
};

struct phase {
	const char *name;
	enum turn_step first, last;
	uint64_t requests, sent_again, lost, finished, started_tsc, ended_tsc;
	uint64_t idle;        // TSC cycles of turns without work
	uint64_t errors[200]; // by code - 400; others at [199]
};

struct load {
	struct options options;
	struct rte_mempool *pool;
	uint16_t port;
	struct turn_frame_path path;
	struct turn_frame_login login;
	char realm[REALM_MAX];
	struct client *clients;
	struct turn_frame (*frames)[TURN_STEPS];
	uint8_t (*nonces)[TURN_NONCE_MAX];
	uint8_t *nonce_lengths;
	uint8_t (*samples)[3][SAMPLE_SIZE];
	uint16_t (*sample_lengths)[3];
	uint16_t first_port; // of this pass
	struct histogram latency[TURN_STEPS];
	struct client *working[WINDOW_MAX];
	unsigned working_count;
	struct rte_mbuf *out[BURST];
	unsigned out_count;
	struct phase phase;
	uint64_t hz, stray;
};

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "allocate_load: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
	exit(1);
}

static void *take(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (memory == NULL)
		fail("no memory", NULL);
	return memory;
}

// ---- clients ----

static struct net_endpoint client_endpoint(const struct load *load, uint32_t index)
{
	struct net_endpoint out = {.address = load->options.sources};
	uint32_t prefix = index % PREFIX_COUNT;
	out.address.bytes[1] = (uint8_t)(out.address.bytes[1] + (prefix >> 8));
	out.address.bytes[2] = (uint8_t)prefix;
	out.address.bytes[3] = 2;
	out.port = (uint16_t)(load->first_port + index / PREFIX_COUNT);
	return out;
}

static struct client *client_of(struct load *load, const struct headers *h)
{
	const uint8_t *base = load->options.sources.bytes;
	uint32_t prefix = (uint32_t)(h->destination[1] - base[1]) << 8 | h->destination[2];
	uint32_t index = (uint32_t)(h->destination_port - load->first_port) * PREFIX_COUNT + prefix;
	if (h->family != NET_IPV4 || h->destination[0] != base[0] || prefix >= PREFIX_COUNT ||
		h->destination_port < load->first_port || index >= load->options.clients)
		return NULL;
	return &load->clients[index];
}

static void make_request(struct load *load, uint32_t index, enum turn_step step)
{
	const struct net_endpoint peer = {.address = load->options.peer, .port = PEER_PORT};
	uint8_t transaction[STUN_TRANSACTION_LENGTH];
	randombytes_buf(transaction, sizeof(transaction));
	load->path.client = client_endpoint(load, index);
	memcpy(load->login.nonce, load->nonces[index], TURN_NONCE_MAX);
	load->login.nonce_length = load->nonce_lengths[index];
	if (turn_frame_make(&load->frames[index][step], step, &load->path, &load->login, &peer,
		    CHANNEL, transaction))
		fail("a request does not fit", NULL);
}

// ---- sending ----

static void flush(struct load *load)
{
	unsigned sent = 0;
	while (sent < load->out_count)
		sent += rte_eth_tx_burst(
			load->port, 0, load->out + sent, (uint16_t)(load->out_count - sent));
	load->out_count = 0;
}

static void send_request(struct load *load, struct client *client, uint64_t now)
{
	const struct turn_frame *frame = &load->frames[client->index][client->step];
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(load->pool);
	client->due = now + ((load->hz * RTO_MS / 1000) << client->tries);
	if (client->tries++ == 0)
		client->first_sent = now;
	else
		load->phase.sent_again++;
	if (mbuf == NULL)
		return;
	memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), frame->bytes, frame->length);
	mbuf->data_len = frame->length;
	mbuf->pkt_len = frame->length;
	load->out[load->out_count++] = mbuf;
	if (load->out_count == BURST)
		flush(load);
}

static void begin_step(struct load *load, struct client *client, enum turn_step step, uint64_t now)
{
	client->step = (uint8_t)step;
	client->tries = 0;
	load->phase.requests++;
	send_request(load, client, now);
}

// ---- answers ----

static void retire(struct client *client)
{
	client->working = false;
}

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
	stun_key_long_term(STUN_PASSWORD_MD5, load->options.user, strlen(load->options.user),
		load->realm, load->options.password, strlen(load->options.password),
		&load->login.key);
}

static unsigned error_code(const struct stun_message *m)
{
	struct stun_attribute a;
	unsigned code = 0;
	if (!stun_find(m, STUN_ERROR_CODE, &a) || stun_read_error(&a, &code))
		return 0;
	return code;
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

static void answered(
	struct load *load, struct client *client, const struct stun_message *m, uint64_t now)
{
	bool challenge = client->step == TURN_STEP_CHALLENGE;
	unsigned code = m->class == STUN_SUCCESS ? 0 : error_code(m);
	if (challenge ? code != 401 : m->class != STUN_SUCCESS) {
		load->phase.errors[code >= 400 && code < 599 ? code - 400 : 199]++;
		client->out = true;
		retire(client);
		return;
	}
	if (challenge)
		take_nonce(load, client->index, m);
	keep_sample(load, client, m->data, m->length);
	histogram_add(&load->latency[client->step], now - client->first_sent);
	if (client->step == TURN_STEP_ALLOCATE)
		client->held = true;
	else if (client->step == TURN_STEP_DELETE)
		client->held = false;
	if (client->step < load->phase.last) {
		begin_step(load, client, client->step + 1u, now);
		return;
	}
	load->phase.finished++;
	retire(client);
}

static void take_frame(struct load *load, const uint8_t *frame, size_t length, uint64_t now)
{
	struct headers h;
	struct stun_message m;
	if (headers_parse(frame, length, &h) != HEADERS_UDP)
		return;
	struct client *client = client_of(load, &h);
	if (client == NULL || stun_parse(frame + h.payload_offset, h.payload_length, &m) != 0)
		return;
	const struct turn_frame *request = &load->frames[client->index][client->step];
	// A second answer to what was sent twice is nothing.
	if (!client->working || memcmp(stun_transaction(&m), request->bytes + request->message + 8,
					STUN_TRANSACTION_LENGTH) != 0)
		load->stray++;
	else
		answered(load, client, &m, now);
}

static unsigned receive(struct load *load)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t n = rte_eth_rx_burst(load->port, 0, mbufs, BURST);
	uint64_t now = rte_rdtsc();
	for (uint16_t i = 0; i < n; i++)
		take_frame(
			load, rte_pktmbuf_mtod(mbufs[i], const uint8_t *), mbufs[i]->data_len, now);
	if (n)
		rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

// ---- phases ----

static void look_after(struct load *load, uint64_t now)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < load->working_count; i++) {
		struct client *client = load->working[i];
		if (client->working && client->due <= now) {
			if (client->tries == TRIES) {
				load->phase.lost++;
				client->out = true;
				retire(client);
			} else {
				send_request(load, client, now);
			}
		}
		if (client->working)
			load->working[kept++] = client;
	}
	load->working_count = kept;
}

static bool wanted(const struct load *load, const struct client *client)
{
	return load->phase.first == TURN_STEP_DELETE ? client->held : !client->out;
}

// New clients begin as long as there are places, a burst a turn; true when one did.
static bool fill_places(
	struct load *load, enum turn_step first, uint32_t *next, uint64_t until, uint64_t now)
{
	unsigned begun = 0;
	while (begun < BURST && load->working_count < load->options.window &&
		*next < load->options.clients && now < until) {
		struct client *client = &load->clients[(*next)++];
		if (!wanted(load, client))
			continue;
		client->working = true;
		load->working[load->working_count++] = client;
		begin_step(load, client, first, now);
		begun++;
	}
	return begun > 0;
}

// A client that is done leaves its place to the next one within 100 us, and at once when there is
// nothing to receive. seconds: after that nobody new begins.
static void run_phase(struct load *load, const char *name, enum turn_step first,
	enum turn_step last, double seconds)
{
	load->phase = (struct phase){.name = name, .first = first, .last = last};
	uint64_t now = rte_rdtsc(), look = now, before = now;
	const uint64_t until = now + (uint64_t)(seconds * (double)load->hz);
	uint32_t next = 0;
	bool idle = false;
	load->phase.started_tsc = now;
	do {
		unsigned received = receive(load);
		now = rte_rdtsc();
		if (idle)
			load->phase.idle += now - before;
		before = now;
		if (received == 0 || now >= look) {
			look_after(load, now);
			look = now + load->hz / 10000;
		}
		idle = !fill_places(load, first, &next, until, now) && received == 0;
		flush(load);
	} while (load->working_count || (next < load->options.clients && now < until));
	load->phase.ended_tsc = now;
}

// Late answers do not reach into the next pass.
static void linger(struct load *load)
{
	for (uint64_t end = rte_rdtsc() + load->hz * LINGER_MS / 1000; rte_rdtsc() < end;)
		receive(load);
}

static unsigned check_samples(struct load *load)
{
	unsigned good = 0;
	for (uint32_t i = 0; i < load->options.clients / SAMPLE_EVERY; i++)
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

static double microseconds(const struct load *load, enum turn_step step, double fraction)
{
	return (double)histogram_quantile(&load->latency[step], fraction) * 1e6 / (double)load->hz;
}

static void print_phase(const struct load *load, unsigned pass, unsigned samples)
{
	const struct phase *p = &load->phase;
	double seconds = (double)(p->ended_tsc - p->started_tsc) / (double)load->hz;
	printf("{\"phase\":\"%s\",\"pass\":%u,\"clients\":%lu,\"seconds\":%.4f,\"rate\":%.0f,"
	       "\"requests\":%lu,\"sent_again\":%lu,\"lost\":%lu,\"p50_us\":%.0f,\"p99_us\":%.0f,"
	       "\"p999_us\":%.0f,\"idle\":%.2f,\"checked\":%u,\"errors\":{",
		p->name, pass, p->finished, seconds, (double)p->finished / seconds, p->requests,
		p->sent_again, p->lost, microseconds(load, p->first, 0.5),
		microseconds(load, p->first, 0.99), microseconds(load, p->first, 0.999),
		(double)p->idle / (double)(p->ended_tsc - p->started_tsc), samples);
	for (unsigned i = 0, any = 0; i < 200; i++)
		if (p->errors[i])
			printf("%s\"%u\":%lu", any++ ? "," : "", i == 199 ? 0 : i + 400,
				p->errors[i]);
	printf("}}\n");
	fflush(stdout);
}

static void run_pass(struct load *load, unsigned pass)
{
	load->first_port = (uint16_t)(CLIENT_PORT_FIRST + pass * PASS_PORTS);
	for (uint32_t i = 0; i < load->options.clients; i++) {
		load->clients[i].out = false;
		make_request(load, i, TURN_STEP_CHALLENGE);
	}
	memset(load->latency, 0, sizeof(load->latency));
	run_phase(
		load, "challenge", TURN_STEP_CHALLENGE, TURN_STEP_CHALLENGE, load->options.seconds);
	print_phase(load, pass, 0);
	for (uint32_t i = 0; i < load->options.clients; i++) {
		// Who was not asked for, or got no challenge, does not take part.
		load->clients[i].out |= load->nonce_lengths[i] == 0;
		for (enum turn_step step = TURN_STEP_ALLOCATE; step < TURN_STEPS; step++)
			if (!load->clients[i].out)
				make_request(load, i, step);
	}
	run_phase(load, "triple", TURN_STEP_ALLOCATE, TURN_STEP_REFRESH, load->options.seconds);
	print_phase(load, pass, check_samples(load));
	run_phase(load, "delete", TURN_STEP_DELETE, TURN_STEP_DELETE, 1e9);
	print_phase(load, pass, 0);
	linger(load);
	memset(load->nonce_lengths, 0, load->options.clients);
}

// ---- set-up ----

static void enter(const char *namespace)
{
	char path[128];
	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail("cannot enter namespace", namespace);
	close(fd);
}

static void open_port(struct load *load)
{
	const struct options *o = &load->options;
	char core[16], arguments[128];
	snprintf(core, sizeof(core), "%u", o->core);
	char *eal[] = {"allocate_load", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
		"-m", "256", "--log-level=3", "-l", core, NULL};
	struct rte_eth_conf configuration = {0};
	struct rte_ether_addr relay, own;
	if (rte_eal_init(10, eal) < 0)
		fail("EAL", rte_strerror(rte_errno));
	load->hz = rte_get_tsc_hz();
	load->pool = rte_pktmbuf_pool_create(
		"generator", POOL_SIZE, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (load->pool == NULL)
		fail("buffers", rte_strerror(rte_errno));
	enter(o->namespace);
	snprintf(arguments, sizeof(arguments), "iface=%s", o->interface);
	if (rte_eal_hotplug_add("vdev", "net_af_xdp_client", arguments) ||
		rte_eth_dev_get_port_by_name("net_af_xdp_client", &load->port))
		fail("cannot open AF_XDP on", o->interface);
	if (rte_eth_dev_configure(load->port, 1, 1, &configuration) ||
		rte_eth_rx_queue_setup(
			load->port, 0, DESCRIPTORS, (unsigned)SOCKET_ID_ANY, NULL, load->pool) ||
		rte_eth_tx_queue_setup(load->port, 0, DESCRIPTORS, (unsigned)SOCKET_ID_ANY, NULL) ||
		rte_eth_dev_start(load->port))
		fail("cannot start port", o->interface);
	if (rte_ether_unformat_addr(o->relay_mac, &relay))
		fail("not a MAC address", o->relay_mac);
	rte_eth_macaddr_get(load->port, &own);
	memcpy(load->path.relay_mac, &relay, 6);
	memcpy(load->path.own_mac, &own, 6);
	load->path.server = o->server;
}

static void usage(FILE *out)
{
	fputs("usage: allocate_load --client NS,IF --server ADDRESS:PORT --relay-mac MAC\n"
	      "                     --sources ADDRESS --peer ADDRESS --login USER:PASSWORD\n"
	      "                     [--clients N] [--window N] [--passes N] [--seconds S] "
	      "[--core N]\n"
	      "  --sources  the first of 8192 /24 prefixes that the clients are in: a.b.0.0\n"
	      "  --window   clients at work at once\n"
	      "  --seconds  of a phase, at most\n",
		out);
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {{"client", 1, NULL, 'c'}, {"server", 1, NULL, 's'},
		{"relay-mac", 1, NULL, 'm'}, {"sources", 1, NULL, 'a'}, {"peer", 1, NULL, 'p'},
		{"login", 1, NULL, 'l'}, {"clients", 1, NULL, 'n'}, {"window", 1, NULL, 'w'},
		{"passes", 1, NULL, 'r'}, {"seconds", 1, NULL, 't'}, {"core", 1, NULL, 'k'},
		{"help", 0, NULL, 'h'}, {0}};
	*o = (struct options){.clients = 16384, .window = 256, .passes = 1, .seconds = 1e6};
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
		char *save = NULL;
		switch (c) {
		case 'c':
			o->namespace = strtok_r(optarg, ",", &save);
			o->interface = strtok_r(NULL, ",", &save);
			break;
		case 's':
			if (net_endpoint_parse(optarg, &o->server))
				fail("expected ADDRESS:PORT", optarg);
			break;
		case 'm':
			o->relay_mac = optarg;
			break;
		case 'a':
			if (net_address_parse(optarg, &o->sources))
				fail("expected an address", optarg);
			break;
		case 'p':
			if (net_address_parse(optarg, &o->peer))
				fail("expected an address", optarg);
			break;
		case 'l':
			o->user = strtok_r(optarg, ":", &save);
			o->password = strtok_r(NULL, "", &save);
			break;
		case 'n':
			o->clients = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			o->window = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			o->passes = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't':
			o->seconds = strtod(optarg, NULL);
			break;
		case 'k':
			o->core = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (!o->interface || !o->relay_mac || o->server.port == 0 || !o->password ||
		o->sources.family != NET_IPV4 || o->peer.family != NET_IPV4 || o->clients == 0 ||
		o->clients > CLIENTS_MAX || o->window == 0 || o->window > WINDOW_MAX ||
		o->passes > PASSES_MAX || o->seconds <= 0) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load *load = take(1, sizeof(*load));
	parse_options(argc, argv, &load->options);
	uint32_t clients = load->options.clients;
	load->clients = take(clients, sizeof(*load->clients));
	load->frames = take(clients, sizeof(*load->frames));
	load->nonces = take(clients, sizeof(*load->nonces));
	load->nonce_lengths = take(clients, 1);
	load->samples = take(clients / SAMPLE_EVERY + 1, sizeof(*load->samples));
	load->sample_lengths = take(clients / SAMPLE_EVERY + 1, sizeof(*load->sample_lengths));
	load->login.user = load->options.user;
	for (uint32_t i = 0; i < clients; i++)
		load->clients[i].index = i;
	open_port(load);
	for (unsigned pass = 0; pass < load->options.passes; pass++)
		run_pass(load, pass);
	rte_eth_dev_stop(load->port);
	rte_eal_cleanup();
	return 0;
}
