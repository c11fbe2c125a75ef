// SPDX-License-Identifier: BSD-3-Clause
// Giving things up; see sandbox.h.

#include "dataplane/sandbox.h"

#include <rte_alarm.h>
#include <rte_memory.h>

#include <cap-ng.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>

// The leak check of sanitizer builds traces the process from a child at its end.
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_LEAK_CHECK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_LEAK_CHECK 1
#endif
#endif

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

#ifdef SANDBOX_LEAK_CHECK
// DPDK's AF_XDP driver never frees the program it loaded; only whole call stacks tell that it did.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:librte_net_af_xdp\n";
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0:print_suppressions=0";
}
#endif

void sandbox_begin(void)
{
	const struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

const char *sandbox_missing(void)
{
	static const struct {
		unsigned capability;
		const char *name;
	} needed[] = {
		{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, // interfaces, TAPs, attaching programs
		{CAP_NET_RAW, "CAP_NET_RAW"},     // AF_XDP and AF_PACKET sockets
		{CAP_BPF, "CAP_BPF"},             // loading programs
		{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, // finding a program's maps by id
	};
	if (capng_get_caps_process() != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability))
			return needed[i].name;
	return NULL;
}

static int exclude_from_dumps(
	const struct rte_memseg_list *list, const struct rte_memseg *segment, void *argument)
{
	(void)list;
	(void)argument;
	madvise(segment->addr, segment->len, MADV_DONTDUMP);
	return 0;
}

int sandbox_memory(void)
{
	rte_memseg_walk(exclude_from_dumps, NULL);
	// Pages are locked when they are first touched: locking the whole of DPDK's address space
	// at once would take all of it.
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ? -errno : 0;
}

// ---- capabilities: each thread has its own set ----

// All memory from now on is locked too, and above RLIMIT_MEMLOCK that takes CAP_IPC_LOCK (a memif
// peer that connects brings memory of its own).
void sandbox_thread(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_IPC_LOCK, -1);
	capng_apply(CAPNG_SELECT_BOTH);
}

static void interrupt_thread(void *argument)
{
	(void)argument;
	sandbox_thread();
}

// Taking an interface down needs CAP_NET_ADMIN: XDP and tc programs come off.
static void main_thread(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
		CAP_NET_ADMIN, CAP_IPC_LOCK, -1);
	capng_apply(CAPNG_SELECT_BOTH);
}

// ---- system calls ----

// Never needed by anybody here; an attempt is an attack, and the relay is better dead.
static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
#ifndef SANDBOX_LEAK_CHECK
	SCMP_SYS(ptrace),
#endif
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
};

// Refused: what could write a memory to disk, load code, or leave the place the process was put in.
static const int refused[] = {
	SCMP_SYS(acct),
	SCMP_SYS(add_key),
	SCMP_SYS(chroot),
	SCMP_SYS(creat),
	SCMP_SYS(delete_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(init_module),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(kexec_load),
	SCMP_SYS(keyctl),
	SCMP_SYS(link),
	SCMP_SYS(linkat),
	SCMP_SYS(mount),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(open_tree),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(pivot_root),
	SCMP_SYS(quotactl),
	SCMP_SYS(reboot),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(request_key),
	SCMP_SYS(setns),
	SCMP_SYS(swapoff),
	SCMP_SYS(swapon),
	SCMP_SYS(symlink),
	SCMP_SYS(symlinkat),
	SCMP_SYS(syslog),
	SCMP_SYS(umount2),
	SCMP_SYS(unshare),
	SCMP_SYS(userfaultfd),
};

static int filter_calls(scmp_filter_ctx filter)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(deadly) / sizeof(*deadly); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	for (size_t i = 0; result == 0 && i < sizeof(refused) / sizeof(*refused); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
#ifndef SANDBOX_LEAK_CHECK
	// New threads are all right, new processes are not.
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
#endif
	// clone3's flags lie in memory a filter cannot read; glibc falls back to clone.
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	// From here on this process reads files and writes none.
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT));
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT));
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
	return result;
}

int sandbox_enter(void)
{
	// DPDK's interrupt thread runs alarms.
	rte_eal_alarm_set(1, interrupt_thread, NULL);
	main_thread();
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return -ENOMEM;
	int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (result == 0)
		result = filter_calls(filter);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}
