// SPDX-License-Identifier: BSD-3-Clause
// Small files, whole.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Reads a file of at most `room` bytes. 0 and *size; -EFBIG; a negative errno.
int file_read(const char *path, void *out, size_t room, size_t *size);
// Replaces a file, or makes it, with these bytes and the mode: whole and on the disk, or not at
// all.
int file_replace(const char *path, const void *data, size_t size, mode_t mode);
// The same, but never in the place of another file: -EEXIST.
int file_create(const char *path, const void *data, size_t size, mode_t mode);

// A file that is nobody's business but its owner's: *text gets its bytes and a 0 behind them, until
// file_private_free, which wipes them. -ENOENT, -EISDIR: not a file; -EPERM: others may read or
// write it; -EFBIG: more than `most` bytes; another negative errno.
int file_private_read(const char *path, size_t most, char **text, size_t *size);
void file_private_free(char *text, size_t size);
// What is wrong with a private file, after such a result.
void file_private_explain(const char *path, int result, char *error, size_t size);

// Keeps other processes out until file_unlock: everybody who changes the file takes its lock before
// reading it. The file itself is locked, even when file_replace has put another one in its place
// meanwhile; `make` makes it, empty, where there is none. A file descriptor, or a negative errno.
int file_lock(const char *path, bool make);
void file_unlock(int fd);

// Makes the folders above a path, for their owner alone. Errors show when the file is made.
void file_make_folders(const char *path);
