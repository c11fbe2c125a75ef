// SPDX-License-Identifier: BSD-3-Clause
// The main lcore's loop: what the workers have for the control plane and the kernel, the socket,
// the exception TAPs, the drain deadline, signals. Works while there is work and sleeps in epoll
// otherwise; a worker's doorbell wakes it.
#pragma once

#include "dataplane/socket.h"

struct dataplane;

struct serve {
	struct dataplane *dataplane;
	struct api_socket api;
	int epoll;
	int signals;        // signalfd
	int exceptions[16]; // of each port; -1: none
};

// Makes epoll, the doorbell and the signalfd (SIGTERM, SIGINT, SIGHUP are blocked for it). 0 or
// -errno.
int serve_open(struct serve *serve, struct dataplane *dataplane);
// Opens the exception TAPs of the ports that need one. 0, or -errno and the message.
int serve_exceptions(struct serve *serve, char error[static SOCKET_ERROR_SIZE]);
// True when SIGTERM or SIGINT has come; takes signals in. For the time before serve_run.
bool serve_interrupted(struct serve *serve);
// Until SIGTERM or SIGINT. After that a second one ends the process at once.
void serve_run(struct serve *serve);
void serve_close(struct serve *serve);
