// SPDX-License-Identifier: BSD-3-Clause
// What makes a receive queue wake the worker that sleeps: a descriptor that becomes readable when a
// packet comes. Some drivers keep theirs readable as long as packets wait; others say a word only
// while they are asked to, so a worker arms its queues, looks at them once more, and only then
// sleeps (rest.h).
//
// Set-up: main lcore. wake_arm and wake_disarm: the worker that owns the queue.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum wake_kind {
	WAKE_NONE = 0,
	WAKE_DESCRIPTOR, // AF_XDP and AF_PACKET sockets, TAP: readable while packets wait
	WAKE_INTERRUPT,  // PCI devices: the eventfd of the queue's interrupt
	WAKE_MEMIF,      // the eventfd of the ring, if the peer is asked to write to it
};

struct wake {
	enum wake_kind kind;
	int fd; // of WAKE_MEMIF: changes with every connection, so wake_arm tells it
};

// Finds the eventfd of a PCI device's receive queue that was configured with interrupts. Leaves
// *wake alone where there is none.
void wake_find_interrupt(struct wake *wake, uint16_t port, uint16_t queue);

// Asks for a word. Returns the descriptor to wait for; -1: no packet can come (memif without a
// peer).
int wake_arm(struct wake *wake, uint16_t port, uint16_t queue);
// No more words, please; readable: the descriptor was.
void wake_disarm(const struct wake *wake, uint16_t port, uint16_t queue, bool readable);
