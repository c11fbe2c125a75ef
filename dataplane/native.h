// SPDX-License-Identifier: BSD-3-Clause
// What all workers know of the native protocol (lib/wire/README.md): what the control plane told
// (API_NATIVE_SETTINGS), and keys of this start. There are two: main fills the one that no worker
// uses, and each worker turns to it between two bursts (native_requests.h), as with struct
// node_addresses. Before the control plane has spoken nothing is served.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct native_settings {
	bool served;       // without it, first bytes 4 to 6 are dropped
	bool tell_unknown; // punt data for addresses without a lease
	uint8_t difficulty;
	uint8_t admission; // enum native_admission
	uint32_t epoch, epoch_seconds;
	uint32_t sender_bytes;  // per second and worker, of data by address from one source
	uint32_t address_bytes; // per second and worker, of data for one address
	// Random per start, the same in both.
	uint8_t cookie_key[16]; // SipHash-2-4: of cookies
	uint8_t path_key[16];   // and of tokens of path checks
	// Added to ticks (table/ticks.h) where a time leaves the process, so that it does not tell
	// how long the machine has been running.
	uint32_t tick_offset;
};
