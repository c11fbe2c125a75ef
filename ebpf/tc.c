// SPDX-License-Identifier: BSD-3-Clause
// The tc ingress program of an AF_PACKET port. A filter outlives the process that made it; the next
// start takes its place in one step, so the kernel never sees the relay's frames in between.
// clsact, not tcx: Debian 12's kernel has only the former. Main lcore.

#include "ebpf/embed.h"
#include "ebpf/load.h"
#include "ebpf/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>

// First of all: a filter before ours may end the walk and let the relay's frames reach the kernel.
// Ours ends it only for those, so the filters behind it go on working.
enum { PRIORITY = 1, HANDLE = 1, STEER_TC_MAX = 64 };

// What this process has attached. Asking the kernel for a program's name by its id needs
// CAP_SYS_ADMIN, which the dataplane has given up by the time it detaches.
static struct {
	int ifindex;
	uint32_t program;
} ours[STEER_TC_MAX];

static void ours_note(int ifindex, uint32_t program)
{
	for (unsigned i = 0; i < STEER_TC_MAX; i++)
		if (ours[i].ifindex == 0 || ours[i].ifindex == ifindex) {
			ours[i].ifindex = ifindex;
			ours[i].program = program;
			return;
		}
}

static bool ours_is(int ifindex, uint32_t program)
{
	for (unsigned i = 0; i < STEER_TC_MAX; i++)
		if (ours[i].ifindex == ifindex && ours[i].program == program)
			return true;
	return false;
}

// 1: ours is attached; 0: nothing is; -EBUSY: another one, its name in foreign.
static int filter_query(const struct bpf_tc_hook *hook, char foreign[static STEER_NAME_SIZE])
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);
	int error = bpf_tc_query(hook, &opts);

	memset(foreign, 0, STEER_NAME_SIZE);
	// The kernel says -EINVAL where there is no clsact, -ENOENT where it is empty.
	if (error == -ENOENT || error == -EINVAL)
		return 0;
	if (!error && ours_is(hook->ifindex, opts.prog_id))
		return 1;
	if (!error)
		error = steer_program_name(opts.prog_id, foreign);
	if (error)
		return error;
	if (strcmp(foreign, STEER_TC_PROGRAM))
		return -EBUSY;
	memset(foreign, 0, STEER_NAME_SIZE);
	return 1;
}

static int filter_attach(const struct bpf_tc_hook *hook, struct bpf_object *object,
	const struct steer_config *config, uint32_t flags, struct steer_handles *handles)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, STEER_TC_PROGRAM);
	struct steer_maps maps;

	if (!program)
		return -ENOENT;
	int result = steer_maps_open(bpf_program__fd(program), &maps);
	if (result)
		return result;
	result = steer_maps_fill(&maps, config);
	if (!result) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY,
			.flags = flags, .prog_fd = bpf_program__fd(program));
		result = bpf_tc_attach(hook, &opts);
		if (!result)
			ours_note(hook->ifindex, opts.prog_id);
	}
	if (!result)
		*handles = steer_maps_keep(&maps);
	steer_maps_close(&maps);
	return result;
}

static int object_attach(struct bpf_tc_hook *hook, const struct steer_config *config,
	struct steer_handles *handles, char foreign[static STEER_NAME_SIZE])
{
	int result = bpf_tc_hook_create(hook);

	if (result && result != -EEXIST)
		return result;
	result = filter_query(hook, foreign);
	if (result < 0)
		return result;
	uint32_t flags = result == 1 ? BPF_TC_F_REPLACE : 0;
	struct bpf_object *object =
		bpf_object__open_mem(steer_tc_object, steer_tc_object_length, NULL);
	if (!object)
		return -errno;
	result = bpf_object__load(object);
	if (!result)
		result = filter_attach(hook, object, config, flags, handles);
	bpf_object__close(object);
	return result;
}

int steer_tc_attach(const char *ifname, const struct steer_config *config,
	struct steer_handles *handles, char foreign[static STEER_NAME_SIZE])
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(ifname),
		.attach_point = BPF_TC_INGRESS);

	memset(foreign, 0, STEER_NAME_SIZE);
	*handles = STEER_HANDLES_NONE;
	if (!hook.ifindex)
		return -ENODEV;
	struct steer_prints prints = steer_prints_silence();
	int result = object_attach(&hook, config, handles, foreign);
	steer_prints_restore(prints);
	return result;
}

int steer_tc_detach(const char *ifname)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(ifname),
		.attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = HANDLE, .priority = PRIORITY);
	char foreign[STEER_NAME_SIZE];

	if (!hook.ifindex)
		return -ENODEV;
	struct steer_prints prints = steer_prints_silence();
	int result = filter_query(&hook, foreign);
	if (result == 1)
		result = bpf_tc_detach(&hook, &opts);
	steer_prints_restore(prints);
	return result == -EBUSY ? 0 : result;
}
