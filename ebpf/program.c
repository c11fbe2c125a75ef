// SPDX-License-Identifier: BSD-3-Clause
// A loaded steering program: finding its maps, filling them, reading its counters.
//
// The kernel knows maps by id and name only, and the driver that loads the XDP program keeps its
// descriptors to itself, so everything is found through the attached program. Main lcore.

#include "ebpf/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/libxdp.h>

static_assert(
	sizeof(struct steer_address) == sizeof(struct net_address) &&
		offsetof(struct steer_address, family) == offsetof(struct net_address, family),
	"an address is its own key");

struct steer_prints steer_prints_silence(void)
{
	return (struct steer_prints){
		.libbpf = (void *)libbpf_set_print(NULL),
		.libxdp = (void *)libxdp_set_print(NULL),
	};
}

void steer_prints_restore(struct steer_prints prints)
{
	libbpf_set_print((libbpf_print_fn_t)prints.libbpf);
	libxdp_set_print((libxdp_print_fn_t)prints.libxdp);
}

int steer_program_name(uint32_t id, char name[static STEER_NAME_SIZE])
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return fd;
	int error = bpf_obj_get_info_by_fd(fd, &info, &size);
	close(fd);
	if (!error) {
		static_assert(STEER_NAME_SIZE == BPF_OBJ_NAME_LEN, "the kernel's limit");
		memcpy(name, info.name, STEER_NAME_SIZE);
		name[STEER_NAME_SIZE - 1] = '\0';
	}
	return error;
}

// Puts fd into the member its map's name asks for, or closes it.
static int map_sort_in(struct steer_maps *maps, int fd)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);
	int error = bpf_obj_get_info_by_fd(fd, &info, &size);
	int *place = NULL;

	if (!error) {
		if (!strcmp(info.name, STEER_SETTINGS_MAP))
			place = &maps->settings;
		else if (!strcmp(info.name, STEER_ADDRESSES_MAP))
			place = &maps->addresses;
		else if (!strcmp(info.name, STEER_COUNTERS_MAP))
			place = &maps->counters;
		else if (!strcmp(info.name, STEER_SOCKETS_MAP))
			place = &maps->sockets;
	}
	if (place && *place < 0)
		*place = fd;
	else
		close(fd);
	return error;
}

int steer_maps_open(int program_fd, struct steer_maps *maps)
{
	uint32_t ids[16];
	struct bpf_prog_info info = {.nr_map_ids = 16, .map_ids = (uintptr_t)ids};
	uint32_t size = sizeof(info);
	int error = bpf_obj_get_info_by_fd(program_fd, &info, &size);

	*maps = (struct steer_maps){-1, -1, -1, -1};
	for (uint32_t i = 0; !error && i < info.nr_map_ids && i < 16; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);
		error = fd < 0 ? fd : map_sort_in(maps, fd);
	}
	if (!error && (maps->settings < 0 || maps->addresses < 0 || maps->counters < 0))
		error = -ENOENT;
	if (error)
		steer_maps_close(maps);
	return error;
}

static void descriptor_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void steer_maps_close(struct steer_maps *maps)
{
	descriptor_close(&maps->settings);
	descriptor_close(&maps->addresses);
	descriptor_close(&maps->counters);
	descriptor_close(&maps->sockets);
}

struct steer_handles steer_maps_keep(struct steer_maps *maps)
{
	struct steer_handles handles = {.counters = maps->counters, .settings = maps->settings};

	maps->counters = maps->settings = -1;
	return handles;
}

void steer_handles_close(struct steer_handles *handles)
{
	descriptor_close(&handles->counters);
	descriptor_close(&handles->settings);
}

static bool config_valid(const struct steer_config *config)
{
	if (config->address_count < 1 || config->address_count > STEER_ADDRESSES_MAX)
		return false;
	for (unsigned i = 0; i < config->address_count; i++)
		if (config->addresses[i].family != NET_IPV4 &&
			config->addresses[i].family != NET_IPV6)
			return false;
	return config->listen_port && config->relay_first &&
	       config->relay_first <= config->relay_last;
}

static int addresses_add(int map, const struct steer_config *config)
{
	for (unsigned i = 0; i < config->address_count; i++) {
		struct steer_address key = {.family = config->addresses[i].family};
		uint8_t value = (uint8_t)i;

		memcpy(key.bytes, config->addresses[i].bytes, key.family == NET_IPV4 ? 4 : 16);
		int error = bpf_map_update_elem(map, &key, &value, BPF_ANY);
		if (error)
			return error;
	}
	return 0;
}

static bool address_wanted(const struct steer_address *key, const struct steer_config *config)
{
	for (unsigned i = 0; i < config->address_count; i++)
		if (key->family == config->addresses[i].family &&
			!memcmp(key->bytes, config->addresses[i].bytes,
				key->family == NET_IPV4 ? 4 : 16))
			return true;
	return false;
}

static int addresses_remove_others(int map, const struct steer_config *config)
{
	struct steer_address unwanted[STEER_ADDRESSES_MAX], key, *previous = NULL;
	unsigned count = 0;

	// Collected first: removing while walking makes the kernel start over.
	for (; !bpf_map_get_next_key(map, previous, &key); previous = &key)
		if (!address_wanted(&key, config) && count < STEER_ADDRESSES_MAX)
			unwanted[count++] = key;
	for (unsigned i = 0; i < count; i++) {
		int error = bpf_map_delete_elem(map, &unwanted[i]);
		if (error && error != -ENOENT)
			return error;
	}
	return 0;
}

