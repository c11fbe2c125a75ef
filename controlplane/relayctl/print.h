// SPDX-License-Identifier: BSD-3-Clause
// How relayctl's answers look to people. Nothing here names a client: there is none in the answers.
#pragma once

#include "controlplane/admin/messages.h"

#include <stdio.h>

enum { RELAYCTL_TEXT_SIZE = 64, RELAYCTL_KEY_TEXT_SIZE = 45 };

// Each writes into text and returns it.
// 1234567 -> "1,234,567"
const char *relayctl_text_count(uint64_t number, char text[static RELAYCTL_TEXT_SIZE]);
// 1234567 -> "1.2 MB" (powers of 1000)
const char *relayctl_text_bytes(uint64_t bytes, char text[static RELAYCTL_TEXT_SIZE]);
// 93784000 -> "1 d 2 h"; the two greatest units that are not zero
const char *relayctl_text_duration(uint64_t milliseconds, char text[static RELAYCTL_TEXT_SIZE]);
// Set of enum config_auth -> "static, rest"
const char *relayctl_text_auth(unsigned auth, char text[static RELAYCTL_TEXT_SIZE]);
// enum config_admission
const char *relayctl_text_admission(uint32_t admission);
// 32 bytes in base64
const char *relayctl_text_key(
	const uint8_t key[static 32], char text[static RELAYCTL_KEY_TEXT_SIZE]);
const char *relayctl_text_state(uint32_t state);
// enum api_steering_way
const char *relayctl_text_steering(unsigned way);
// "applied", "needs restart of relay-dataplane"
const char *relayctl_text_outcome(uint32_t outcome);
// "3" or, for what belongs to no worker, "-"
const char *relayctl_text_worker(uint16_t worker, char text[static RELAYCTL_TEXT_SIZE]);

void relayctl_print_status(const struct admin_status *status, FILE *out);
void relayctl_print_ports(const struct api_port *ports, size_t count, FILE *out);
// The workers, and how each port's packets get to them.
void relayctl_print_workers(const struct api_worker *workers, size_t count,
	const struct api_port *ports, size_t port_count, FILE *out);
// Counters of 0 are left out unless all is set.
void relayctl_print_stats(const struct api_counter *counters, size_t count, int all, FILE *out);

// check: nothing was taken over. items: without the one that refuses.
void relayctl_print_changes(const struct admin_change *changes, size_t count, int check, FILE *out);

// Makes the text in answers safe to print: terminated, no control characters.
void relayctl_clean_status(struct admin_status *status);
void relayctl_clean_ports(struct api_port *ports, size_t count);
void relayctl_clean_counters(struct api_counter *counters, size_t count);
void relayctl_clean_changes(struct admin_change *changes, size_t count);
void relayctl_clean_text(char *text, size_t size);
