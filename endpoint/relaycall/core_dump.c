// SPDX-License-Identifier: BSD-3-Clause
// See core_dump.h.
#include "endpoint/relaycall/core_dump.h"

#include <sys/resource.h>

void core_dump_forbid(void)
{
	// 0 is for files; a dump into a program's pipe (core(5)) ends at 1 alone, which is smaller
	// than any file of it.
	const struct rlimit one = {1, 1};
	setrlimit(RLIMIT_CORE, &one);
}
