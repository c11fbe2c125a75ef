// SPDX-License-Identifier: BSD-3-Clause
// What is looked at now and then, and what must be true when everybody has gone.
#pragma once

void invariants_check(void);
void invariants_at_end(void);
