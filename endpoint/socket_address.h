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

// Of an IPv6 socket: sends from temporary addresses (RFC 8981) where there are some.
void socket_address_prefer_temporary(int fd);
// What such a socket sends from, towards a destination, without port. family 0: there is no way.
struct endpoint_transport socket_address_source(const struct endpoint_transport *destination);
