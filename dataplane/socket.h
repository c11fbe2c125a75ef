// SPDX-License-Identifier: BSD-3-Clause
// <run>/dataplane.sock: listening, who may connect, and moving datagrams between the kernel and
// connections (connection.h). Main lcore, never blocks.
#pragma once

#include "dataplane/connection.h"
#include "lib/config/config.h"

#include <stdint.h>

enum { SOCKET_ERROR_SIZE = 512 };

struct api_socket {
	struct api_server server;
	char path[sizeof("/dataplane.sock") + CONFIG_PATH_SIZE];
	int run;    // directory descriptor that carries the lock of this instance
	int listen; // -1: not yet
	int epoll;  // serve.c's
	unsigned socket_group;
};

void socket_init(struct api_socket *api, struct dataplane *dataplane);
// Takes the run directory for this instance: -EADDRINUSE when another one lives there.
int socket_claim(
	struct api_socket *api, const struct config *config, char error[static SOCKET_ERROR_SIZE]);
// Creates the socket file (0660), in the place of one that a dead instance left, and listens.
int socket_listen(struct api_socket *api, char error[static SOCKET_ERROR_SIZE]);
// Closes connections, removes the file.
void socket_close(struct api_socket *api);

// epoll's data.u64 for the listening socket and for connections (their serial).
enum { SOCKET_EPOLL_LISTEN = 0 };

// Accepts what is waiting.
void socket_accept(struct api_socket *api);
// Something happened on a connection.
void socket_ready(struct api_socket *api, uint64_t serial, uint32_t events);
// Goes on with everything that can go on: requests that waited for room or slots, output. Closes
// what is to be closed.
void socket_work(struct api_socket *api);
struct connection *socket_connection(struct api_socket *api, uint64_t serial);
