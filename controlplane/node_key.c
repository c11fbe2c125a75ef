// SPDX-License-Identifier: BSD-3-Clause
// The file of node_key.h. It comes into being whole under its name: written and synced under
// another one first, and linked, which fails when somebody else was faster; theirs counts then.
#include "controlplane/node_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "node.key"

enum { TEMPORARY_NAME_SIZE = 32 };

__attribute__((format(printf, 3, 4))) static int fail(
	char *trouble, int result, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(trouble, NODE_KEY_TEXT_SIZE, format, arguments);
	va_end(arguments);
	return result;
}

// The folder, made where it is missing; a descriptor or -errno.
static int open_folder(const char *state, char *trouble)
{
	if (mkdir(state, 0700) != 0 && errno != EEXIST)
		return fail(trouble, -errno,
			"cannot make %s ([node] state): %s; make it, writable for this user, or "
			"set [node] state to a folder that is",
			state, strerror(errno));
	int folder = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail(trouble, -errno, "cannot open %s ([node] state): %s", state,
			strerror(errno));
	return folder;
}

static int write_key(int folder, const char *name)
{
	uint8_t secret[32];
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	randombytes_buf(secret, sizeof(secret));
	ssize_t written = write(fd, secret, sizeof(secret));
	int result = written == sizeof(secret) ? 0 : written < 0 ? -errno : -ENOSPC;
	sodium_memzero(secret, sizeof(secret));
	if (result == 0 && fsync(fd) != 0)
		result = -errno;
	close(fd);
	if (result == 0 && linkat(folder, name, folder, FILE_NAME, 0) != 0 && errno != EEXIST)
		result = -errno;
	unlinkat(folder, name, 0);
	if (result == 0 && fsync(folder) != 0)
		result = -errno;
	return result;
}

static int make_key(int folder, const char *state, char *trouble)
{
	char name[TEMPORARY_NAME_SIZE];
	snprintf(name, sizeof(name), "." FILE_NAME ".%ld", (long)getpid());
	unlinkat(folder, name, 0); // of a process that was killed in the middle
	int result = write_key(folder, name);
	if (result != 0)
		return fail(trouble, result,
			"cannot make %s/" FILE_NAME ": %s; let this user write there, or set "
			"[node] state to a folder where it may",
			state, strerror(-result));
	return 0;
}

static int check_key(const struct stat *st, const char *state, char *trouble)
{
	if (!S_ISREG(st->st_mode) || st->st_size != 32)
		return fail(trouble, -EINVAL,
			"%s/" FILE_NAME " is not the relay's key: expected a file of 32 bytes; put "
			"it back from a copy, or remove it, and the next start makes another "
			"(clients that know the old one have to be told)",
			state);
	if (st->st_uid != geteuid())
		return fail(trouble, -EPERM,
			"%s/" FILE_NAME " belongs to user %u, expected %u: chown it if the key is "
			"yours, else remove it",
			state, (unsigned)st->st_uid, (unsigned)geteuid());
	if ((st->st_mode & 077) != 0)
		return fail(trouble, -EACCES,
			"%s/" FILE_NAME " has mode %04o, expected 0600: if others may have read "
			"it, remove it, else chmod 0600",
			state, (unsigned)st->st_mode & 07777);
	return 0;
}

static int read_key(int folder, const char *state, struct registration_key *key, char *trouble)
{
	struct stat st;
	int fd = openat(folder, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return fail(trouble, -errno, "cannot open %s/" FILE_NAME ": %s", state,
			strerror(errno));
	int result = fstat(fd, &st) != 0
			     ? fail(trouble, -errno, "cannot look at %s/" FILE_NAME ": %s", state,
				       strerror(errno))
			     : check_key(&st, state, trouble);
	if (result == 0 && read(fd, key->secret, sizeof(key->secret)) != sizeof(key->secret))
		result = fail(trouble, -EIO, "cannot read %s/" FILE_NAME, state);
	close(fd);
	return result;
}

int node_key_open(
	const char *state, struct registration_key *key, char trouble[static NODE_KEY_TEXT_SIZE])
{
	*key = (struct registration_key){0};
	trouble[0] = '\0';
	int folder = open_folder(state, trouble);
	if (folder < 0)
		return folder;
	int result = 0;
	if (faccessat(folder, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		result = make_key(folder, state, trouble);
	if (result == 0)
		result = read_key(folder, state, key, trouble);
	close(folder);
	if (result == 0)
		crypto_scalarmult_base(key->public_key, key->secret);
	else
		sodium_memzero(key, sizeof(*key));
	return result;
}
