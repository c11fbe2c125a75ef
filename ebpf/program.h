// SPDX-License-Identifier: BSD-3-Clause
// A loaded steering program and its maps, XDP or tc alike. Used by this folder and its tests only.
// Main lcore.
#pragma once

#include "ebpf/load.h"

// Open descriptors of a program's maps; -1 where there is none (tc has no sockets).
struct steer_maps {
	int settings;
	int addresses;
	int counters;
	int sockets;
};

// The print hooks that were there before this folder silenced libbpf and libxdp.
struct steer_prints {
	void *libbpf;
	void *libxdp;
};
struct steer_prints steer_prints_silence(void);
void steer_prints_restore(struct steer_prints prints);

// The kernel's name of a program. id: of any program in the system.
int steer_program_name(uint32_t id, char name[static STEER_NAME_SIZE]);

// A descriptor of our XDP program on ifname; -ENOENT without, -ENODEV.
int steer_program_open(const char *ifname);

// Finds the maps of a program by their names. -ENOENT when settings, addresses or counters is
// missing: then it is not ours. On success steer_maps_close is the caller's.
int steer_maps_open(int program_fd, struct steer_maps *maps);
void steer_maps_close(struct steer_maps *maps);
// Takes out what outlives steer_maps_close.
struct steer_handles steer_maps_keep(struct steer_maps *maps);

// Writes config into the maps; -EINVAL as documented for steer_configure.
int steer_maps_fill(const struct steer_maps *maps, const struct steer_config *config);

// Does an AF_XDP socket of a living process sit in the map? 1, 0 or a negative errno.
int steer_sockets_alive(int sockets_fd);
