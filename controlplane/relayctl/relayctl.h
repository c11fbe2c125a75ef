// SPDX-License-Identifier: BSD-3-Clause
// What relayctl's verbs share: options of the command line and exit codes. One thread.
#pragma once

#include <stdbool.h>

enum {
	RELAYCTL_OK = 0,
	RELAYCTL_FAILED = 1,
	RELAYCTL_USAGE = 2,
	RELAYCTL_UNREACHABLE = 3, // no control plane to talk to
};

struct relayctl_options {
	const char *socket; // never NULL
	bool json;          // -j
	bool all;           // -a: zero counters too
	bool wait;          // --wait
	bool check;         // --check
	bool has_deadline;  // --deadline
	unsigned deadline_s;
	bool has_count;      // -n
	unsigned count;      // 0: without end
	double delay_s;      // -d
	const char *operand; // FILE of config check and token issue, PREFIX of guard
	const char *action;  // of guard: block, allow, remove, NULL: show; of token
	const char *retire;  // --retire: 8 hexadecimal digits; NULL: none
};

// Each runs one verb, prints to stdout (errors to stderr) and returns the exit code.
int relayctl_status(const struct relayctl_options *options);
int relayctl_version(const struct relayctl_options *options);
int relayctl_ports(const struct relayctl_options *options);
int relayctl_workers(const struct relayctl_options *options);
int relayctl_stats(const struct relayctl_options *options);
int relayctl_top(const struct relayctl_options *options);
int relayctl_drain(const struct relayctl_options *options);
int relayctl_undrain(const struct relayctl_options *options);
int relayctl_reload(const struct relayctl_options *options);
int relayctl_guard(const struct relayctl_options *options);
int relayctl_token(const struct relayctl_options *options);
int relayctl_config_check(const struct relayctl_options *options);
