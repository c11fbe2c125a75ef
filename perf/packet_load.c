// SPDX-License-Identifier: BSD-3-Clause
// Packet generator over memif: the clients' and the peers' network behind one port of the relay, on
// one lcore.
//
//   clients 11.64.0.0/10 ---+
//                           +-- memif == the relay, or a reflector that swaps addresses and ports
//   peers   12.0.0.0/10  ---+
//
// Calls are set up through the relay's control plane (generator/turn_calls.h). Then packets of N
// flows go from clients to peers, from peers to clients, or both, for each number of flows and each
// frame size asked for, step by step:
//
//   verify       each flow once, every byte of what comes back looked at
//   capacity     packets/s with a fixed number under way: how fast the device is, whatever the ring
//   search       the highest rate without a lost packet (RFC 2544 26.1); starts at the capacity
//   curve        latency at 10, 30, 50, 70 and 90 % of that rate
//   rate=R       one trial; rate=R,seconds=S
//   flood=F      from here on F spoofed packets/s beside what the steps send
//
// A JSON line each. Frame sizes are the clients' frames without FCS; a peer's frame is the same
// payload, so 4 bytes less.
#include "lib/net/address_text.h"
#include "perf/generator/flow_check.h"
#include "perf/generator/load.h"

#include <rte_cycles.h>
#include <rte_ether.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LIST_MAX = 16,
	WINDOW = MEMIF_PORT_RING / 2,
	HELD_IN_ROW = 2, // trials without loss that make a rate count
	ATTEMPTS = 3,    // trials there are for it
	VERIFY_RATE = 200000,
	FLOWS_MAX = 4 * 1024 * 1024,
};

struct list {
	unsigned count;
	unsigned values[LIST_MAX];
};

enum direction { TO_PEERS = 1, TO_CLIENTS = 2, BOTH = 3 };

struct options {
	struct memif_port_options port;
	const char *relay_mac, *user, *password;
	struct net_endpoint server;
	struct list flows, frames;
	unsigned mix; // frame sizes that one set of flows has; the list is cut into groups of it
	unsigned channels, bindings;
	enum direction direction;
	bool reflector;
	double seconds, resolution;
	unsigned nap_us;
};

struct generator {
	struct options options;
	struct memif_port port;
	struct turn_calls calls;
	struct flow_path path;
	struct load load;
	struct flood flood;
	struct trial trial, best;
	double capacity, found;
	char extra[64]; // what is measured now, as JSON members
};

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "packet_load: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
	exit(1);
}

// ---- flows ----

static struct flow_set *set_of(struct generator *g, unsigned call)
{
	return &g->load.sets[call % g->port.queues];
}

static void add_flow(struct generator *g, unsigned i, uint16_t frame)
{
	const struct options *o = &g->options;
	unsigned call = i / o->channels, channel = i % o->channels;
	struct net_endpoint client = turn_calls_client(call), peer = turn_calls_peer(call, channel),
			    relayed = {.address = o->server.address,
				    .port = (uint16_t)(49152 + call % 16384)};
	if (!o->reflector)
		relayed = g->calls.calls[call].relayed;
	if (o->direction & TO_PEERS)
		flow_add_data(set_of(g, call), &g->path, &client, &o->server,
			(uint16_t)(TURN_CALLS_CHANNEL + channel), frame);
	if (o->direction & TO_CLIENTS)
		flow_add_data(set_of(g, call), &g->path, &peer, &relayed, 0, (uint16_t)(frame - 4));
}

static void close_sets(struct generator *g)
{
	for (unsigned q = 0; q < g->port.queues; q++)
		flow_set_close(&g->load.sets[q]);
}

static void make_flows(struct generator *g, unsigned flows, const unsigned *frames)
{
	const struct options *o = &g->options;
	// Few flows have all the sizes in turns, many have one each.
	unsigned packets = (flows + o->mix - 1) / o->mix * o->mix;
	close_sets(g);
	for (unsigned q = 0; q < g->port.queues; q++)
		if (flow_set_open(&g->load.sets[q], 2 * (o->bindings ? o->bindings : packets)))
			fail("no memory for so many flows", NULL);
	for (unsigned i = 0; i < o->bindings; i++) {
		struct net_endpoint source = turn_calls_client(i);
		flow_add_binding(set_of(g, i), &g->path, &source, &o->server);
	}
	for (unsigned i = 0; o->bindings == 0 && i < packets; i++)
		add_flow(g, i % flows, (uint16_t)frames[i % o->mix]);
	for (unsigned q = 0; q < g->port.queues; q++)
		flow_set_shuffle(&g->load.sets[q], 88172645463325252ull + q);
}

