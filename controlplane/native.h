// SPDX-License-Identifier: BSD-3-Clause
// The registration core in its place: between the dataplane's link, the node's key and the clock.
// The event loop's thread.
#pragma once

#include "controlplane/registration/registration.h"

#include <stdint.h>

struct admin_status;
struct node;

// Reads or makes the key and makes the core. Without a key the node serves TURN alone, and
// node->key_trouble tells why. 0 or -ENOMEM.
int native_open(struct node *node);
void native_free(struct node *node);

// A dataplane has answered hello.
void native_connected(struct node *node, const struct api_hello_answer *hello);
void native_punt(void *node, const struct api_native_punt *punt, const uint8_t *payload);
// [registration] may have changed.
void native_reconfigure(struct node *node);
// ms until the next one.
uint64_t native_tick(struct node *node);

// What relayctl is told; gauges NULL: there is no dataplane to ask.
void native_status(
	const struct node *node, const struct api_gauges *gauges, struct admin_status *status);
