// SPDX-License-Identifier: BSD-3-Clause
// TURN load generator and sink: allocations made over kernel sockets, then ChannelData as raw
// frames through AF_XDP on the client's veth, received on the peer's, at an exact rate, with a time
// stamp in every packet. One lcore does both ends.
//
//   [client namespace] veth --> relay under test --> veth [peer namespace]
//
// Prints one JSON line a trial: rate asked, packets sent and received, latency quantiles. `--search
// LO:HI` looks for the highest rate without a lost packet (RFC 2544 section 26.1, by bisection, a
// rate counts only when it holds twice). `--plain` is for what is no TURN relay but a NAT: the same
// payloads in plain UDP, flow i to the server's port + i. `--watch CORE` adds how much of that core
// was not idle during a trial, interrupts included.
#include "lib/net/address_text.h"
#include "lib/wire/channel_data.h"
#include "lib/wire/headers.h"
#include "perf/generator/af_xdp_port.h"
#include "perf/generator/fail.h"
#include "perf/generator/flow_frames.h"
#include "perf/generator/histogram.h"
#include "perf/generator/turn_session.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BURST = 32,
	SESSIONS_MAX = 1024,
	PEER_PORT_FIRST = 5000,
	PLAIN_PORT_FIRST = 20000,
	CHANNEL_FIRST = 0x4000,
	PAYLOAD_MIN = 32,
	FRAME_MAX = 1514,
	DRAIN_MS = 200,
	RATES_MAX = 8,
};

struct stamp {
	uint64_t magic;
	uint64_t run;
	uint64_t sequence;
	uint64_t tsc;
};
static_assert(sizeof(struct stamp) == PAYLOAD_MIN, "fits the smallest payload");

static const uint64_t stamp_magic = 0x79616c6572646e62;

struct options {
	const char *client_namespace, *client_interface, *peer_namespace, *peer_interface,
		*relay_mac;
	struct net_address client, peer;
	struct net_endpoint server;
	struct turn_login login;
	unsigned allocations, size, core;
	double seconds, rate_seconds, rates[RATES_MAX], search_low, search_high, resolution;
	unsigned rate_count;
	bool plain;
	int watch; // core; -1: none
};

struct load {
	struct options options;
	struct rte_mempool *pool;
	uint16_t client_port, peer_port; // DPDK ids
	struct flow_path path;
	struct turn_session sessions[SESSIONS_MAX];
	uint8_t frames[SESSIONS_MAX][FRAME_MAX];
	uint16_t frame_length;
	uint64_t run;
};

struct trial {
	double asked, offered; // packets/s
	uint64_t sent, received,
		refused;          // refused: the generator's own port did not take it in time
	struct histogram latency; // TSC
	double busy;              // part of the watched core
};

// A frame of session i with everything but the stamp filled in, and no UDP checksum (IPv4 allows
// it, and the relay must not care).
static void make_frame(struct load *load, unsigned i)
{
	const struct options *o = &load->options;
	const struct turn_session *s = &load->sessions[i];
	uint8_t *p = load->frames[i];
	uint16_t framing = o->plain ? 0 : CHANNEL_DATA_HEADER_LENGTH;
	uint16_t port = (uint16_t)(o->plain ? o->server.port + i : o->server.port);
	const struct net_endpoint to = {.address = o->server.address, .port = port};

	memset(p, 0, FRAME_MAX);
	flow_write_headers(p, &load->path, &s->local, &to, framing + o->size);
	if (!o->plain)
		channel_data_write_header(p + FLOW_STAMP_PLAIN, s->channel, (uint16_t)o->size);
	load->frame_length = (uint16_t)(FLOW_STAMP_PLAIN + framing + o->size);
}

