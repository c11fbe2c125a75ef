// SPDX-License-Identifier: BSD-3-Clause
// What a request datagram on the admin socket means, and whether its sender may ask for it. No I/O:
// bytes and credentials in, a verdict out. Any thread, one session per connection.
#pragma once

#include "controlplane/admin/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct admin_session {
	uid_t uid;     // of the peer, from SO_PEERCRED
	uid_t own_uid; // of the control plane
	bool greeted;
};

struct admin_request {
	uint32_t id; // 0 when the datagram did not even hold one
	uint32_t type;
	struct admin_drain drain;          // of ADMIN_DRAIN
	struct api_guard_rule rule;        // of ADMIN_GUARD_SET; its prefix of ADMIN_GUARD_REMOVE
	struct admin_token_retire retire;  // of ADMIN_TOKEN_RETIRE
	struct admin_token_request tokens; // of ADMIN_TOKEN_ISSUE
};

enum admin_verdict {
	ADMIN_RUN,    // execute *out; ADMIN_HELLO included
	ADMIN_REFUSE, // answer with the error and go on
	ADMIN_CLOSE,  // answer with the error if there is an id, then close
};

// Whether uid 0 or the control plane's own user is at the other end.
bool admin_session_privileged(const struct admin_session *session);

// Judges one datagram of `length` bytes (any content). *out is set always; *error to a negative
// errno unless the verdict is ADMIN_RUN: -EPROTO malformed, unknown, out of order or of a wrong
// size; -EPROTONOSUPPORT hello of another version; -EPERM not for this user.
enum admin_verdict admin_session_judge(struct admin_session *session, const uint8_t *data,
	size_t length, struct admin_request *out, int *error);

// Bytes of one answer's payload of this type; 0 for empty answers and types that do not exist.
uint32_t admin_answer_size(uint32_t type);

// Whether the answer is a stream that an empty payload ends.
bool admin_answer_is_list(uint32_t type);
