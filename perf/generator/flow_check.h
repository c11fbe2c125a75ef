// SPDX-License-Identifier: BSD-3-Clause
// Is a frame what the relay should have made of a flow's packet? Looked at once per flow before
// anything is measured: fast and wrong is not fast.
#pragma once

#include "perf/generator/turn_calls.h"

// A relayed datagram, at the peer or at the client: addresses, ports, channel, checksums, payload.
bool flow_check_relayed(const struct turn_calls *calls, const uint8_t *frame, size_t length);
// A Binding success whose mapped address is where it was sent to.
bool flow_check_binding(const struct net_endpoint *server, const uint8_t *frame, size_t length);
