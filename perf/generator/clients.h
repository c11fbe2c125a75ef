// SPDX-License-Identifier: BSD-3-Clause
// Clients by the ten thousand for a server's slow path: each with an address and a /24 of its own
// (beyond CLIENTS_PREFIXES they share them by port), on raw frames through AF_XDP; a window of them
// at work at once, each with one request under way.
//
//   [client namespace] veth --> server under test
//
// What they say is the protocol's: it makes requests and judges answers. A phase takes clients
// through some of its steps; passes repeat phases with 5-tuples of their own. A lost request is
// sent again as RFC 8489 6.2.1 says and counted; a client that gets no answer or an error is out
// for the rest of the pass and counted. One lcore.
#pragma once

#include "lib/net/address.h"
#include "perf/generator/flow_frames.h"
#include "perf/generator/histogram.h"
#include "perf/generator/thread_times.h"

#include <rte_mbuf.h>

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	CLIENTS_PREFIXES = 8192, // /24s behind --sources
	CLIENTS_PORTS = 32,      // of a prefix in a pass
	CLIENTS_MAX = CLIENTS_PREFIXES * CLIENTS_PORTS,
	CLIENTS_PASSES_MAX = 1000,
	CLIENTS_WINDOW_MAX = 8192,
	CLIENTS_STEPS_MAX = 8,
	CLIENTS_BURST = 32,
	CLIENTS_CODES = 600,
};

struct clients_options {
	const char *namespace, *interface, *relay_mac;
	struct net_address sources;
	struct net_endpoint server;
	unsigned count, window, passes, core;
	double seconds; // of a phase, at most
	pid_t processes[THREAD_TIMES_PROCESSES];
	unsigned process_count;
};

// For getopt_long's table, and what they mean; 'a' to 'z' are a program's own.
#define CLIENTS_OPTIONS                                                                            \
	{"client", 1, NULL, 'C'}, {"server", 1, NULL, 'S'}, {"relay-mac", 1, NULL, 'M'},           \
		{"sources", 1, NULL, 'A'}, {"clients", 1, NULL, 'N'}, {"window", 1, NULL, 'W'},    \
		{"passes", 1, NULL, 'R'}, {"seconds", 1, NULL, 'T'}, {"core", 1, NULL, 'K'},       \
	{                                                                                          \
		"process", 1, NULL, 'P'                                                            \
	}
#define CLIENTS_USAGE                                                                              \
	"--client NS,IF --server ADDRESS:PORT --relay-mac MAC --sources ADDRESS\n"                 \
	"       [--clients N] [--window N] [--passes N] [--seconds S] [--core N] "                 \
	"[--process PID]...\n"
#define CLIENTS_USAGE_MORE                                                                         \
	"  --sources  the first of 8192 /24 prefixes that the clients are in: a.b.0.0\n"           \
	"  --window   clients at work at once\n"                                                   \
	"  --seconds  of a phase, at most\n"                                                       \
	"  --process  whose threads' CPU time is told with each phase\n"

// Whether the option is one of these; what is wrong with its argument ends the program.
bool clients_option(struct clients_options *options, int option, char *argument);
// Whether all that must be given is there, and in its bounds.
bool clients_options_whole(const struct clients_options *options);

struct client {
	uint8_t step;  // under way
	uint8_t tries; // of it
	bool working;  // has a request under way
	bool out;      // had an error or no answer in this pass
	bool held;     // has something at the server that is to be given back
	uint32_t index;
	uint64_t first_sent, due; // TSC
};

struct clients_frame {
	const uint8_t *bytes;
	uint16_t length;
};

// What an answer is, if not the server's error (its code: 1 to CLIENTS_CODES - 1).
enum clients_verdict {
	CLIENTS_DONE = 0,   // the step is
	CLIENTS_AGAIN = -1, // the step begins again, with another request
	CLIENTS_STRAY = -2, // a second answer to what was sent twice, or nobody's
};

struct clients_protocol {
	void *context;
	// The request of the client's step, as a whole frame. begins: false when the last one has
	// to be sent again.
	struct clients_frame (*request)(void *context, const struct client *client, bool begins);
	// A datagram for a client. Called for those that are not at work, too.
	int (*answer)(void *context, struct client *client, const uint8_t *payload, size_t length);
};

struct clients_phase {
	const char *name;
	unsigned first, last; // steps
	unsigned timed;       // the step whose latency is printed
	bool of_held;         // takes those who hold something; else those who are not out
	double seconds;       // after that nobody new begins
};

struct clients {
	struct clients_options options;
	struct clients_protocol protocol;
	struct flow_path path;
	struct client *all;
	uint64_t hz, stray;

	// clients.c's own
	struct rte_mempool *pool;
	uint16_t port, first_port; // DPDK's; of this pass
	struct histogram latency[CLIENTS_STEPS_MAX];
	struct client *working[CLIENTS_WINDOW_MAX];
	unsigned working_count;
	struct rte_mbuf *out[CLIENTS_BURST];
	unsigned out_count;
	struct clients_phase phase;
	uint64_t requests, sent_again, lost, finished; // of the phase
	uint64_t started, ended, idle;                 // TSC; idle: of turns without work
	uint64_t errors[CLIENTS_CODES];
	struct thread_times before, after;
};

// options and protocol are set. Opens the port; what fails ends the program.
void clients_open(struct clients *clients);
void clients_close(struct clients *clients);

// Begins a pass: everybody takes part again, from other ports.
void clients_begin_pass(struct clients *clients, unsigned pass);
// Where a client is in this pass.
struct net_endpoint clients_endpoint(const struct clients *clients, uint32_t index);

void clients_run(struct clients *clients, const struct clients_phase *phase);
// A JSON line about the phase; more: NULL, or further members of it ("\"a\":1").
void clients_print(const struct clients *clients, unsigned pass, const char *more);

// Waits until late answers have come, so that they do not reach into the next pass.
void clients_linger(struct clients *clients);
