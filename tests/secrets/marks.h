// SPDX-License-Identifier: BSD-3-Clause
// What a program of secrets/ is made of: marking bytes as secret for memcheck, telling it what is
// given away, and a table of cases of which those that leak on purpose must be reported.
#pragma once

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND               0
#define VALGRIND_COUNT_ERRORS             0
#define VALGRIND_MAKE_MEM_UNDEFINED(p, n) ((void)(p), (void)(n))
#define VALGRIND_MAKE_MEM_DEFINED(p, n)   ((void)(p), (void)(n))
#define VALGRIND_GET_VBITS(p, bits, n)    ((void)(p), (void)(bits), (void)(n), 0)
#endif

#include <sodium.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	printf("FAILED: %s\n", what);
	exit(FAILED);
}

static void secret(void *bytes, size_t size)
{
	(void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, size);
}

static void defined(void *bytes, size_t size)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(bytes, size);
}

// The bytes are told to others anyway. They do depend on a secret: else nothing was watched.
static void declassify(void *bytes, size_t size)
{
	uint8_t bits[8192];
	require(size <= sizeof(bits) && VALGRIND_GET_VBITS(bytes, bits, size) == 1,
		"reading what memcheck knows");
	require(!sodium_is_zero(bits, size), "the result depends on the secret");
	defined(bytes, size);
}

struct secrets_case {
	const char *name;
	void (*run)(void);
	bool leaks;
};

static int run_cases(const struct secrets_case *cases, size_t count)
{
	int result = PASSED;
	if (!RUNNING_ON_VALGRIND) {
		puts("this is not running under valgrind, or was compiled without its header");
		return SKIPPED;
	}
	require(sodium_init() >= 0, "sodium_init");
	for (size_t i = 0; i < count; i++) {
		unsigned long before = VALGRIND_COUNT_ERRORS;
		cases[i].run();
		unsigned long reports = VALGRIND_COUNT_ERRORS - before;
		bool good = cases[i].leaks ? reports > 0 : reports == 0;
		printf("%s  %-36s %lu reports%s\n", good ? "pass" : "FAIL", cases[i].name, reports,
			cases[i].leaks ? ", as it must" : "");
		if (!good)
			result = FAILED;
	}
	return result;
}
