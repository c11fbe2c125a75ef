// SPDX-License-Identifier: BSD-3-Clause
// What users do: come, call, talk, send messages, move, leave. And how they take what their
// endpoints tell them.
#pragma once

struct client;
struct endpoint_event;

// Has it act now and then from here on, as long as it lives.
void user_begin(struct client *client);
void user_event(struct client *client, const struct endpoint_event *event);
// Sends messages to a few others, as many do when an epoch has just turned.
void user_greet(struct client *client);
