// SPDX-License-Identifier: BSD-3-Clause
// Which of its builds lib/crypto takes, chosen by the test: `build` 0 the one for any processor, 1
// AVX2, 2 AVX-512; never one that this processor cannot run. The test names both neighbours in
// wrap lines of its own. Include once per program.
#pragma once

#include "lib/crypto/cpu.h"

static unsigned build;

bool __real_cpu_has_avx2(void);
bool __wrap_cpu_has_avx2(void);
bool __real_cpu_has_avx512(void);
bool __wrap_cpu_has_avx512(void);

bool __wrap_cpu_has_avx2(void)
{
	return build >= 1 && __real_cpu_has_avx2();
}

bool __wrap_cpu_has_avx512(void)
{
	return build >= 2 && __real_cpu_has_avx512();
}

// How many of them this processor runs.
static unsigned builds(void)
{
	return __real_cpu_has_avx512() ? 3 : __real_cpu_has_avx2() ? 2 : 1;
}
