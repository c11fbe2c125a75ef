// SPDX-License-Identifier: BSD-3-Clause
// Files for their owner alone, and their locks; see file.h.
#include "endpoint/relaycall/file.h"

#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_whole(int fd, size_t most, char **text, size_t *size)
{
	struct stat stat;

	if (fstat(fd, &stat) != 0)
		return -errno;
	if (!S_ISREG(stat.st_mode))
		return -EISDIR;
	if ((stat.st_mode & 077) != 0)
		return -EPERM;
	if (stat.st_size < 0 || (size_t)stat.st_size > most)
		return -EFBIG;
	size_t room = (size_t)stat.st_size, got = 0;
	char *bytes = malloc(room + 1);
	if (bytes == NULL)
		return -ENOMEM;
	while (got < room) {
		ssize_t more = read(fd, bytes + got, room - got);
		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0) {
			int result = -errno;
			file_private_free(bytes, got);
			return result;
		}
		if (more == 0) // it has become shorter: nobody of ours did that
			break;
		got += (size_t)more;
	}
	bytes[got] = 0;
	*text = bytes;
	*size = got;
	return 0;
}

int file_private_read(const char *path, size_t most, char **text, size_t *size)
{
	*text = NULL;
	*size = 0;
	// Whoever put a pipe there shall not keep us waiting.
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int result = read_whole(fd, most, text, size);
	close(fd);
	return result;
}

void file_private_free(char *text, size_t size)
{
	if (text != NULL)
		sodium_memzero(text, size);
	free(text);
}

void file_private_explain(const char *path, int result, char *error, size_t size)
{
	switch (result) {
	case -EISDIR:
		snprintf(error, size, "%s is not a file", path);
		break;
	case -EPERM:
		snprintf(error, size, "%s can be read by others: chmod 600 it", path);
		break;
	case -EFBIG:
		snprintf(error, size, "%s is too large to be what it should be", path);
		break;
	default:
		snprintf(error, size, "cannot read %s: %s", path, strerror(-result));
		break;
	}
}

int file_lock(const char *path, bool make)
{
	for (;;) {
		struct stat locked, there;
		int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
		if (fd < 0)
			return -errno;
		int result;
		do
			result = flock(fd, LOCK_EX) == 0 ? 0 : -errno;
		while (result == -EINTR);
		if (result == 0 && fstat(fd, &locked) != 0)
			result = -errno;
		if (result != 0) {
			close(fd);
			return result;
		}
		if (stat(path, &there) == 0 && there.st_ino == locked.st_ino &&
			there.st_dev == locked.st_dev)
			return fd;
		close(fd); // replaced while we waited
	}
}

void file_unlock(int fd)
{
	close(fd);
}

void file_make_folders(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *c = strchr(copy + 1, '/'); c != NULL; c = strchr(c + 1, '/')) {
		*c = 0;
		mkdir(copy, 0700);
		*c = '/';
	}
}
