// SPDX-License-Identifier: BSD-3-Clause
// The compiled BPF objects, as bytes of the program that carries them. Read-only, any thread.
#pragma once

#include <stddef.h>

extern const unsigned char steer_xdp_object[], steer_xdp_object_end[];
extern const unsigned char steer_tc_object[], steer_tc_object_end[];
