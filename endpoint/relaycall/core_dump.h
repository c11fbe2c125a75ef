// SPDX-License-Identifier: BSD-3-Clause
// No core dumps: what is in memory does not get onto a disk by a crash.
//
// Other processes of the same user are not kept out (PR_SET_DUMPABLE): they can read the identity
// file as well, and sound servers want to look at their clients.
#pragma once

// Once, at the beginning.
void core_dump_forbid(void);
