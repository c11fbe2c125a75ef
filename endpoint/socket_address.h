// SPDX-License-Identifier: BSD-3-Clause
// Transport addresses as the socket calls want them. Inside of the library; plain functions.
#pragma once

#include "endpoint/endpoint.h"

#include <sys/socket.h>

// Returns the size of what *out holds.
socklen_t socket_address_make(
	const struct endpoint_transport *transport, struct sockaddr_storage *out);
// family 0: it is of neither family.
struct endpoint_transport socket_address_read(const struct sockaddr *address);
