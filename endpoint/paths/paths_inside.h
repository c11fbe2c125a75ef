// SPDX-License-Identifier: BSD-3-Clause
// Between paths*.c; nobody else includes it. Times here are of paths->clock unless they say
// otherwise.
//
//     paths.c         what comes in from outside, the clock, headers
//     paths_life.c    what arrives: jitter, reports of the peer, silence
//     paths_choose.c  what follows from it: modes, switches, events
//     paths_probe.c   probes and deadlines
#pragma once

#include "endpoint/paths/paths.h"

// A round trip that is not known is taken to be one that few exceed.
enum { PATHS_RTT_UNKNOWN_MS = 300 };

// Our clock at the caller's time now_ms, without keeping it.
uint64_t paths_clock(const struct paths *paths, uint64_t now_ms);

uint32_t paths_rtt(const struct paths *paths, unsigned path);
// Of all that is usable, the slowest.
uint32_t paths_rtt_max(const struct paths *paths);
unsigned paths_usable_mask(const struct paths *paths);
unsigned paths_usable_count(const struct paths *paths);
// What carries voice now.
unsigned paths_carrying(const struct paths *paths);

// ---- paths_life.c ----

// Silence on one of the peer's paths and on one of ours begins after so many ms.
uint32_t paths_incoming_limit(const struct paths *paths, unsigned path);
uint32_t paths_outgoing_limit(const struct paths *paths, unsigned path);
void paths_life_heard(struct paths *paths, unsigned path, uint64_t now_ms, uint16_t clock_ms);
// The peer reports this age of our path; the report came in by path back (or PATHS_NONE).
void paths_life_report(struct paths *paths, unsigned path, uint8_t age, unsigned back);
void paths_life_rtt(struct paths *paths, unsigned path, uint64_t rtt_ms);
// Until when voice, or what is sent in its place, must come; and whether it did not.
uint64_t paths_life_voice_limit(const struct paths *paths);
bool paths_life_voice_missing(const struct paths *paths);
// Whether what we send on a path should long have been reported and was not.
bool paths_life_unreported(const struct paths *paths, unsigned path);
// Only what is sent from now on proves that the path works.
void paths_life_doubt(struct paths *paths, unsigned path);

// ---- paths_choose.c ----

// For how long a path must have been good before voice goes back to it.
uint32_t paths_proof_ms(const struct paths *paths, unsigned path);
// Whether a path that carries nothing might be switched to once it is proven.
bool paths_is_wanted(const struct paths *paths, unsigned path);
// Whether the relay is to be engaged when its time comes.
bool paths_awaits_relay(const struct paths *paths);
void paths_lost(struct paths *paths, unsigned path);
// Looks at everything and does what is to be done.
void paths_decide(struct paths *paths);
void paths_tell(
	struct paths *paths, enum paths_event_type type, unsigned from, unsigned to, bool forced);

// ---- paths_probe.c ----

// Whether there is no voice to send, so that probes are sent in its place.
bool paths_is_idle(const struct paths *paths);
