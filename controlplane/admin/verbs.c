// SPDX-License-Identifier: BSD-3-Clause
// The table of admin verbs, and the checks every request passes before anything is done: framing,
// hello first, exact size, user.

#include "controlplane/admin/verbs.h"

#include "dataplane/api/frames.h"

enum access {
	ACCESS_ALL,
	ACCESS_PRIVILEGED,
};

struct verb {
	uint32_t type;
	uint32_t request_size;
	uint32_t answer_size;
	bool list;
	enum access access;
};

static const struct verb verbs[] = {
	{ADMIN_HELLO, sizeof(struct admin_hello), sizeof(struct admin_hello_answer), false,
		ACCESS_ALL},
	{ADMIN_STATUS, 0, sizeof(struct admin_status), false, ACCESS_ALL},
	{ADMIN_VERSIONS, 0, sizeof(struct admin_versions), false, ACCESS_ALL},
	{ADMIN_STATS, 0, sizeof(struct api_counter), true, ACCESS_ALL},
	{ADMIN_PORTS, 0, sizeof(struct api_port), true, ACCESS_ALL},
	{ADMIN_WORKERS, 0, sizeof(struct api_worker), true, ACCESS_ALL},
	{ADMIN_DRAIN, sizeof(struct admin_drain), 0, false, ACCESS_PRIVILEGED},
	{ADMIN_UNDRAIN, 0, 0, false, ACCESS_PRIVILEGED},
	{ADMIN_RELOAD, 0, sizeof(struct admin_change), true, ACCESS_PRIVILEGED},
	// An error names what stands in a file that not everybody may read.
	{ADMIN_RELOAD_CHECK, 0, sizeof(struct admin_change), true, ACCESS_PRIVILEGED},
	{ADMIN_GUARD_RULES, 0, sizeof(struct api_guard_rule), true, ACCESS_ALL},
	{ADMIN_GUARD_LIMITS, 0, sizeof(struct api_guard_limits), false, ACCESS_ALL},
	{ADMIN_GUARD_SET, sizeof(struct api_guard_rule), 0, false, ACCESS_PRIVILEGED},
	{ADMIN_GUARD_REMOVE, sizeof(struct net_prefix), 0, false, ACCESS_PRIVILEGED},
	{ADMIN_TOKEN_KEYS, 0, sizeof(struct admin_token_key), true, ACCESS_PRIVILEGED},
	{ADMIN_TOKEN_ROTATE, 0, sizeof(struct admin_token_key), false, ACCESS_PRIVILEGED},
	{ADMIN_TOKEN_RETIRE, sizeof(struct admin_token_retire), 0, false, ACCESS_PRIVILEGED},
	{ADMIN_TOKEN_ISSUE, sizeof(struct admin_token_request), sizeof(struct admin_token_answer),
		false, ACCESS_PRIVILEGED},
};

static const struct verb *find_verb(uint32_t type)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (verbs[i].type == type)
			return &verbs[i];
	return NULL;
}

uint32_t admin_answer_size(uint32_t type)
{
	const struct verb *verb = find_verb(type);

	return verb != NULL ? verb->answer_size : 0;
}

bool admin_answer_is_list(uint32_t type)
{
	const struct verb *verb = find_verb(type);

	return verb != NULL && verb->list;
}

bool admin_session_privileged(const struct admin_session *session)
{
	return session->uid == 0 || session->uid == session->own_uid;
}

enum admin_verdict admin_session_judge(struct admin_session *session, const uint8_t *data,
	size_t length, struct admin_request *out, int *error)
{
	const uint8_t *position = data, *end = data + length;
	struct api_frame frame;

	*out = (struct admin_request){0};
	*error = -EPROTO;
	if (length > ADMIN_REQUEST_MAX || api_frame_next(&position, end, &frame) != 1)
		return ADMIN_CLOSE;
	out->id = frame.header.id;
	out->type = frame.header.type;
	const struct verb *verb = find_verb(frame.header.type);
	if (out->id == 0 || position != end || frame.header.length < 0 || verb == NULL ||
		frame.size != verb->request_size || session->greeted == (out->type == ADMIN_HELLO))
		return ADMIN_CLOSE;
	if (out->type == ADMIN_HELLO) {
		struct admin_hello hello;
		memcpy(&hello, frame.payload, sizeof(hello));
		if (hello.version != ADMIN_VERSION) {
			*error = -EPROTONOSUPPORT;
			return ADMIN_CLOSE;
		}
		session->greeted = true;
	}
	if (verb->access == ACCESS_PRIVILEGED && !admin_session_privileged(session)) {
		*error = -EPERM;
		return ADMIN_REFUSE;
	}
	if (out->type == ADMIN_DRAIN)
		memcpy(&out->drain, frame.payload, sizeof(out->drain));
	if (out->type == ADMIN_GUARD_SET || out->type == ADMIN_GUARD_REMOVE)
		memcpy(&out->rule, frame.payload, frame.size);
	if (out->type == ADMIN_TOKEN_RETIRE)
		memcpy(&out->retire, frame.payload, sizeof(out->retire));
	if (out->type == ADMIN_TOKEN_ISSUE)
		memcpy(&out->tokens, frame.payload, sizeof(out->tokens));
	*error = 0;
	return ADMIN_RUN;
}
