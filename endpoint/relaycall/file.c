// SPDX-License-Identifier: BSD-3-Clause
// See file.h.
#include "endpoint/relaycall/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, void *out, size_t room, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = 0;
	char more;

	*size = 0;
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t got = read(fd, (char *)out + *size, room - *size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			result = -errno;
		if (got <= 0)
			break;
		*size += (size_t)got;
		if (*size == room) {
			result = read(fd, &more, 1) == 0 ? 0 : -EFBIG;
			break;
		}
	}
	close(fd);
	return result;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t put = write(fd, data, size);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		data += put;
		size -= (size_t)put;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

// A rename is kept when the folder is.
static int sync_folder(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) // may be written to and not be read
		return errno == EACCES ? 0 : -errno;
	int result = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
	close(fd);
	return result;
}

static int put_in_place(const char *from, const char *to, bool replace)
{
	if (replace ? rename(from, to) == 0
		    : renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	// Not every file system can do it; those have hard links.
	if (replace || errno != EINVAL)
		return -errno;
	if (link(from, to) != 0)
		return -errno;
	unlink(from);
	return 0;
}

static int put_file(const char *path, const void *data, size_t size, mode_t mode, bool replace)
{
	char new_path[PATH_MAX];

	int length = snprintf(new_path, sizeof(new_path), "%s.XXXXXX", path);
	if (length < 0 || (size_t)length >= sizeof(new_path))
		return -ENAMETOOLONG;
	int fd = mkostemp(new_path, O_CLOEXEC); // mode 0600
	if (fd < 0)
		return -errno;
	int result = write_all(fd, data, size);
	if (result == 0 && fchmod(fd, mode) != 0)
		result = -errno;
	close(fd);
	if (result == 0)
		result = put_in_place(new_path, path, replace);
	if (result != 0) {
		unlink(new_path);
		return result;
	}
	return sync_folder(path);
}

int file_replace(const char *path, const void *data, size_t size, mode_t mode)
{
	return put_file(path, data, size, mode, true);
}

int file_create(const char *path, const void *data, size_t size, mode_t mode)
{
	return put_file(path, data, size, mode, false);
}
