// SPDX-License-Identifier: BSD-3-Clause
// Tokens in a file (endpoint/tokens.h): one is taken out and the shorter file is on the disk before
// the token is used, so that none is shown twice whatever happens.
#pragma once

#include "endpoint/endpoint.h"

// For endpoint_config.token; context: the path of the tokens file. Says on stderr what is wrong.
bool purse_take(void *context, struct endpoint_token *out);
