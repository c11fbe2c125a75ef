// SPDX-License-Identifier: BSD-3-Clause
// The sandbox of sandbox.h: prctl, libcap-ng, libseccomp.
#include "controlplane/sandbox.h"

#include <assert.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

// LeakSanitizer attaches to its own process at exit.
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static bool may_lock_later;

void sandbox_hide_memory(void)
{
	const struct rlimit none = {0, 0};
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_CORE, &none);
	if (!SANITIZED)
		prctl(PR_SET_DUMPABLE, 0);
	// Future memory is only locked if it can grow without the capability that is dropped later;
	// and pages are locked when touched, so that stacks do not take their whole size.
	may_lock_later = setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0;
	mlockall(MCL_CURRENT | (may_lock_later ? MCL_FUTURE : 0) | MCL_ONFAULT);
}

// Without MCL_FUTURE the kernel forgets an earlier one; without MCL_CURRENT what is mapped stays as
// it is.
void sandbox_lock_new_memory(bool on)
{
	if (may_lock_later)
		mlockall((on ? MCL_FUTURE : MCL_CURRENT) | MCL_ONFAULT);
}

int sandbox_drop_capabilities(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	capng_get_caps_process();
	bool may_resolve = capng_have_capability(CAPNG_PERMITTED, CAP_NET_ADMIN);
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_BOTH);
	if (may_resolve &&
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN))
		return -EINVAL;
	if (capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS))
		return errno ? -errno : -EINVAL;
	return may_resolve ? 0 : -EPERM;
}

static int refuse_calls(scmp_filter_ctx filter)
{
	static const int killed[] = {SCMP_SYS(execve), SCMP_SYS(execveat)};
	static const int refused[] = {SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
		SCMP_SYS(kcmp), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
		SCMP_SYS(io_uring_setup), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount),
		SCMP_SYS(fsopen), SCMP_SYS(open_tree), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
		SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(init_module), SCMP_SYS(finit_module),
		SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load),
		SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(keyctl),
		SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(acct), SCMP_SYS(quotactl),
		SCMP_SYS(syslog), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
		SCMP_SYS(sethostname), SCMP_SYS(creat), SCMP_SYS(truncate), SCMP_SYS(mknod),
		SCMP_SYS(mknodat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(link),
		SCMP_SYS(linkat), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(openat2)};
	int rc = 0;
	for (size_t i = 0; !rc && i < sizeof(killed) / sizeof(killed[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, killed[i], 0);
	for (size_t i = 0; !rc && i < sizeof(refused) / sizeof(refused[0]); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (!rc && !SANITIZED)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ptrace), 0);
	return rc;
}

static int refuse_writing(scmp_filter_ctx filter)
{
	static const struct {
		scmp_datum_t mask, value;
	} writes[] = {{O_ACCMODE, O_WRONLY}, {O_ACCMODE, O_RDWR}, {O_CREAT, O_CREAT}};
	int rc = 0;
	for (size_t i = 0; !rc && i < sizeof(writes) / sizeof(writes[0]); i++) {
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, writes[i].mask, writes[i].value));
		if (!rc)
			rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
				SCMP_A1(SCMP_CMP_MASKED_EQ, writes[i].mask, writes[i].value));
	}
	return rc;
}

// Every family but the two we use: below, between and above them.
static int refuse_sockets(scmp_filter_ctx filter)
{
	static_assert(AF_UNIX == 1 && AF_NETLINK > AF_UNIX, "order of the ranges below");
	int rc = seccomp_rule_add(
		filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_LT, AF_UNIX));
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
	for (int family = AF_UNIX + 1; !rc && family < AF_NETLINK; family++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
	return rc;
}

int sandbox_restrict_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return -ENOMEM;
	int rc = refuse_calls(filter);
	if (!rc)
		rc = refuse_writing(filter);
	if (!rc)
		rc = refuse_sockets(filter);
	if (!rc)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}
