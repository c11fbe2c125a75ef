// SPDX-License-Identifier: BSD-3-Clause
// Control messages that end on the worker, one file each. All take the packet, whose header and UDP
// checksum are good and which has NATIVE_REQUEST_MIN bytes. Owner worker.
#pragma once

#include "dataplane/stage/native_answer.h"

void control_keepalive(struct pass *pass, unsigned at, const uint8_t *message, size_t size);
void control_path_response(struct pass *pass, unsigned at, const uint8_t *message, size_t size);
void control_close(struct pass *pass, unsigned at, const uint8_t *message, size_t size);

// Whether a cookie for control is good. cookie: in the packet.
static inline bool control_cookie(const struct pass *pass, unsigned at, const uint8_t *cookie)
{
	const struct worker *worker = pass->burst.worker;
	const struct cookie_holder holder = native_holder(&pass->burst.headers[at]);
	return cookie_check(worker->native, &holder, pass->burst.now,
		cookie_ticks(NATIVE_CONTROL_COOKIE_S, worker->mappings->hz), cookie);
}
