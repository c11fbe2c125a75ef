// SPDX-License-Identifier: BSD-3-Clause
// The relay's account with each transport address, in bytes of IP packets:
// - nothing is ever sent to one that has sent nothing,
// - nor more than it has sent, until what the relay gave out there (a cookie or a path token) was
//   shown from there.
#pragma once

#include "lib/net/address.h"

#include <stddef.h>
#include <stdint.h>

// A datagram is put before the relay.
void account_arrived(const struct net_endpoint *source, const uint8_t *data, size_t size);
// A datagram has left it.
void account_left(const struct net_endpoint *destination, const uint8_t *data, size_t size);
// Of the relay that was started anew nobody has seen a cookie yet.
void account_forget(void);
