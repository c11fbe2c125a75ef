// SPDX-License-Identifier: BSD-3-Clause
// Folder, modes and lock of store_files.h.
#include "controlplane/tokens/store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static int fail(
	char error[static TOKEN_STORE_ERROR_SIZE], int rc, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, TOKEN_STORE_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return rc;
}

// The secrets inside must be nobody else's to read, and the spent set nobody else's to change.
static int judge(const struct stat *st, const char *path, mode_t mode,
	char error[static TOKEN_STORE_ERROR_SIZE])
{
	if (st->st_uid != geteuid())
		return fail(error, -EACCES,
			"%s: belongs to user %u, and relay-controlplane runs as %u: chown it", path,
			(unsigned)st->st_uid, (unsigned)geteuid());
	if ((st->st_mode & 077) != 0)
		return fail(error, -EACCES,
			"%s: others than its owner may use it (mode %04o), and it holds keys: "
			"chmod %04o; if somebody may have read it, relayctl token rotate",
			path, (unsigned)st->st_mode & 07777, (unsigned)mode);
	return 0;
}

static int judge_file(
	int folder, const char *path, const char *name, char error[static TOKEN_STORE_ERROR_SIZE])
{
	char whole[TOKEN_STORE_PATH_SIZE + 16];
	struct stat st;
	snprintf(whole, sizeof(whole), "%s/%s", path, name);
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : fail(error, -errno, "%s: %s", whole, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(error, -EINVAL, "%s: is no regular file: remove it", whole);
	return judge(&st, whole, 0600, error);
}

static int make(const char *path, char error[static TOKEN_STORE_ERROR_SIZE])
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return fail(error, -errno, "%s: cannot be made: %s ([node] state)", path, strerror(errno));
}

static int open_folder(const char *path, char error[static TOKEN_STORE_ERROR_SIZE])
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return fail(error, -errno, "%s: %s ([node] state)", path, strerror(errno));
	struct stat st;
	int rc = fstat(folder, &st) != 0 ? -errno : judge(&st, path, 0700, error);
	if (rc == 0 && flock(folder, LOCK_EX | LOCK_NB) != 0)
		rc = fail(error, -EBUSY,
			"%s: another relay-controlplane uses it: stop it, or set [node] state",
			path);
	if (rc == 0)
		rc = judge_file(folder, path, "data.mdb", error);
	if (rc == 0)
		rc = judge_file(folder, path, "lock.mdb", error);
	if (rc == 0)
		return folder;
	close(folder);
	return rc;
}

int token_store_folder(const char *state, char out[static TOKEN_STORE_PATH_SIZE], int *descriptor,
	char error[static TOKEN_STORE_ERROR_SIZE])
{
	if (snprintf(out, TOKEN_STORE_PATH_SIZE, "%s/tokens", state) >= TOKEN_STORE_PATH_SIZE)
		return fail(error, -ENAMETOOLONG, "%s: too long ([node] state)", state);
	int rc = make(state, error);
	if (rc == 0)
		rc = make(out, error);
	if (rc != 0)
		return rc;
	int folder = open_folder(out, error);
	if (folder < 0)
		return folder;
	*descriptor = folder;
	int above = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = above < 0 ? fail(error, -errno, "%s: %s", state, strerror(errno))
		       : token_store_folder_sync(above, state, error);
	if (above >= 0)
		close(above);
	return rc;
}

int token_store_folder_sync(
	int descriptor, const char *path, char error[static TOKEN_STORE_ERROR_SIZE])
{
	if (fsync(descriptor) == 0)
		return 0;
	return fail(error, -errno, "%s: cannot be written to the disk: %s", path, strerror(errno));
}

void token_store_folder_leave(int descriptor)
{
	if (descriptor >= 0)
		close(descriptor);
}
