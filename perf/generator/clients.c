// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/clients.h"

#include "lib/net/address_text.h"
#include "lib/wire/headers.h"
#include "perf/generator/af_xdp_port.h"
#include "perf/generator/fail.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include <string.h>

enum {
	PORT_FIRST = 10000,
	TRIES = 7,
	RTO_MS = 500,
	LINGER_MS = 50,
	TURNS_PER_SECOND = 10000, // of looking after clients, at least
};

// ---- options ----

bool clients_option(struct clients_options *o, int option, char *argument)
{
	char *save = NULL;
	switch (option) {
	case 'C':
		o->namespace = strtok_r(argument, ",", &save);
		o->interface = strtok_r(NULL, ",", &save);
		return true;
	case 'S':
		if (net_endpoint_parse(argument, &o->server))
			fail("expected ADDRESS:PORT", argument);
		return true;
	case 'M':
		o->relay_mac = argument;
		return true;
	case 'A':
		if (net_address_parse(argument, &o->sources))
			fail("expected an address", argument);
		return true;
	case 'N':
		o->count = (unsigned)strtoul(argument, NULL, 10);
		return true;
	case 'W':
		o->window = (unsigned)strtoul(argument, NULL, 10);
		return true;
	case 'R':
		o->passes = (unsigned)strtoul(argument, NULL, 10);
		return true;
	case 'T':
		o->seconds = strtod(argument, NULL);
		return true;
	case 'K':
		o->core = (unsigned)strtoul(argument, NULL, 10);
		return true;
	case 'P':
		if (o->process_count == THREAD_TIMES_PROCESSES)
			fail("too many processes", argument);
		o->processes[o->process_count++] = (pid_t)strtol(argument, NULL, 10);
		return true;
	default:
		return false;
	}
}

bool clients_options_whole(const struct clients_options *o)
{
	return o->interface && o->relay_mac && o->server.port && o->sources.family == NET_IPV4 &&
	       o->count > 0 && o->count <= CLIENTS_MAX && o->window > 0 &&
	       o->window <= CLIENTS_WINDOW_MAX && o->passes <= CLIENTS_PASSES_MAX && o->seconds > 0;
}

// ---- who is where ----

struct net_endpoint clients_endpoint(const struct clients *clients, uint32_t index)
{
	struct net_endpoint out = {.address = clients->options.sources};
	uint32_t prefix = index % CLIENTS_PREFIXES;
	out.address.bytes[1] = (uint8_t)(out.address.bytes[1] + (prefix >> 8));
	out.address.bytes[2] = (uint8_t)prefix;
	out.address.bytes[3] = 2;
	out.port = (uint16_t)(clients->first_port + index / CLIENTS_PREFIXES);
	return out;
}

static struct client *client_of(struct clients *clients, const struct headers *h)
{
	const uint8_t *base = clients->options.sources.bytes;
	uint32_t prefix = (uint32_t)(h->destination[1] - base[1]) << 8 | h->destination[2];
	uint32_t port = (uint32_t)(h->destination_port - clients->first_port);
	uint32_t index = port * CLIENTS_PREFIXES + prefix;
	if (h->family != NET_IPV4 || h->destination[0] != base[0] || prefix >= CLIENTS_PREFIXES ||
		port >= CLIENTS_PORTS || index >= clients->options.count)
		return NULL;
	return &clients->all[index];
}

// ---- sending ----

static void flush(struct clients *clients)
{
	unsigned sent = 0;
	while (sent < clients->out_count)
		sent += rte_eth_tx_burst(clients->port, 0, clients->out + sent,
			(uint16_t)(clients->out_count - sent));
	clients->out_count = 0;
}

static void send_frame(struct clients *clients, const struct clients_frame *frame)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(clients->pool);
	if (mbuf == NULL)
		return;
	memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), frame->bytes, frame->length);
	mbuf->data_len = frame->length;
	mbuf->pkt_len = frame->length;
	clients->out[clients->out_count++] = mbuf;
	if (clients->out_count == CLIENTS_BURST)
		flush(clients);
}

static void ask(struct clients *clients, struct client *client, uint64_t now)
{
	const struct clients_frame frame =
		clients->protocol.request(clients->protocol.context, client, client->tries == 0);
	client->due = now + ((clients->hz * RTO_MS / 1000) << client->tries);
	if (client->tries++ == 0)
		client->first_sent = now;
	else
		clients->sent_again++;
	send_frame(clients, &frame);
}

static void begin_step(struct clients *clients, struct client *client, unsigned step, uint64_t now)
{
	client->step = (uint8_t)step;
	client->tries = 0;
	clients->requests++;
	ask(clients, client, now);
}

// ---- answers ----

static void take_frame(struct clients *clients, const uint8_t *frame, size_t length, uint64_t now)
{
	struct headers h;
	if (headers_parse(frame, length, &h) != HEADERS_UDP)
		return;
	struct client *client = client_of(clients, &h);
	if (client == NULL)
		return;
	int verdict = clients->protocol.answer(
		clients->protocol.context, client, frame + h.payload_offset, h.payload_length);
	if (verdict == CLIENTS_STRAY || !client->working) {
		clients->stray++;
	} else if (verdict == CLIENTS_AGAIN) {
		begin_step(clients, client, client->step, now);
	} else if (verdict != CLIENTS_DONE) {
		clients->errors[verdict < CLIENTS_CODES ? verdict : 0]++;
		client->out = true;
		client->working = false;
	} else {
		histogram_add(&clients->latency[client->step], now - client->first_sent);
		if (client->step < clients->phase.last) {
			begin_step(clients, client, client->step + 1u, now);
			return;
		}
		clients->finished++;
		client->working = false;
	}
}