static unsigned flow_count(const struct generator *g)
{
	unsigned count = 0;
	for (unsigned q = 0; q < g->port.queues; q++)
		count += g->load.sets[q].count;
	return count;
}

// ---- steps ----

static void run(struct generator *g, double rate, double seconds)
{
	const struct load_plan plan = {.rate = rate, .seconds = seconds, .window = WINDOW};
	load_run(&g->load, &plan, &g->trial);
}

static void print(const struct generator *g, const char *kind, const struct trial *trial)
{
	trial_print(kind, g->extra, trial, g->load.hz);
}

static bool check_relayed(void *context, const uint8_t *frame, size_t length)
{
	const struct generator *g = context;
	return g->options.bindings ? flow_check_binding(&g->options.server, frame, length)
				   : flow_check_relayed(&g->calls, frame, length);
}

static void verify(struct generator *g)
{
	const struct load_plan plan = {
		.rate = VERIFY_RATE, .seconds = 60, .packets = flow_count(g)};
	g->load.check = g->options.reflector ? NULL : check_relayed;
	g->load.check_context = g;
	load_run(&g->load, &plan, &g->trial);
	g->load.check = NULL;
	print(g, "verify", &g->trial);
	if (g->trial.received == 0)
		fail("nothing comes back", NULL);
	if (g->trial.foul)
		fail("packets came back other than they should", g->extra);
}

static void capacity(struct generator *g)
{
	run(g, 0, 2 * g->options.seconds);
	g->capacity = g->trial.rate_back;
	print(g, "capacity", &g->trial);
}

static bool holds(void *context, double rate)
{
	struct generator *g = context;
	unsigned held = 0;
	for (unsigned i = 0; i < ATTEMPTS && held < HELD_IN_ROW; i++) {
		run(g, rate, g->options.seconds);
		print(g, "search", &g->trial);
		held = trial_loss_free(&g->trial) ? held + 1 : 0;
		if (held + (ATTEMPTS - 1 - i) < HELD_IN_ROW)
			return false;
	}
	g->best = g->trial;
	return true;
}

static void search(struct generator *g)
{
	memset(&g->best, 0, sizeof(g->best));
	if (g->capacity == 0)
		capacity(g);
	const struct rate_search search = {.try = 0.85 * g->capacity,
		.high = 1.05 * g->capacity,
		.resolution = g->options.resolution,
		.holds = holds,
		.context = g};
	g->found = rate_search_run(&search);
	print(g, "best", &g->best);
}

static void curve(struct generator *g)
{
	static const unsigned percents[] = {10, 30, 50, 70, 90};
	char kind[16];
	if (g->found == 0)
		search(g);
	for (unsigned i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		run(g, g->found * percents[i] / 100, g->options.seconds);
		snprintf(kind, sizeof(kind), "curve%u", percents[i]);
		print(g, kind, &g->trial);
	}
}

static bool rate_step(struct generator *g, const char *step)
{
	char *end;
	double rate = strtod(step, &end), seconds = g->options.seconds;
	if (strncmp(end, ",seconds=", 9) == 0)
		seconds = strtod(end + 9, &end);
	if (*end || rate <= 0 || seconds <= 0)
		return false;
	run(g, rate, seconds);
	print(g, "rate", &g->trial);
	return true;
}

static void do_step(struct generator *g, const char *step)
{
	if (strcmp(step, "verify") == 0)
		verify(g);
	else if (strcmp(step, "capacity") == 0)
		capacity(g);
	else if (strcmp(step, "search") == 0)
		search(g);
	else if (strcmp(step, "curve") == 0)
		curve(g);
	else if (strncmp(step, "flood=", 6) == 0)
		g->load.flood_rate = strtod(step + 6, NULL);
	else if (strncmp(step, "rate=", 5) != 0 || !rate_step(g, step + 5))
		fail("expected verify, capacity, search, curve, rate=R[,seconds=S] or flood=F",
			step);
}

// ---- options ----

static void usage(FILE *out)
{
	fputs("usage: packet_load --socket PATH --relay-mac MAC --server ADDRESS:PORT [OPTION]... "
	      "STEP...\n"
	      "steps: verify capacity search curve rate=R[,seconds=S] flood=F\n"
	      "  --flows N[,N]...      how many flows (default 100)\n"
	      "  --frames N[,N]...     bytes of a client's frame, without FCS (200)\n"
	      "  --mix N[,N]...        frames of these sizes, in turns, instead\n"
	      "  --channels N          flows of one allocation, at most 64 (64)\n"
	      "  --direction both|to-peers|to-clients\n"
	      "  --bindings N          Binding requests from N /24s instead of flows\n"
	      "  --reflector           the device swaps addresses: nothing is set up\n"
	      "  --login USER:PASSWORD --seconds S (of a trial; 0.25) --resolution F (0.02)\n"
	      "  --role client|server --id N --queues N --core N\n"
	      "  --memory MIB          of hugepages (256; 0: ordinary memory)\n"
	      "  --copy                no zero-copy memif\n"
	      "  --nap US              sleep when idle instead of polling\n",
		out);
}

