// SPDX-License-Identifier: BSD-3-Clause
// The compiled BPF objects, as bytes of the program that carries them. Read-only, any thread.
#pragma once

#include <stddef.h>

extern const unsigned char steer_xdp_object[], steer_tc_object[];
extern const size_t steer_xdp_object_length, steer_tc_object_length;
