// SPDX-License-Identifier: BSD-3-Clause
// Base64 (RFC 4648) of one form only, on libsodium's decoder, which leaks nothing by its timing.
//
// Up to libsodium 1.0.18 at least, that decoder takes every byte from 128 on for the alphabet's
// last character where char is signed: many texts for the same bytes. None of them is taken here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// variant: libsodium's. False: not base64, not in its one form, or more than `room` bytes.
bool base64_decode(
	const char *text, size_t length, int variant, uint8_t *out, size_t room, size_t *size);
