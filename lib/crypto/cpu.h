// SPDX-License-Identifier: BSD-3-Clause
// Which builds of one function this processor can run. What gains by it is written once, as an
// always inlined body in plain C, and compiled again: for any processor, and for those with AVX2
// and BMI, where the compiler's vectors are twice as wide. AVX-512 adds rotations of vectors and
// three operands. Any thread.
#pragma once

#include <stdbool.h>

#define CPU_BODY static inline __attribute__((always_inline))

#ifdef __x86_64__
#define CPU_AVX2   __attribute__((target("avx2,bmi,bmi2"), noinline))
#define CPU_AVX512 __attribute__((target("avx512f,avx512vl,avx2,bmi,bmi2"), noinline))
#else
#define CPU_AVX2   __attribute__((noinline))
#define CPU_AVX512 __attribute__((noinline))
#endif

// In a file of their own, so that tests can answer instead: every build that can be run is tested.
bool cpu_has_avx2(void);
bool cpu_has_avx512(void);
