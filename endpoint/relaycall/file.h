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
