// SPDX-License-Identifier: BSD-3-Clause
// Why a relay does not register us, in words.
#pragma once

#include "endpoint/endpoint.h"

// Of an ENDPOINT_REFUSED, to stderr. True: waiting does not help.
bool refusal_tell(const char *relay, const struct endpoint_event *event);
