// SPDX-License-Identifier: BSD-3-Clause
// A client's packet whose allocation this worker does not have.
#pragma once

#include "dataplane/stage/pass.h"

// True: another worker has it and was handed the packet. False: nobody has, or it was handed over
// already; the packet is still the caller's.
bool elsewhere_hand_off(struct pass *pass, unsigned at);
