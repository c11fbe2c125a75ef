// SPDX-License-Identifier: BSD-3-Clause
// What another lcore may do between any two instructions of ours: a function is run with the
// processor's trap flag set, and where the test says, a change is made from the trap's handler. So
// every place where a reader without locks can be overtaken is tried, by rule instead of luck.
// x86-64 only, and not under ASan, which makes ten instructions of one. Include once per program.
#pragma once

#include "dataplane/table/memory.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

#if defined(__x86_64__) && !defined(TABLE_MEMORY_MALLOC) // ASan
#define SINGLE_STEP 1

enum { STEP_FLAG = 0x100 };

struct step_change {
	unsigned at; // the instruction before which it is made, from 1; 0: never
	void (*make)(void);
};

static const struct step_change *step_changes;
static unsigned step_change_count, step_last;
static volatile unsigned step_count;

static inline void step_trapped(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	step_count++;
	for (unsigned i = 0; i < step_change_count; i++)
		if (step_changes[i].at == step_count)
			step_changes[i].make();
	// A trap takes microseconds: none behind the last change.
	if (step_change_count && step_count >= step_last)
		((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(long long)STEP_FLAG;
}

// Runs it and makes the changes on the way. Without any it returns how many instructions that took,
// those of setting the flag included. No assert inside.
static inline unsigned step_through(
	void (*run)(void), const struct step_change *changes, unsigned count)
{
	struct sigaction action = {.sa_sigaction = step_trapped, .sa_flags = SA_SIGINFO}, before;
	sigaction(SIGTRAP, &action, &before);
	step_changes = changes;
	step_change_count = count;
	step_count = step_last = 0;
	for (unsigned i = 0; i < count; i++)
		if (changes[i].at > step_last)
			step_last = changes[i].at;
	// Around the red zone of whoever this is inlined into.
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 :
			 : "i"(STEP_FLAG)
			 : "memory", "cc");
	run();
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\tpopfq\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 :
			 : "i"(~STEP_FLAG)
			 : "memory", "cc");
	sigaction(SIGTRAP, &before, NULL);
	return step_count;
}
#endif
