// SPDX-License-Identifier: BSD-3-Clause
// The one configuration file of all programs (INI, libinih). Every program reads the whole file and
// refuses the whole file: a key one program does not use is still checked. Parsed once at start
// into a plain struct; read-only after that, any thread.
#pragma once

#include "lib/net/address.h"

#include <stddef.h>

enum {
	CONFIG_PORTS_MAX = 16,
	CONFIG_LISTEN_MAX = 16,
	CONFIG_USERS_MAX = 1024,
	CONFIG_SECRETS_MAX = 8,
	CONFIG_RULES_MAX = 1024,
	CONFIG_CORES_MAX = 128,
	CONFIG_PREFIXES_MAX = 1024,
	CONFIG_PATH_SIZE = 108, // fits sun_path
	CONFIG_NAME_SIZE = 64,
	CONFIG_REALM_SIZE = 128,
	CONFIG_REALM_CHALLENGED_MAX = 44, // bytes; longer ones make a challenge too large
	CONFIG_SECRET_SIZE = 256,
};

enum config_port_type {
	CONFIG_PORT_AF_XDP,
	CONFIG_PORT_AF_PACKET,
	CONFIG_PORT_TAP,
	CONFIG_PORT_MEMIF,
	CONFIG_PORT_RING,
	CONFIG_PORT_PCI,
};

// "af_xdp:eth0", "memif:/run/x.sock,id=0,role=server,queues=2,kernel=relay0",
// "pci:0000:01:00.0,queues=4".
struct config_port {
	enum config_port_type type;
	char target[CONFIG_PATH_SIZE]; // interface, tap name, socket path, PCI address
	uint16_t queues;               // 0: as many as workers, or what the port has
	uint16_t memif_id;
	bool memif_server; // role=server (default is client)
	char kernel[16];   // name of the exception TAP; empty: "relayN" for ports without a kernel
			   // interface of their own
};

enum config_hugepages {
	CONFIG_HUGEPAGES_AUTO, // use them when enough are free
	CONFIG_HUGEPAGES_YES,
	CONFIG_HUGEPAGES_NO,
};

enum config_idle {
	CONFIG_IDLE_POLL,
	CONFIG_IDLE_SLEEP, // micro-sleep ramp when no packet comes
};

enum config_auth {
	CONFIG_AUTH_OPEN = 1, // excludes the others
	CONFIG_AUTH_STATIC = 2,
	CONFIG_AUTH_REST = 4,
	CONFIG_AUTH_TOKEN = 8, // relayctl token
};

enum config_admission {
	CONFIG_ADMISSION_OPEN,
	CONFIG_ADMISSION_POW,   // a puzzle, while many register
	CONFIG_ADMISSION_TOKEN, // relayctl token
};

struct config_user {
	char name[CONFIG_NAME_SIZE];
	char password[CONFIG_SECRET_SIZE];
};

