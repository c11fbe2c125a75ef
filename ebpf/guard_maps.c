// SPDX-License-Identifier: BSD-3-Clause
// Opening and filling the guard's maps, see guard_maps.h. Main lcore.

#include "ebpf/guard_maps.h"

#include "ebpf/load.h"
#include "ebpf/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	SECOND = 1000000000,
	PORTS_SIZE = STEER_ADDRESSES_MAX * STEER_PORT_WORDS * 8,
};

// The descriptor of a program's map, or a negative errno.
static int map_find(int program_fd, const char *name)
{
	uint32_t ids[16];
	struct bpf_prog_info info = {.nr_map_ids = 16, .map_ids = (uintptr_t)ids};
	uint32_t size = sizeof(info);
	int error = bpf_obj_get_info_by_fd(program_fd, &info, &size);

	for (uint32_t i = 0; !error && i < info.nr_map_ids && i < 16; i++) {
		struct bpf_map_info map = {0};
		int fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			return fd;
		size = sizeof(map);
		error = bpf_obj_get_info_by_fd(fd, &map, &size);
		if (!error && !strcmp(map.name, name))
			return fd;
		close(fd);
	}
	return error ? error : -ENOENT;
}

static int map_into(int program_fd, const char *name, size_t size, void **out)
{
	int fd = map_find(program_fd, name);

	if (fd < 0)
		return fd;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int error = memory == MAP_FAILED ? -errno : 0;
	close(fd);
	if (!error)
		*out = memory;
	return error;
}

int steer_guard_open_program(int program_fd, struct steer_guard *guard)
{
	void *settings = NULL, *ports = NULL;

	*guard = steer_guard_none();
	int error = map_into(
		program_fd, STEER_GUARD_MAP, sizeof(struct steer_guard_settings), &settings);
	guard->settings = settings;
	if (!error)
		error = map_into(program_fd, STEER_PORTS_MAP, PORTS_SIZE, &ports);
	guard->ports = ports;
	if (!error) {
		guard->rules4 = map_find(program_fd, STEER_RULES4_MAP);
		guard->rules6 = map_find(program_fd, STEER_RULES6_MAP);
		error = guard->rules4 < 0 ? guard->rules4 : guard->rules6 < 0 ? guard->rules6 : 0;
	}
	if (!error && getrandom(guard->settings->seed, sizeof(guard->settings->seed), 0) !=
			      sizeof(guard->settings->seed))
		error = -EIO;
	if (error)
		steer_guard_close(guard);
	return error;
}

int steer_guard_open(const char *ifname, struct steer_guard *guard)
{
	*guard = steer_guard_none();
	struct steer_prints prints = steer_prints_silence();
	int program = steer_program_open(ifname);
	int result = program < 0 ? program : steer_guard_open_program(program, guard);

	if (program >= 0)
		close(program);
	steer_prints_restore(prints);
	return result;
}

void steer_guard_close(struct steer_guard *guard)
{
	if (guard->settings)
		munmap(guard->settings, sizeof(struct steer_guard_settings));
	if (guard->ports)
		munmap((void *)guard->ports, PORTS_SIZE);
	if (guard->rules4 >= 0)
		close(guard->rules4);
	if (guard->rules6 >= 0)
		close(guard->rules6);
	*guard = steer_guard_none();
}

void steer_guard_enable(struct steer_guard *guard, uint32_t requests, uint16_t channel_last)
{
	volatile struct steer_guard_settings *settings = guard->settings;

	settings->request_cost = requests ? SECOND / requests : 0;
	settings->channel_last = channel_last >> 8;
	settings->enabled = 1;
}

int steer_guard_rule(struct steer_guard *guard, const struct net_prefix *prefix,
	enum steer_rule before, enum steer_rule rule)
{
	bool v4 = prefix->address.family == NET_IPV4;
	int map = v4 ? guard->rules4 : guard->rules6;
	volatile uint32_t *count = v4 ? &guard->settings->rules4 : &guard->settings->rules6;
	struct steer_prefix key = {.length = prefix->length};
	uint8_t value = (uint8_t)rule;

	memcpy(key.bytes, prefix->address.bytes, v4 ? 4 : 16);
	int error = rule == STEER_RULE_NONE ? bpf_map_delete_elem(map, &key)
					    : bpf_map_update_elem(map, &key, &value, BPF_ANY);
	if (!error)
		*count = *count + (rule != STEER_RULE_NONE) - (before != STEER_RULE_NONE);
	return error;
}