static void set_up(struct load *load)
{
	const struct options *o = &load->options;
	af_xdp_enter(o->client_namespace);
	for (unsigned i = 0; i < o->allocations; i++) {
		if (o->plain) {
			load->sessions[i].socket = -1;
			load->sessions[i].local = (struct net_endpoint){
				.address = o->client, .port = (uint16_t)(PLAIN_PORT_FIRST + i)};
			continue;
		}
		struct net_endpoint peer = {
			.address = o->peer, .port = (uint16_t)(PEER_PORT_FIRST + i)};
		unsigned code = 0;
		int error = turn_session_open(&load->sessions[i], &o->login, &o->client, &o->server,
			&peer, (uint16_t)(CHANNEL_FIRST + i), &code);
		if (error) {
			char text[64];
			snprintf(text, sizeof(text), "allocation %u: %s (STUN error %u)", i,
				strerror(-error), code);
			fail("set-up", text);
		}
	}
	load->pool = af_xdp_begin(o->core);
	load->client_port = af_xdp_open(
		load->pool, o->client_namespace, o->client_interface, "net_af_xdp_client");
	load->peer_port =
		af_xdp_open(load->pool, o->peer_namespace, o->peer_interface, "net_af_xdp_peer");
	load->path = af_xdp_path(load->client_port, o->relay_mac);
	for (unsigned i = 0; i < o->allocations; i++)
		make_frame(load, i);
}

static void receive(struct load *load, struct trial *trial)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t n = rte_eth_rx_burst(load->peer_port, 0, mbufs, BURST);
	uint64_t now = rte_rdtsc();
	for (uint16_t i = 0; i < n; i++) {
		struct headers h;
		struct stamp stamp;
		const uint8_t *frame = rte_pktmbuf_mtod(mbufs[i], const uint8_t *);
		if (headers_parse(frame, mbufs[i]->data_len, &h) == HEADERS_UDP &&
			h.payload_length == load->options.size) {
			memcpy(&stamp, frame + h.payload_offset, sizeof(stamp));
			if (stamp.magic == stamp_magic && stamp.run == load->run) {
				trial->received++;
				histogram_add(&trial->latency, now - stamp.tsc);
			}
		}
	}
	if (n)
		rte_pktmbuf_free_bulk(mbufs, n);
	// What comes back to the client's side (ARP, stray answers) is thrown away, so that its
	// ring does not fill.
	n = rte_eth_rx_burst(load->client_port, 0, mbufs, BURST);
	if (n)
		rte_pktmbuf_free_bulk(mbufs, n);
}

static unsigned transmit(struct load *load, struct trial *trial, unsigned count, unsigned *next)
{
	struct rte_mbuf *mbufs[BURST];
	if (rte_pktmbuf_alloc_bulk(load->pool, mbufs, count))
		return 0;
	uint64_t now = rte_rdtsc();
	for (unsigned i = 0; i < count; i++) {
		uint8_t *frame = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
		memcpy(frame, load->frames[*next], load->frame_length);
		struct stamp stamp = {stamp_magic, load->run, trial->sent + i, now};
		memcpy(frame + load->frame_length - load->options.size, &stamp, sizeof(stamp));
		mbufs[i]->data_len = load->frame_length;
		mbufs[i]->pkt_len = load->frame_length;
		*next = (*next + 1) % load->options.allocations;
	}
	unsigned sent = rte_eth_tx_burst(load->client_port, 0, mbufs, (uint16_t)count);
	trial->sent += sent;
	if (sent < count) {
		trial->refused += count - sent;
		rte_pktmbuf_free_bulk(mbufs + sent, count - sent);
	}
	return count;
}

// Seconds that a core has been idle, to the hundredth. The kernel keeps them exactly, while what it
// was busy with is sampled.
static double idle_seconds(int core)
{
	char line[256], name[16];
	unsigned long user, nice, system, idle, waiting;
	double seconds = 0;
	int length = snprintf(name, sizeof(name), "cpu%d ", core);
	FILE *file = fopen("/proc/stat", "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, (size_t)length) == 0 &&
			sscanf(line + length, "%lu %lu %lu %lu %lu", &user, &nice, &system, &idle,
				&waiting) == 5)
			seconds = (double)(idle + waiting) / (double)sysconf(_SC_CLK_TCK);
	if (file)
		fclose(file);
	return seconds;
}

