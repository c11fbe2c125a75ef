// SPDX-License-Identifier: BSD-3-Clause
// The store's folder and files, before LMDB sees them: made with the right modes, refused with
// wrong ones, and locked. Private to controlplane/tokens.
#pragma once

#include "controlplane/tokens/store.h"

enum { TOKEN_STORE_PATH_SIZE = 256 };

// Makes <state>/tokens where it is missing, looks whether it and what lies in it is its owner's
// alone, and takes the lock. 0, *out its path and *descriptor its descriptor; or a negative errno
// (-EBUSY: another process has it) and one line in error.
int token_store_folder(const char *state, char out[static TOKEN_STORE_PATH_SIZE], int *descriptor,
	char error[static TOKEN_STORE_ERROR_SIZE]);
// Makes names that were added to the folder last.
int token_store_folder_sync(
	int descriptor, const char *path, char error[static TOKEN_STORE_ERROR_SIZE]);
// Gives the lock up; -1 is fine.
void token_store_folder_leave(int descriptor);
