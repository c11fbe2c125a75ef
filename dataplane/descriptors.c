// SPDX-License-Identifier: BSD-3-Clause
// Finding drivers' file descriptors; see descriptors.h.

#include "dataplane/descriptors.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TUN_MAJOR = 10, TUN_MINOR = 200 }; // misc device net/tun

static enum descriptor_kind kind_of(int fd)
{
	struct stat status;
	int domain;
	socklen_t size = sizeof(domain);
	if (fstat(fd, &status) != 0)
		return DESCRIPTOR_OTHER;
	if (S_ISCHR(status.st_mode))
		return status.st_rdev == makedev(TUN_MAJOR, TUN_MINOR) ? DESCRIPTOR_TUN
								       : DESCRIPTOR_OTHER;
	if (!S_ISSOCK(status.st_mode) || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0)
		return DESCRIPTOR_OTHER;
	return domain == AF_XDP      ? DESCRIPTOR_XDP
	       : domain == AF_PACKET ? DESCRIPTOR_PACKET
				     : DESCRIPTOR_OTHER;
}

static bool was_open(const struct descriptors *descriptors, int fd)
{
	return (descriptors->open[fd / 64] >> (fd % 64)) & 1;
}

void descriptors_note(struct descriptors *descriptors)
{
	memset(descriptors, 0, sizeof(*descriptors));
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			descriptors->open[fd / 64] |= 1ull << (fd % 64);
}

int descriptors_new(const struct descriptors *before, enum descriptor_kind kind, int from)
{
	for (int fd = from; fd < DESCRIPTORS_MAX; fd++)
		if (!was_open(before, fd) && kind_of(fd) == kind)
			return fd;
	return -1;
}

bool descriptors_is_event(int fd)
{
	char path[32], target[32] = "";
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target) - 1) > 0 &&
	       strcmp(target, "anon_inode:[eventfd]") == 0;
}

void *descriptors_mapping(int socket, uint64_t offset, size_t *length)
{
	struct stat status;
	char line[512];
	void *found = NULL;
	FILE *maps = fstat(socket, &status) == 0 ? fopen("/proc/self/maps", "re") : NULL;
	if (!maps)
		return NULL;
	while (!found && fgets(line, sizeof(line), maps)) {
		uint64_t start, end, at, inode;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64, &start,
			    &end, &at, &inode) == 4 &&
			inode == status.st_ino && at == offset && strstr(line, "socket:[")) {
			found = (void *)(uintptr_t)start;
			*length = end - start;
		}
	}
	fclose(maps);
	return found;
}