static int settings_write(int map, const struct steer_settings *settings)
{
	uint32_t key = 0;

	return bpf_map_update_elem(map, &key, settings, BPF_ANY);
}

// A reader may see half of an update, so other ports are written while the program is disabled.
int steer_maps_fill(const struct steer_maps *maps, const struct steer_config *config)
{
	if (!config_valid(config))
		return -EINVAL;

	struct steer_settings now,
		wanted = {
			.enabled = 1,
			.listen_port = config->listen_port,
			.alternate_port = config->alternate_port ? config->alternate_port
								 : config->listen_port,
			.relay_first = config->relay_first,
			.relay_last = config->relay_last,
			.earlier_first = config->relay_first,
			.earlier_last = config->relay_last,
		};
	uint32_t key = 0;
	int error = bpf_map_lookup_elem(maps->settings, &key, &now);
	if (!error && memcmp(&now, &wanted, sizeof(now))) {
		wanted.enabled = 0;
		error = settings_write(maps->settings, &wanted);
		wanted.enabled = 1;
	}
	// The old go before the new come, so that the two together cannot overflow the map.
	if (!error)
		error = addresses_remove_others(maps->addresses, config);
	if (!error)
		error = addresses_add(maps->addresses, config);
	if (!error)
		error = settings_write(maps->settings, &wanted);
	return error;
}

static __u16 lower(__u16 a, __u16 b)
{
	return a < b ? a : b;
}

static __u16 higher(__u16 a, __u16 b)
{
	return a > b ? a : b;
}

// A reader may see half of an update, though never half of a bound. So the earlier range grows over
// the old and the new one first, then the other range moves under its cover, then it shrinks: what
// is to remain is in one of the two whatever mixture of old and new bounds is read.
int steer_relay_ports(const struct steer_handles *handles, uint16_t first, uint16_t last,
	uint16_t earlier_first, uint16_t earlier_last)
{
	struct steer_settings settings;
	uint32_t key = 0;
	int error = bpf_map_lookup_elem(handles->settings, &key, &settings);

	if (error)
		return error;
	settings.earlier_first = lower(settings.earlier_first, earlier_first);
	settings.earlier_last = higher(settings.earlier_last, earlier_last);
	error = settings_write(handles->settings, &settings);
	settings.relay_first = first;
	settings.relay_last = last;
	if (!error)
		error = settings_write(handles->settings, &settings);
	settings.earlier_first = earlier_first;
	settings.earlier_last = earlier_last;
	if (!error)
		error = settings_write(handles->settings, &settings);
	return error;
}

// User space may not read an XSKMAP, but it may ask to put a socket where there is none. Sockets of
// a dead process have left the map, and so does ours with its descriptor; until then it drops what
// is sent to it, for it is bound to no interface.
int steer_sockets_alive(int sockets_fd)
{
	int probe = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int alive = 0;

	if (probe < 0)
		return -errno;
	for (uint32_t queue = 0; !alive && queue < STEER_QUEUES_MAX; queue++) {
		int error = bpf_map_update_elem(sockets_fd, &queue, &probe, BPF_NOEXIST);
		if (error == -EEXIST)
			alive = 1;
		else if (error)
			alive = error;
		else
			bpf_map_delete_elem(sockets_fd, &queue);
	}
	close(probe);
	return alive;
}

int steer_counters(int counters_fd, uint64_t counters[static STEER_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return cpus;
	uint64_t *values = calloc((size_t)cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	int error = 0;
	for (uint32_t key = 0; !error && key < STEER_COUNTERS; key++) {
		error = bpf_map_lookup_elem(counters_fd, &key, values);
		counters[key] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			counters[key] += values[cpu];
	}
	free(values);
	return error;
}

const char *steer_counter_name(enum steer_counter counter)
{
	static const char *const names[STEER_COUNTERS] = {
		[STEER_TAKE_CLIENT] = "client",
		[STEER_TAKE_PEER] = "peer",
		[STEER_TAKE_ICMP_ERROR] = "icmp_error",
		[STEER_PASS_UNCONFIGURED] = "unconfigured",
		[STEER_PASS_NO_SOCKET] = "no_socket",
		[STEER_PASS_NOT_IP] = "not_ip",
		[STEER_PASS_TAGS] = "tags",
		[STEER_PASS_MALFORMED] = "malformed",
		[STEER_PASS_OTHER_PROTOCOL] = "other_protocol",
		[STEER_PASS_OTHER_ADDRESS] = "other_address",
		[STEER_PASS_OPTIONS] = "options",
		[STEER_PASS_FRAGMENT] = "fragment",
		[STEER_PASS_OTHER_PORT] = "other_port",
		[STEER_PASS_ICMP] = "icmp",
		[STEER_DROP_LENGTH] = "drop_length",
		[STEER_DROP_BLOCKED] = "drop_blocked",
		[STEER_DROP_SOURCE] = "drop_source",
		[STEER_DROP_UNALLOCATED] = "drop_unallocated",
		[STEER_DROP_SHORT] = "drop_short",
		[STEER_DROP_FIRST_BYTE] = "drop_first_byte",
		[STEER_DROP_STUN] = "drop_stun",
		[STEER_DROP_CHANNEL] = "drop_channel",
		[STEER_DROP_BUDGET] = "drop_budget",
	};

	return (unsigned)counter < STEER_COUNTERS ? names[counter] : "unknown";
}