static bool parse_list(char *text, struct list *out)
{
	char *save;
	out->count = 0;
	for (char *part = strtok_r(text, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		if (out->count == LIST_MAX)
			return false;
		out->values[out->count] = (unsigned)strtoul(part, NULL, 10);
		if (out->values[out->count++] == 0)
			return false;
	}
	return out->count > 0;
}

static bool parse_direction(const char *text, enum direction *out)
{
	*out = strcmp(text, "both") == 0         ? BOTH
	       : strcmp(text, "to-peers") == 0   ? TO_PEERS
	       : strcmp(text, "to-clients") == 0 ? TO_CLIENTS
						 : 0;
	return *out != 0;
}

static bool parse_option(struct options *o, int c, char *value)
{
	char *colon = value ? strchr(value, ':') : NULL;
	switch (c) {
	case 's':
		o->port.socket = value;
		return true;
	case 'm':
		o->relay_mac = value;
		return true;
	case 'e':
		return net_endpoint_parse(value, &o->server) == 0 &&
		       o->server.address.family == NET_IPV4;
	case 'f':
		return parse_list(value, &o->flows);
	case 'z':
		o->mix = 1;
		return parse_list(value, &o->frames);
	case 'x':
		if (!parse_list(value, &o->frames))
			return false;
		o->mix = o->frames.count;
		return true;
	case 'c':
		o->channels = (unsigned)strtoul(value, NULL, 10);
		return o->channels > 0 && o->channels <= TURN_CALLS_CHANNELS_MAX;
	case 'd':
		return parse_direction(value, &o->direction);
	case 'b':
		o->bindings = (unsigned)strtoul(value, NULL, 10);
		return o->bindings > 0 && o->bindings <= TURN_CALLS_MAX;
	case 'R':
		o->reflector = true;
		return true;
	case 'l':
		if (colon == NULL)
			return false;
		*colon = 0;
		o->user = value;
		o->password = colon + 1;
		return true;
	case 't':
		o->seconds = strtod(value, NULL);
		return o->seconds > 0;
	case 'r':
		o->resolution = strtod(value, NULL);
		return o->resolution > 0;
	case 'o':
		o->port.server = strcmp(value, "server") == 0;
		return o->port.server || strcmp(value, "client") == 0;
	case 'i':
		o->port.id = (unsigned)strtoul(value, NULL, 10);
		return true;
	case 'q':
		o->port.queues = (unsigned)strtoul(value, NULL, 10);
		return o->port.queues > 0 && o->port.queues <= MEMIF_PORT_QUEUES_MAX;
	case 'k':
		o->port.core = (unsigned)strtoul(value, NULL, 10);
		return true;
	case 'y':
		o->port.memory = (unsigned)strtoul(value, NULL, 10);
		return true;
	case 'p':
		o->port.zero_copy = false;
		return true;
	case 'n':
		o->nap_us = (unsigned)strtoul(value, NULL, 10);
		return o->nap_us < 1000000;
	default:
		return false;
	}
}

static void parse_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {{"socket", 1, NULL, 's'}, {"relay-mac", 1, NULL, 'm'},
		{"server", 1, NULL, 'e'}, {"flows", 1, NULL, 'f'}, {"frames", 1, NULL, 'z'},
		{"mix", 1, NULL, 'x'}, {"channels", 1, NULL, 'c'}, {"direction", 1, NULL, 'd'},
		{"bindings", 1, NULL, 'b'}, {"reflector", 0, NULL, 'R'}, {"login", 1, NULL, 'l'},
		{"seconds", 1, NULL, 't'}, {"resolution", 1, NULL, 'r'}, {"role", 1, NULL, 'o'},
		{"id", 1, NULL, 'i'}, {"queues", 1, NULL, 'q'}, {"core", 1, NULL, 'k'},
		{"memory", 1, NULL, 'y'}, {"copy", 0, NULL, 'p'}, {"nap", 1, NULL, 'n'},
		{"help", 0, NULL, 'h'}, {0}};
	*o = (struct options){.port = {.queues = 1, .memory = 256, .zero_copy = true},
		.flows = {1, {100}},
		.frames = {1, {200}},
		.mix = 1,
		.channels = TURN_CALLS_CHANNELS_MAX,
		.direction = BOTH,
		.seconds = 0.25,
		.resolution = 0.02,
		.user = "user",
		.password = "password"};
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			exit(0);
		}
		if (!parse_option(o, c, optarg)) {
			usage(stderr);
			exit(2);
		}
	}
	for (unsigned i = 0; i < o->frames.count; i++)
		if (o->frames.values[i] < FLOW_FRAME_MIN || o->frames.values[i] > FLOW_FRAME_MAX)
			fail("frames have 62 to 1514 bytes", NULL);
	for (unsigned i = 0; i < o->flows.count; i++)
		if (o->flows.values[i] > FLOWS_MAX)
			fail("too many flows", NULL);
	if (o->port.socket == NULL || o->relay_mac == NULL || o->server.port == 0 ||
		optind == argc) {
		usage(stderr);
		exit(2);
	}
}