static void run_trial(struct load *load, double rate, struct trial *trial)
{
	memset(trial, 0, sizeof(*trial));
	trial->asked = rate;
	load->run++;
	const double hz = (double)rte_get_tsc_hz();
	const uint64_t start = rte_rdtsc(), end = start + (uint64_t)(load->options.seconds * hz);
	uint64_t offered = 0;
	unsigned next = 0;
	double idle = idle_seconds(load->options.watch);
	for (uint64_t now = start; now < end; now = rte_rdtsc()) {
		uint64_t due = (uint64_t)((double)(now - start) / hz * rate);
		if (due > offered) {
			uint64_t count = due - offered;
			offered += transmit(
				load, trial, count < BURST ? (unsigned)count : BURST, &next);
		}
		receive(load, trial);
	}
	idle = idle_seconds(load->options.watch) - idle;
	trial->busy = 1 - idle / load->options.seconds;
	trial->offered = (double)trial->sent / load->options.seconds;
	for (uint64_t stop = rte_rdtsc() + (uint64_t)(DRAIN_MS * hz / 1000); rte_rdtsc() < stop;)
		receive(load, trial);
}

static double microseconds(const struct trial *trial, double fraction)
{
	return (double)histogram_quantile(&trial->latency, fraction) * 1e6 /
	       (double)rte_get_tsc_hz();
}

static void print_trial(const char *kind, const struct trial *trial)
{
	printf("{\"trial\":\"%s\",\"rate\":%.0f,\"offered\":%.0f,\"sent\":%lu,\"received\":%lu,"
	       "\"lost\":%ld,"
	       "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"busy\":%.4f,\"generator_limit\":"
	       "%s}\n",
		kind, trial->asked, trial->offered, trial->sent, trial->received,
		(long)(trial->sent - trial->received), microseconds(trial, 0.5),
		microseconds(trial, 0.99), microseconds(trial, 0.999), trial->busy,
		trial->offered < trial->asked * 0.99 ? "true" : "false");
	fflush(stdout);
}

static bool loss_free(struct load *load, double rate, struct trial *trial)
{
	for (int again = 0; again < 2; again++) {
		run_trial(load, rate, trial);
		print_trial("search", trial);
		if (trial->sent != trial->received || trial->offered < rate * 0.99)
			return false;
	}
	return true;
}

// Returns the rate.
static double search(struct load *load)
{
	double low = 0, high = load->options.search_high, try = load->options.search_low;
	struct trial *trial = calloc(1, sizeof(*trial)), *best = calloc(1, sizeof(*best));
	if (trial == NULL || best == NULL)
		fail("no memory", NULL);
	while (high - low > load->options.resolution * high) {
		if (loss_free(load, try, trial)) {
			low = try;
			*best = *trial;
		} else {
			high = try;
		}
		try = low == 0                            ? high / 2
		      : high == load->options.search_high ? (low * 1.5 < high ? low * 1.5 : high)
							  : (low + high) / 2;
		if (low == 0 && high < 1000)
			break;
		if (low >= load->options.search_high)
			break;
	}
	print_trial("best", best);
	double found = best->asked;
	free(best);
	free(trial);
	return found;
}

static void usage(FILE *out)
{
	fputs("usage: turn_load --client NS,IF,ADDRESS --peer NS,IF,ADDRESS --server ADDRESS:PORT "
	      "--relay-mac MAC\n"
	      "                 [--login USER:PASSWORD] [--allocations N] [--size BYTES] "
	      "[--seconds S] [--core N]\n"
	      "                 [--plain] [--watch CORE]\n"
	      "                 [--search LOW:HIGH] [--rate PACKETS/S|best,...] [--rate-seconds "
	      "S]\n",
		out);
}

static void side(
	char *text, const char **namespace, const char **interface, struct net_address *address)
{
	char *save;
	*namespace = strtok_r(text, ",", &save);
	*interface = strtok_r(NULL, ",", &save);
	const char *where = strtok_r(NULL, ",", &save);
	if (where == NULL || net_address_parse(where, address) || address->family != NET_IPV4)
		fail("expected NAMESPACE,INTERFACE,IPV4-ADDRESS", text);
}

