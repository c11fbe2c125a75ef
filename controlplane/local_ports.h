// SPDX-License-Identifier: BSD-3-Clause
// Ports that the kernel may pick for the host's own connections although they are relayed ports:
// what comes back to such a connection would go to the relay. Any thread.
#pragma once

#include <stdint.h>

// How many ports of first-last the kernel may pick. range: text of net.ipv4.ip_local_port_range
// ("32768\t60999"); reserved: of net.ipv4.ip_local_reserved_ports ("49152-65535,8080", or empty).
// What cannot be read counts as nothing.
unsigned local_ports_overlap(
	const char *range, const char *reserved, uint16_t first, uint16_t last);

// The same for this host (network namespace), from /proc/sys.
unsigned local_ports_overlap_here(uint16_t first, uint16_t last);
