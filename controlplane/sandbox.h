// SPDX-License-Identifier: BSD-3-Clause
// What the control plane takes away from itself: dumps and swap at once, capabilities and system
// calls once its sockets are open.
#pragma once

#include <stdbool.h>

// No core dumps, no reading of our memory by others, nothing swapped out. Best effort: what the
// system refuses is left out. First thing in main, before any secret is read.
void sandbox_hide_memory(void);

// Whether memory that is mapped from here on is locked, as sandbox_hide_memory has it: not while a
// file is mapped that is larger than what is to be in memory.
void sandbox_lock_new_memory(bool on);

// Keeps CAP_NET_ADMIN (asking the kernel to resolve neighbours) and nothing else, for good. 0;
// -EPERM when that one is not there: then neighbours are only seen, not asked for. Other negative
// errno: nothing could be dropped.
int sandbox_drop_capabilities(void);

// From here on no program can be started, nothing traced or mounted, no file written, and no socket
// opened but UNIX and netlink ones: whoever takes over this process cannot talk to the network. 0
// or a negative errno.
int sandbox_restrict_calls(void);
