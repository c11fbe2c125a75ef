// SPDX-License-Identifier: BSD-3-Clause
// What the kernel says of a network interface, and the few settings made on interfaces of our own.
// Main lcore. Errors are negative errno; -ENODEV: no such interface.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct interface_facts {
	int index;
	bool up;
	uint16_t mtu;
	uint8_t mac[6];
	unsigned channels; // combined receive/transmit queues; 1 where the driver has no say
};

int interface_facts(const char *name, struct interface_facts *out);
int interface_set_mac(const char *name, const uint8_t mac[static 6]);
int interface_set_mtu(const char *name, uint16_t mtu);
int interface_set_up(const char *name);
