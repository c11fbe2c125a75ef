// SPDX-License-Identifier: BSD-3-Clause
// Keys of cookies and path tokens, see cookies.h. Main lcore, before the workers run.
#include "dataplane/cookies.h"

#include <sodium.h>

static uint32_t ticks_in(unsigned seconds, uint64_t hz)
{
	return (uint32_t)((seconds * hz) >> TICKS_SHIFT);
}

void cookies_open(struct cookies *cookies, uint64_t hz)
{
	randombytes_buf(&cookies->cookie, sizeof(cookies->cookie));
	randombytes_buf(&cookies->token, sizeof(cookies->token));
	cookies->offset = randombytes_random();
	cookies->control_age = ticks_in(NATIVE_CONTROL_COOKIE_S, hz);
	cookies->data_age = ticks_in(NATIVE_DATA_COOKIE_S, hz);
	cookies->token_age = ticks_in(NATIVE_PATH_TOKEN_S, hz);
	cookies->ahead = ticks_in(1, hz);
}
