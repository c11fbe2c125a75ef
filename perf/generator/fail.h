// SPDX-License-Identifier: BSD-3-Clause
// The end of a generator that cannot go on: what was attempted, on what.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// detail: NULL if there is none.
static inline _Noreturn void fail(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, detail ? ": " : "",
		detail ? detail : "");
	exit(1);
}

static inline void *take(size_t count, size_t size)
{
	void *memory = calloc(count, size);
	if (memory == NULL)
		fail("no memory", NULL);
	return memory;
}
