// SPDX-License-Identifier: BSD-3-Clause
// Answers that go back the way their request came, in its buffer: Ethernet addresses change places,
// tags stay, no route is looked up. Owner worker.
#pragma once

#include "dataplane/stage/datagram.h"
#include "dataplane/stage/pass.h"

// Packet `at` becomes the datagram `out` with that payload; its checksum is computed. Neither may
// lie in the packet. Takes the packet. False: it did not fit and was dropped.
bool answer_send(struct pass *pass, unsigned at, const struct datagram *out, const uint8_t *payload,
	unsigned length);

// The same from where the packet was sent to, to where it came from.
bool answer_back(struct pass *pass, unsigned at, const uint8_t *payload, unsigned length);
