// SPDX-License-Identifier: BSD-3-Clause
// A TUN device in a network namespace: whole IP packets with whole checksums, no link layer, no
// offloads, no neighbours to be looked for.
#pragma once

// The device goes when the descriptor is closed. Returns a descriptor that does not block, or
// negative errno. netns: a name in /run/netns. The calling thread is back in its own namespace.
int tun_open(const char *netns, const char *interface);