// ---- main ----

static unsigned most(const struct list *list)
{
	unsigned value = 0;
	for (unsigned i = 0; i < list->count; i++)
		value = list->values[i] > value ? list->values[i] : value;
	return value;
}

static void set_up_calls(struct generator *g)
{
	const struct options *o = &g->options;
	char error[256];
	unsigned flows = most(&o->flows);
	g->calls = (struct turn_calls){.port = &g->port,
		.path = g->path,
		.server = o->server,
		.user = o->user,
		.password = o->password,
		.count = (flows + o->channels - 1) / o->channels,
		.channels = flows < o->channels ? flows : o->channels};
	if (g->calls.count > TURN_CALLS_MAX)
		fail("too many flows for so few channels", NULL);
	uint64_t start = rte_rdtsc();
	if (turn_calls_open(&g->calls, error, sizeof(error)))
		fail("set-up", error);
	double seconds = (double)(rte_rdtsc() - start) / g->load.hz;
	printf("{\"set_up\":%u,\"channels\":%u,\"seconds\":%.3f,\"requests\":%lu,"
	       "\"sent_again\":%lu,\"rate\":%.0f}\n",
		g->calls.count, g->calls.channels, seconds, g->calls.requests, g->calls.sent_again,
		(double)g->calls.requests / seconds);
	fflush(stdout);
}

static void set_up(struct generator *g)
{
	const struct options *o = &g->options;
	const char *what;
	struct rte_ether_addr mac;
	static const uint8_t own[6] = {0x02, 0, 0, 0, 0, 0x02};
	int error = memif_port_open(&g->port, &o->port, &what);
	if (error)
		fail(what, strerror(-error));
	if (rte_ether_unformat_addr(o->relay_mac, &mac))
		fail("not a MAC address", o->relay_mac);
	memcpy(g->path.relay_mac, mac.addr_bytes, 6);
	memcpy(g->path.own_mac, own, 6);
	g->load.port = &g->port;
	g->load.hz = (double)rte_get_tsc_hz();
	g->load.nap_us = o->nap_us;
	g->load.mark = flow_mark;
	if (o->bindings) {
		static const uint8_t cookie[4] = {0x21, 0x12, 0xA4, 0x42};
		memcpy(&g->load.mark, cookie, 4);
		g->load.success_only = !o->reflector;
	} else if (!o->reflector) {
		set_up_calls(g);
	}
	flood_make(&g->flood, &g->path, &o->server);
	g->load.flood = &g->flood;
}

int main(int argc, char **argv)
{
	struct generator *g = calloc(1, sizeof(*g));
	if (g == NULL)
		fail("no memory", NULL);
	parse_options(argc, argv, &g->options);
	const struct options *o = &g->options;
	set_up(g);
	for (unsigned f = 0; f < o->flows.count; f++)
		for (unsigned z = 0; z < o->frames.count; z += o->mix) {
			snprintf(g->extra, sizeof(g->extra), "\"flows\":%u,\"frame\":%u,",
				o->bindings ? o->bindings : o->flows.values[f],
				o->bindings   ? (unsigned)FLOW_FRAME_MIN
				: o->mix == 1 ? o->frames.values[z]
					      : 0);
			make_flows(g, o->flows.values[f], &o->frames.values[z]);
			g->capacity = g->found = 0;
			for (int i = optind; i < argc; i++)
				do_step(g, argv[i]);
		}
	close_sets(g);
	turn_calls_close(&g->calls);
	memif_port_close(&g->port);
	free(g);
	return 0;
}
