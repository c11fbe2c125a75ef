// SPDX-License-Identifier: BSD-3-Clause
// The XDP program on an interface: ours, a killed predecessor's, or somebody else's.
//
// DPDK's driver attaches the program alone, but an operator may have loaded it by libxdp's tools;
// then the program on the interface is libxdp's dispatcher and ours a component of it. Components
// are found through libxdp, which finds them in the BPF file system; where none is mounted there
// are no dispatchers of its making either. Main lcore.

#include "ebpf/load.h"
#include "ebpf/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#define DISPATCHER "xdp_dispatcher"

// An interface has up to one program per mode.
struct attached {
	uint32_t id; // 0: none
	uint32_t mode;
};
enum { MODES = 3 };

static int interface_index(const char *ifname)
{
	unsigned index = if_nametoindex(ifname);

	return index ? (int)index : -ENODEV;
}

static int attached_query(int ifindex, struct attached attached[static MODES])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int error = bpf_xdp_query(ifindex, 0, &opts);

	attached[0] = (struct attached){opts.drv_prog_id, XDP_FLAGS_DRV_MODE};
	attached[1] = (struct attached){opts.skb_prog_id, XDP_FLAGS_SKB_MODE};
	attached[2] = (struct attached){opts.hw_prog_id, XDP_FLAGS_HW_MODE};
	return error;
}

// Our component of a dispatcher, which owns it; NULL when it has none. Some other
// component's name, if any, goes into other.
static struct xdp_program *component_find(
	struct xdp_multiprog *dispatcher, char other[static STEER_NAME_SIZE])
{
	struct xdp_program *component = NULL, *found = NULL;

	while ((component = xdp_multiprog__next_prog(component, dispatcher))) {
		const char *name = xdp_program__name(component);
		if (!found && name && !strcmp(name, STEER_XDP_PROGRAM))
			found = component;
		else if (name)
			strncpy(other, name, STEER_NAME_SIZE - 1);
	}
	return found;
}

// 1: a living relay owns the program; 0; or a negative errno.
static int program_alive(int program_fd)
{
	struct steer_maps maps;
	int result = steer_maps_open(program_fd, &maps);

	// A program of our name without our maps has no sockets of ours either.
	if (result)
		return result == -ENOENT ? 0 : result;
	result = maps.sockets < 0 ? 0 : steer_sockets_alive(maps.sockets);
	steer_maps_close(&maps);
	return result;
}

static int dispatcher_clean(int ifindex, char foreign[static STEER_NAME_SIZE])
{
	struct xdp_multiprog *dispatcher = xdp_multiprog__get_from_ifindex(ifindex);
	int error = (int)libxdp_get_error(dispatcher);

	strncpy(foreign, DISPATCHER, STEER_NAME_SIZE);
	if (error || xdp_multiprog__is_legacy(dispatcher)) {
		xdp_multiprog__close(error ? NULL : dispatcher);
		return -EBUSY;
	}
	struct xdp_program *ours = component_find(dispatcher, foreign);
	bool alone = xdp_multiprog__program_count(dispatcher) == 1;
	error = -EBUSY;
	if (ours) {
		error = program_alive(xdp_program__fd(ours));
		if (error == 1)
			error = -EADDRINUSE;
		if (!error)
			error = xdp_program__detach(
				ours, ifindex, xdp_multiprog__attach_mode(dispatcher), 0);
		if (!error)
			error = alone ? 1 : -EBUSY;
	}
	if (error != -EBUSY)
		foreign[0] = '\0';
	xdp_multiprog__close(dispatcher);
	return error;
}

static int program_clean(
	int ifindex, struct attached attached, char foreign[static STEER_NAME_SIZE])
{
	int error = steer_program_name(attached.id, foreign);

	if (error)
		return error == -ENOENT ? 0 : error; // gone meanwhile
	if (!strcmp(foreign, DISPATCHER))
		return dispatcher_clean(ifindex, foreign);
	if (strcmp(foreign, STEER_XDP_PROGRAM))
		return -EBUSY;
	foreign[0] = '\0';

	int fd = bpf_prog_get_fd_by_id(attached.id);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	error = program_alive(fd);
	if (error == 1)
		error = -EADDRINUSE;
	if (!error) {
		// Only this very program: whoever replaced it meanwhile keeps theirs.
		LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = fd);
		error = bpf_xdp_detach(ifindex, attached.mode, &opts);
	}
	close(fd);
	return error ? error : 1;
}

int steer_detach_stale(const char *ifname, char foreign[static STEER_NAME_SIZE])
{
	struct steer_prints prints = steer_prints_silence();
	struct attached attached[MODES] = {0};
	int removed = 0, ifindex = interface_index(ifname);
	int result = ifindex < 0 ? ifindex : attached_query(ifindex, attached);

	memset(foreign, 0, STEER_NAME_SIZE);
	for (int i = 0; result >= 0 && i < MODES; i++) {
		if (!attached[i].id)
			continue;
		result = program_clean(ifindex, attached[i], foreign);
		removed |= result == 1;
	}
	steer_prints_restore(prints);
	return result < 0 ? result : removed;
}

// A descriptor of our program on ifindex, -ENOENT without.
static int program_open(int ifindex)
{
	struct attached attached[MODES] = {0};
	char name[STEER_NAME_SIZE];
	int error = attached_query(ifindex, attached), fd = -ENOENT;

	for (int i = 0; !error && fd == -ENOENT && i < MODES; i++) {
		if (!attached[i].id)
			continue;
		error = steer_program_name(attached[i].id, name);
		if (!error && !strcmp(name, STEER_XDP_PROGRAM))
			return bpf_prog_get_fd_by_id(attached[i].id);
		if (error || strcmp(name, DISPATCHER))
			continue;
		struct xdp_multiprog *dispatcher = xdp_multiprog__get_from_ifindex(ifindex);
		if (libxdp_get_error(dispatcher))
			continue;
		struct xdp_program *ours = component_find(dispatcher, name);
		if (ours)
			fd = bpf_prog_get_fd_by_id(xdp_program__id(ours));
		xdp_multiprog__close(dispatcher);
	}
	return error ? error : fd;
}

int steer_program_open(const char *ifname)
{
	int ifindex = interface_index(ifname);

	return ifindex < 0 ? ifindex : program_open(ifindex);
}

int steer_configure(
	const char *ifname, const struct steer_config *config, struct steer_handles *handles)
{
	struct steer_prints prints = steer_prints_silence();
	struct steer_maps maps;
	int result = steer_program_open(ifname);

	*handles = STEER_HANDLES_NONE;
	if (result >= 0) {
		int program = result;
		result = steer_maps_open(program, &maps);
		close(program);
		if (!result) {
			result = steer_maps_fill(&maps, config);
			if (!result)
				*handles = steer_maps_keep(&maps);
			steer_maps_close(&maps);
		}
	}
	steer_prints_restore(prints);
	return result;
}
