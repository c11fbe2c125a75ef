// SPDX-License-Identifier: BSD-3-Clause
// The relay's X25519 key, <state>/node.key: 32 random bytes, mode 0600, made at the first start.
// Clients may pin its public half, so it outlives everything else of the node; whoever loses it
// only has to tell them. Read before the sandbox closes, wiped at exit.
#pragma once

#include "controlplane/registration/registration.h"

enum { NODE_KEY_TEXT_SIZE = 384 };

// Reads the key, or makes it, and the folder `state`, where there is none. 0, or a negative errno
// and in trouble what was attempted and what to do: -EPERM belongs to another user; -EACCES others
// may read it; -EINVAL no file, or not of 32 bytes; others of the system calls. *key is whole or
// zero.
int node_key_open(
	const char *state, struct registration_key *key, char trouble[static NODE_KEY_TEXT_SIZE]);
