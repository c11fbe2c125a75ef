// SPDX-License-Identifier: BSD-3-Clause
// Carries the BPF objects inside the binary, so that program and loader cannot be of two versions,
// and gives the XDP one a path, because DPDK's driver takes nothing else.

#include "ebpf/embed.h"
#include "ebpf/load.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

// The paths are the Makefile's. libelf reads its headers in place, hence the alignment.
#define EMBED(symbol, file)                                                                        \
	__asm__(".pushsection .rodata\n"                                                           \
		".balign 8\n"                                                                      \
		".global " symbol "\n" symbol ":\n"                                                \
		".incbin \"" file "\"\n"                                                           \
		".Lend_" symbol ":\n"                                                              \
		".balign 8\n"                                                                      \
		".global " symbol "_length\n" symbol "_length:\n"                                  \
		".quad .Lend_" symbol " - " symbol "\n"                                            \
		".popsection\n")
static_assert(sizeof(size_t) == 8, "a .quad");

EMBED("steer_xdp_object", "build/obj/ebpf/steer.bpf.o");
EMBED("steer_tc_object", "build/obj/ebpf/steer_tc.bpf.o");

static int write_all(int fd, const unsigned char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

int steer_program_file(char path[static STEER_PATH_SIZE])
{
	int fd = memfd_create("steer.bpf.o", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	int error = write_all(fd, steer_xdp_object, steer_xdp_object_length);
	if (!error && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		error = -errno;
	if (error) {
		close(fd);
		return error;
	}
	snprintf(path, STEER_PATH_SIZE, "/proc/self/fd/%d", fd);
	return fd;
}
