// SPDX-License-Identifier: BSD-3-Clause
// "key = value" lines of a small file in memory, read in place so that whoever owns the memory can
// wipe all of it. # begins a comment line.
#pragma once

#include <stddef.h>

struct lines {
	char *at, *end;
	unsigned number; // of the line last read, from 1
};

// text: `size` bytes, a 0 behind them; it is written to while it is read.
struct lines lines_make(char *text, size_t size);
// 1: *key and *value, without space around them, neither empty; 0: the end; -EINVAL: a line that is
// no such line.
int lines_next(struct lines *lines, char **key, char **value);