// 0 stands for what the search found.
static void parse_rates(char *text, struct options *o)
{
	char *save;
	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		double rate = strtod(word, NULL);
		if (o->rate_count == RATES_MAX || (rate <= 0 && strcmp(word, "best") != 0))
			fail("expected packets/s, at most 8 of them", word);
		o->rates[o->rate_count++] = rate;
	}
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {{"client", 1, NULL, 'c'}, {"peer", 1, NULL, 'p'},
		{"server", 1, NULL, 's'}, {"relay-mac", 1, NULL, 'm'}, {"login", 1, NULL, 'l'},
		{"allocations", 1, NULL, 'a'}, {"size", 1, NULL, 'z'}, {"seconds", 1, NULL, 't'},
		{"core", 1, NULL, 'k'}, {"rate", 1, NULL, 'r'}, {"search", 1, NULL, 'f'},
		{"rate-seconds", 1, NULL, 'T'}, {"plain", 0, NULL, 'P'}, {"watch", 1, NULL, 'w'},
		{"help", 0, NULL, 'h'}, {0}};
	*o = (struct options){.allocations = 50,
		.size = 172,
		.seconds = 1,
		.resolution = 0.03,
		.watch = -1,
		.login = {"user", "password"}};
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
		char *colon = optarg ? strchr(optarg, ':') : NULL;
		switch (c) {
		case 'c':
			side(optarg, &o->client_namespace, &o->client_interface, &o->client);
			break;
		case 'p':
			side(optarg, &o->peer_namespace, &o->peer_interface, &o->peer);
			break;
		case 's':
			if (net_endpoint_parse(optarg, &o->server))
				fail("expected ADDRESS:PORT", optarg);
			break;
		case 'm':
			o->relay_mac = optarg;
			break;
		case 'l':
			if (colon == NULL)
				fail("expected USER:PASSWORD", optarg);
			*colon = 0;
			o->login = (struct turn_login){optarg, colon + 1};
			break;
		case 'a':
			o->allocations = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'z':
			o->size = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 't':
			o->seconds = strtod(optarg, NULL);
			break;
		case 'k':
			o->core = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			parse_rates(optarg, o);
			break;
		case 'f':
			if (colon == NULL)
				fail("expected LOW:HIGH", optarg);
			o->search_low = strtod(optarg, NULL);
			o->search_high = strtod(colon + 1, NULL);
			break;
		case 'T':
			o->rate_seconds = strtod(optarg, NULL);
			break;
		case 'P':
			o->plain = true;
			break;
		case 'w':
			o->watch = (int)strtol(optarg, NULL, 10);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (!o->client_namespace || !o->peer_namespace || !o->relay_mac || o->server.port == 0 ||
		(o->rate_count == 0 && o->search_high <= o->search_low) || o->allocations == 0 ||
		o->allocations > SESSIONS_MAX || o->size < PAYLOAD_MIN || o->size > 1400 ||
		o->seconds <= 0) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load *load = calloc(1, sizeof(*load));
	if (load == NULL)
		fail("no memory", NULL);
	parse_options(argc, argv, &load->options);
	set_up(load);
	struct trial *trial = calloc(1, sizeof(*trial));
	if (trial == NULL)
		fail("no memory", NULL);
	// Neighbours, caches and the relay's own tables settle before anything counts.
	double seconds = load->options.seconds;
	load->options.seconds = 0.5;
	run_trial(load, 10000, trial);
	print_trial("warm-up", trial);
	load->options.seconds = seconds;
	double best = 0;
	if (load->options.search_high > load->options.search_low)
		best = search(load);
	if (load->options.rate_seconds > 0)
		load->options.seconds = load->options.rate_seconds;
	for (unsigned i = 0; i < load->options.rate_count; i++) {
		double rate = load->options.rates[i] > 0 ? load->options.rates[i] : best;
		run_trial(load, rate, trial);
		print_trial("rate", trial);
	}
	for (unsigned i = 0; i < load->options.allocations; i++)
		if (!load->options.plain)
			turn_session_close(&load->sessions[i]);
	rte_eth_dev_stop(load->client_port);
	rte_eth_dev_stop(load->peer_port);
	rte_eal_cleanup();
	free(trial);
	free(load);
	return 0;
}
