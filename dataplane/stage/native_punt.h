// SPDX-License-Identifier: BSD-3-Clause
// Native messages that the control plane decides. Owner worker.
#pragma once

#include "dataplane/stage/pass.h"

// Punts packet `at`, whose cookie was good, within the source prefix's budget and that of all; the
// prefix's wider one, if the source holds a lease. issued: of the cookie that was shown; remaining:
// ticks of the known lease. Takes the packet.
void native_punt(
	struct pass *pass, unsigned at, unsigned flags, uint32_t issued, uint32_t remaining_ms);
