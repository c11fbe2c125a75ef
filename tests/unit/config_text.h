// SPDX-License-Identifier: BSD-3-Clause
// Configuration files as text for tests of lib/config.
#pragma once

#include "lib/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

// ---- parsing ----

#define DATAPLANE "[dataplane]\nport = af_xdp:eth0\n"            // lines 1, 2
#define ADDRESS   "[address]\nlisten = 192.0.2.1\n"              // lines 3, 4
#define TURN      "[turn]\nauth = static\nuser = alice:wonder\n" // lines 5 to 7
#define MINIMAL   DATAPLANE ADDRESS TURN

static inline struct config *parse(const char *text)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *config = NULL;
	int rc = config_parse(text, "test.conf", &config, error);

	if (rc != 0)
		fail_msg("%s (%d)", error, rc);
	assert_non_null(config);
	return config;
}

// ---- errors ----

#define LONG_64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_256 LONG_64 LONG_64 LONG_64 LONG_64