struct config {
	struct {
		char name[CONFIG_NAME_SIZE];  // [a-z0-9-], default "relay"
		char state[CONFIG_PATH_SIZE]; // default /var/lib/blindrelay
		char run[CONFIG_PATH_SIZE];   // default /run/blindrelay; holds dataplane.sock and
					      // control.sock
	} node;
	struct {
		struct config_port ports[CONFIG_PORTS_MAX]; // port =, repeatable
		unsigned port_count;
		unsigned workers;                 // 1-64, default 1
		unsigned cores[CONFIG_CORES_MAX]; // cores = 0,2-5: the first is the main lcore's,
						  // then the workers'; empty: main on the first
						  // core available to the process, workers on the
						  // following, wrapping when there are fewer
		unsigned core_count;
		enum config_hugepages hugepages;
		unsigned memory;       // MiB for DPDK, default 512
		unsigned mappings;     // channels (and as many permissions) per worker, default
				       // 65536
		unsigned allocations;  // per worker, default a quarter of mappings; not 0 once
				       // parsed
		enum config_idle idle; // default poll
	} dataplane;
	struct {
		struct net_address
			listen[CONFIG_LISTEN_MAX]; // repeatable; at least one, no duplicates; two
						   // of a family switch RFC 5780 on
		unsigned listen_count;
		uint16_t port;                    // default 3478
		uint16_t alternate_port;          // RFC 5780, default 3479
		uint16_t relay_first, relay_last; // relay-ports = 49152-65535; must not contain
						  // port or alternate-port
	} address;
	struct {
		char realm[CONFIG_REALM_SIZE]; // default: node name
		unsigned auth;                 // set of enum config_auth; auth = static rest
		char secrets[CONFIG_SECRETS_MAX][CONFIG_SECRET_SIZE]; // repeatable: rotation
		unsigned secret_count;
		struct config_user *users; // user = name:password, repeatable
		unsigned user_count;
		uint16_t channel_last; // channels = rfc8656 (to 0x4FFF, default) or rfc5766 (to
				       // 0x7FFF)
		unsigned max_lifetime; // seconds, default 3600, at least 600
		unsigned quota;        // allocations per credential, default 64, 0: no limit
		unsigned prefix_quota; // allocations per source prefix (/24, /56), default 256, 0:
				       // no limit
	} turn;
	struct {
		struct net_range allow[CONFIG_RULES_MAX];
		unsigned allow_count;
		struct net_range deny[CONFIG_RULES_MAX];
		unsigned deny_count;
	} peers;
	struct {
		struct net_prefix block[CONFIG_PREFIXES_MAX]; // sources that get nothing
		unsigned block_count;
		struct net_prefix allow[CONFIG_PREFIXES_MAX]; // exceptions; the longest prefix
							      // decides
		unsigned allow_count;
		// Per second and source prefix (/24, /56); a burst is one second's worth.
		unsigned reply_bytes;           // of unauthenticated replies, default 262144
		unsigned punts;                 // requests without an allocation, default 2000
		unsigned punts_with_allocation; // requests with one, default 20000
		// Per second.
		unsigned punts_total; // requests without an allocation, of everybody, default 50000
		unsigned new_allocations; // of each worker, default 20000
	} guard;
	// The native protocol, lib/wire/README.md.
	struct {
		bool enabled;                    // default yes
		enum config_admission admission; // default open
		unsigned lease;                  // seconds, the longest; 60-3600, default 600
		unsigned keepalive;              // seconds, what clients are told; default 20
		unsigned epoch;        // seconds, the same for all who use an address; default 3600
		unsigned leases;       // at one time, default 65536
		unsigned handles;      // at one time, even: a pair is two; default 65536
		unsigned sender_bytes; // per second, of data by address from one source, default 1
				       // MiB
		unsigned address_bytes; // per second, of data for one address, default 4 MiB
		unsigned new_leases;    // per second, default 20000
		unsigned puzzle_above; // registrations per second that need no puzzle, default 5000
	} registration;
	// The store of tokens in <state>/tokens; see config_uses_tokens.
	struct {
		bool issue;     // also while nobody is admitted by token, default no
		unsigned spent; // remembered at one time, over all keys, default 4194304
	} tokens;
};

enum { CONFIG_ERROR_SIZE = 512 };

// Reads and checks FILE. 0 and *out (free with config_free; it is large: do not put it on the
// stack), or a negative errno and one line in error: "FILE:LINE: [section] key: what is wrong;
// expected what".  Unknown sections and keys, keys given twice that may not be, and contradictions
// (auth=rest without a secret, port inside relay-ports, no listen address, no port...) are errors.
// The file may hold secrets: -EACCES when others may read it and it holds one.
int config_load(const char *file, struct config **out, char error[static CONFIG_ERROR_SIZE]);
// The same from memory; name stands in for FILE in errors. For tests and fuzzing.
int config_parse(const char *text, const char *name, struct config **out,
	char error[static CONFIG_ERROR_SIZE]);
// Wipes secrets, then frees. NULL is fine.
void config_free(struct config *config);

// Whether the control plane opens the store of tokens.
bool config_uses_tokens(const struct config *config);

enum { CONFIG_WARNING_SIZE = 192 };

// What is allowed but often not meant: auth = open, short secrets, peer rules that open
// special-purpose ranges. Writes the index-th one (from 0) and returns true; false when there is no
// such. For start-up and `relayctl config check`; not for the dataplane, since a text may hold an
// address of the configuration.
bool config_warning(
	const struct config *config, unsigned index, char text[static CONFIG_WARNING_SIZE]);