static unsigned receive(struct clients *clients)
{
	struct rte_mbuf *mbufs[CLIENTS_BURST];
	uint16_t n = rte_eth_rx_burst(clients->port, 0, mbufs, CLIENTS_BURST);
	uint64_t now = rte_rdtsc();
	for (uint16_t i = 0; i < n; i++)
		take_frame(clients, rte_pktmbuf_mtod(mbufs[i], const uint8_t *), mbufs[i]->data_len,
			now);
	if (n)
		rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

// ---- phases ----

static void look_after(struct clients *clients, uint64_t now)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < clients->working_count; i++) {
		struct client *client = clients->working[i];
		if (client->working && client->due <= now) {
			if (client->tries == TRIES) {
				clients->lost++;
				client->out = true;
				client->working = false;
			} else {
				ask(clients, client, now);
			}
		}
		if (client->working)
			clients->working[kept++] = client;
	}
	clients->working_count = kept;
}

// New clients begin as long as there are places, a burst a turn; true when one did.
static bool fill_places(struct clients *clients, uint32_t *next, uint64_t until, uint64_t now)
{
	unsigned begun = 0;
	while (begun < CLIENTS_BURST && clients->working_count < clients->options.window &&
		*next < clients->options.count && now < until) {
		struct client *client = &clients->all[(*next)++];
		if (clients->phase.of_held ? !client->held : client->out)
			continue;
		client->working = true;
		clients->working[clients->working_count++] = client;
		begin_step(clients, client, clients->phase.first, now);
		begun++;
	}
	return begun > 0;
}

// A client that is done leaves its place to the next one within 100 us, and at once when there is
// nothing to receive.
static void work(struct clients *clients)
{
	uint64_t now = rte_rdtsc(), look = now, before = now;
	const uint64_t until = now + (uint64_t)(clients->phase.seconds * (double)clients->hz);
	uint32_t next = 0;
	bool idle = false;
	clients->started = now;
	do {
		unsigned received = receive(clients);
		now = rte_rdtsc();
		if (idle)
			clients->idle += now - before;
		before = now;
		if (received == 0 || now >= look) {
			look_after(clients, now);
			look = now + clients->hz / TURNS_PER_SECOND;
		}
		idle = !fill_places(clients, &next, until, now) && received == 0;
		flush(clients);
	} while (clients->working_count || (next < clients->options.count && now < until));
	clients->ended = now;
}

void clients_run(struct clients *clients, const struct clients_phase *phase)
{
	const struct clients_options *o = &clients->options;
	clients->phase = *phase;
	clients->requests = clients->sent_again = clients->lost = clients->finished = 0;
	clients->idle = 0;
	memset(clients->errors, 0, sizeof(clients->errors));
	memset(clients->latency, 0, sizeof(clients->latency));
	thread_times_read(&clients->before, o->processes, o->process_count);
	work(clients);
	thread_times_read(&clients->after, o->processes, o->process_count);
}

static double microseconds(const struct clients *clients, double fraction)
{
	return (double)histogram_quantile(&clients->latency[clients->phase.timed], fraction) * 1e6 /
	       (double)clients->hz;
}

void clients_print(const struct clients *clients, unsigned pass, const char *more)
{
	double tsc = (double)(clients->ended - clients->started);
	double seconds = tsc / (double)clients->hz;
	printf("{\"phase\":\"%s\",\"pass\":%u,\"clients\":%lu,\"seconds\":%.4f,\"rate\":%.0f,"
	       "\"requests\":%lu,\"sent_again\":%lu,\"lost\":%lu,\"p50_us\":%.0f,\"p99_us\":%.0f,"
	       "\"p999_us\":%.0f,\"idle\":%.2f,%s%s\"errors\":{",
		clients->phase.name, pass, clients->finished, seconds,
		(double)clients->finished / seconds, clients->requests, clients->sent_again,
		clients->lost, microseconds(clients, 0.5), microseconds(clients, 0.99),
		microseconds(clients, 0.999), (double)clients->idle / tsc, more ? more : "",
		more ? "," : "");
	for (unsigned i = 0, any = 0; i < CLIENTS_CODES; i++)
		if (clients->errors[i])
			printf("%s\"%u\":%lu", any++ ? "," : "", i, clients->errors[i]);
	printf("},\"threads\":");
	thread_times_print(&clients->before, &clients->after);
	printf("}\n");
	fflush(stdout);
}

void clients_begin_pass(struct clients *clients, unsigned pass)
{
	clients->first_port = (uint16_t)(PORT_FIRST + pass * CLIENTS_PORTS);
	for (uint32_t i = 0; i < clients->options.count; i++)
		clients->all[i].out = false;
}

void clients_linger(struct clients *clients)
{
	for (uint64_t end = rte_rdtsc() + clients->hz * LINGER_MS / 1000; rte_rdtsc() < end;)
		receive(clients);
}

// ---- life ----

void clients_open(struct clients *clients)
{
	const struct clients_options *o = &clients->options;
	clients->all = take(o->count, sizeof(*clients->all));
	for (uint32_t i = 0; i < o->count; i++)
		clients->all[i].index = i;
	clients->pool = af_xdp_begin(o->core);
	clients->hz = rte_get_tsc_hz();
	clients->port = af_xdp_open(clients->pool, o->namespace, o->interface, "net_af_xdp_client");
	clients->path = af_xdp_path(clients->port, o->relay_mac);
}

void clients_close(struct clients *clients)
{
	rte_eth_dev_stop(clients->port);
	rte_eal_cleanup();
	free(clients->all);
}
