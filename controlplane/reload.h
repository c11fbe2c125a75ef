// SPDX-License-Identifier: BSD-3-Clause
// Taking over a changed configuration file while everything runs (relayctl reload, SIGHUP), and
// keeping the dataplane's part of it the same as ours.
//
// The file is read by its path, so that one that was replaced by rename is found; the sandbox lets
// the process read files and write none. It is checked whole. What differs is compared key by key:
// with what we run with, and for keys that relay-dataplane takes from the file at its start with
// what it says it runs with (keyed hashes). Keys that need a restart keep their old value here
// until then, so that what is served and told stays what is true.
//
// The order makes it all or nothing: memory first, then the dataplane's consent, then the switch,
// which cannot fail. One change at a time. The loop's thread.
#pragma once

#include "dataplane/api/messages.h"
#include "lib/config/difference.h"

#include <stdbool.h>
#include <stdint.h>

struct node;
struct turn_change;

enum { RELOAD_KEYS_MAX = 64 };

struct reload_change {
	unsigned key;     // lib/config/difference.h
	unsigned restart; // set of enum config_restart; 0: it counts now
};

struct reload_report {
	bool checked_only;             // nothing was to be changed
	char error[CONFIG_ERROR_SIZE]; // one line; empty: none. With an error nothing has changed.
	bool dataplane_down;           // it learns what concerns it when it is back
	unsigned count;
	struct reload_change changes[RELOAD_KEYS_MAX];
};

typedef void (*reload_done)(void *context, const struct reload_report *report);

// In struct node.
struct reload {
	const char *file; // borrowed
	// What the dataplane that is, or was last, connected was started with.
	struct {
		bool known;
		uint8_t digest[CONFIG_DIGEST_SIZE];
	} dataplane[RELOAD_KEYS_MAX];
	uint8_t dataplane_secret[16]; // under which the digests are made
	bool settings_refused;        // by the dataplane that is connected
	// The one under way.
	struct config *next; // NULL: none
	struct turn_change *change;
	struct reload_report report;
	reload_done done;
	void *context;
};

// Reads the file and takes it over (check: only tells what would change). done is called once,
// perhaps before this returns.
void reload_start(struct node *node, bool check, reload_done done, void *context);
// Whoever waits is told; what was under way is dropped.
void reload_stop(struct node *node);

// A dataplane is connected: tells it our settings, and asks what it was started with. False: the
// link takes no more.
bool reload_connected(struct node *node);
// The key, of those that both programs take at start, in which the dataplane was started with
// another value than we were; -1: none. Begin with from 0, go on from the last one + 1.
int reload_disagreement(const struct node *node, unsigned from);
// Whether the dataplane was started with our values of all keys of a section.
bool reload_started_alike(const struct node *node, const char *section);
