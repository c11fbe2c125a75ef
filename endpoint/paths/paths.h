// SPDX-License-Identifier: BSD-3-Clause
// Which path or paths each frame of a call takes. No I/O, no cryptography, no allocation: what
// became usable, what was sent and what came authenticated go in, masks of paths come out. One
// struct paths for one call, at each side (about 2 KiB); one thread at a time.
//
// A path's number is 0 or 1 for the relay legs and 2 or 3 for direct pairs; what a number stands
// for (a relay handle, a pair of addresses) only the caller knows. Each side numbers its own direct
// pairs: what a frame's header names is the sender's number.
//
//     paths_start      the session is there: control and probes may go
//     paths_answered   the clock of the relay starts; from now on paths_choose is for voice
//     each 20 ms       mask = paths_choose(); for each path in it: paths_header, encode, seal,
//     send,
//                      paths_sent
//     each frame in    open, frame_decode, paths_received; a probe is answered on the path it came
//     on paths_deadline   when to call paths_tick, and after that to send what paths_probes wants
//
// Time is monotonic ms of any origin. Events come by callback from inside functions that take the
// time; in the callback only functions with a const struct paths may be called.
#pragma once

#include "endpoint/paths/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PATHS_RELAY = 0,
	PATHS_SECOND_RELAY = 1,
	PATHS_DIRECT = 2,
	PATHS_OTHER_DIRECT = 3,
	PATHS_MAX = FRAME_PATHS,
	PATHS_NONE = 255,
	PATHS_SENT_RING = 32, // sendings remembered of each path
};

#define PATHS_NEVER UINT64_MAX // a deadline that never comes

#define PATHS_MASK(path) (1U << (path))

static inline bool paths_is_direct(unsigned path)
{
	return path >= PATHS_DIRECT && path < PATHS_MAX;
}

enum paths_event_type {
	// No direct path in time (or none any more): voice goes by the relay for the first time.
	// to.
	PATHS_RELAY_ENGAGED = 1,
	// The first path voice takes, when it is a direct one. to.
	PATHS_DIRECT_FIRST,
	// Voice goes by another path: from, to, forced (the old one died) or planned. A planned one
	// is told when it begins, so both carry the next frames.
	PATHS_SWITCHED,
	// The planned switch is over: no more copies on the old path. from, to.
	PATHS_SWITCH_ENDED,
	// Silence: voice goes on all of mask. from: the path it was on.
	PATHS_BOTH_ON,
	// And again on one only. to: the path that survived; from: the one before the silence.
	PATHS_BOTH_OFF,
	// Nothing of what we send on this path arrives any more, and that it does again. from / to.
	PATHS_PATH_SILENT,
	PATHS_PATH_BACK,
	// Nothing came from the peer, on any path, for silent_after_ms; and the first thing after
	// it.
	PATHS_ALL_SILENT,
	PATHS_ALL_BACK,
};

struct paths_event {
	enum paths_event_type type;
	uint8_t from, to; // path numbers or PATHS_NONE
	bool forced;
	unsigned mask; // of paths that carry voice from now on
	uint64_t at_ms;
};

struct paths_output {
	void (*event)(void *context, const struct paths_event *event); // may be NULL
	void *context;
};

// Zero means the default in brackets, except relay_at_once.
struct paths_config {
	uint32_t relay_after_ms;   // [800] after the answer, when there is no direct path
	bool relay_at_once;        // relay_after_ms is 0
	uint32_t frame_ms;         // [20]
	uint32_t double_frames;    // [5] of a planned switch, on both paths
	uint32_t silence_floor_ms; // [60] silence is never shorter
	uint32_t dead_after_ms;    // [500] silent for so long while both carry: given up
	uint32_t silent_after_ms;  // [2000] PATHS_ALL_SILENT
	uint32_t idle_every_ms;    // [100] when there is no voice to send
	uint32_t warm_every_ms;    // [1000] probes on paths that carry nothing
	uint32_t warm_for_ms;      // [30000] an old direct path, when another one carries
};

// One of our paths, as far as sending on it is concerned. To be read by paths_status.
struct paths_path {
	bool usable, sure;
	bool confirmed;        // something sent since usable_ms has arrived
	bool good;             // what was sent since mended_ms arrives
	bool late;             // what was sent since confirmed_ms should have arrived and has not
	bool told;             // PATHS_PATH_SILENT was
	uint32_t rtt_ms;       // smoothed; 0: not known
	uint64_t usable_ms;    // all times by our clock
	uint64_t confirmed_ms; // when the newest that has arrived was sent
	uint64_t mended_ms, good_ms, late_ms;
	uint64_t carried_ms; // when it last carried voice
	uint64_t heard_ms;   // when something last came in by it; 0: never
	uint64_t probed_ms;  // 0: never
	uint32_t probes;
	uint64_t sent_count;
	uint64_t sent[PATHS_SENT_RING]; // times; the newest at (sent_count - 1) % PATHS_SENT_RING
};

// One of the peer's paths, by the peer's numbers: receiving.
struct paths_incoming {
	uint64_t heard_ms;     // by our clock; 0: never
	uint64_t came_ms;      // the same frame by the caller's
	uint16_t clock_ms;     // of its header
	uint32_t jitter_16_ms; // RFC 3550 section 6.4.1, times 16
};

// How often a path has died lately.
struct paths_damping {
	uint64_t died_ms;
	uint32_t deaths;
};

enum paths_mode {
	PATHS_IDLE,      // there is nothing to send voice on, or it is too early
	PATHS_SINGLE,    // on main
	PATHS_SWITCHING, // on old and main for double_left more frames
	PATHS_BOTH,      // on everything that is usable
};

// Members are for paths*.c. May be moved in memory.
struct paths {
	struct paths_config config;
	struct paths_output output;
	struct paths_path path[PATHS_MAX];
	struct paths_incoming incoming[PATHS_MAX];
	struct paths_damping damping[3]; // each relay leg, all direct paths together
	enum paths_mode mode;
	uint8_t main, old;   // old: what the switch leaves, or what silence was on
	uint8_t last_direct; // the number given last
	uint32_t double_left;
	uint64_t main_ms;       // since when it is main
	bool answered, engaged; // engaged: voice has had a path
	bool unsure;            // the first one was direct and not sure
	uint64_t answered_at;   // by the caller's time: the relay comes whatever our clock says
	// Our clock goes as the caller's time does, but neither back nor over a pause of the whole
	// program: who did not run heard nothing, and that is nobody's silence.
	uint64_t seen, clock;
	// What comes where voice is expected: voice, or the probes that say there is none.
	bool voice_expected, voice_paused, all_silent;
	uint8_t voice_path; // by the peer's numbers
	uint64_t voice_ms, anything_ms;
	uint64_t voice_sent_ms;
	// Sending on everything, for silence.
	uint64_t both_ms, both_off_ms;
	uint32_t alarms;
};

// What can be shown of one of our paths.
struct paths_status {
	bool usable;
	bool alive;         // what we send arrives, as far as is known
	bool carrying;      // voice goes on it now
	uint32_t rtt_ms;    // 0: not known
	uint32_t jitter_ms; // of what comes on the peer's path of this number
	uint32_t arrived_age_ms,
		heard_age_ms; // since something was known to arrive, came in; UINT32_MAX never
};

// Sets up a call's paths at the time of its session. config may be NULL: all defaults.
void paths_start(struct paths *paths, const struct paths_config *config, struct paths_output output,
	uint64_t now_ms);

// Both have answered: the callee's side when the user takes the call, the caller's when it hears of
// it. Calling it again changes nothing.
void paths_answered(struct paths *paths, uint64_t now_ms);

// A relay leg (0 or 1) can be sent on. rtt_ms: 0 when it is not known.
void paths_relay_usable(struct paths *paths, unsigned path, uint32_t rtt_ms, uint64_t now_ms);

// A direct pair was found valid: returns the number it has from now on, 2 or 3. What had this
// number before is forgotten; it is never the one that carries voice. sure: a check of ours was
// answered on it, so that it will not go as suddenly as it came. A pair that is not is the first
// path where there is no other, but does not stop the relay's clock, and nobody switches to it.
unsigned paths_direct_usable(struct paths *paths, bool sure, uint32_t rtt_ms, uint64_t now_ms);
// Now it is.
void paths_direct_sure(struct paths *paths, unsigned path, uint32_t rtt_ms, uint64_t now_ms);

// A path cannot be sent on any more: consent lost, interface gone, leg closed.
void paths_unusable(struct paths *paths, unsigned path, uint64_t now_ms);

// A frame that has authenticated came in. path: our number of where it came in, PATHS_NONE when
// that is none of ours. The caller answers probes (frame_probe_answer).
void paths_received(struct paths *paths, unsigned path, const struct frame *frame, uint64_t now_ms);

// A frame was sent on a path.
void paths_sent(struct paths *paths, unsigned path, enum frame_kind kind, uint64_t now_ms);

// The time has come (paths_deadline); earlier and later do no harm.
void paths_tick(struct paths *paths, uint64_t now_ms);

// When paths_tick or paths_probes has something to do next.
uint64_t paths_deadline(const struct paths *paths, uint64_t now_ms);

// On which paths the next voice frame goes: a mask, 0 when there is none (or it is too early).
// Never 0 after the answer when a direct path is usable, nor after relay_after_ms when any is.
unsigned paths_choose(struct paths *paths, uint64_t now_ms);

// On which paths a control frame goes. repeated: an earlier copy was not acknowledged, so all.
unsigned paths_choose_control(const struct paths *paths, bool repeated);

// On which paths a probe is due now; the flags of its payload are paths_probe_flags, its token
// paths_probe_token. Each is due until paths_sent was called for it.
unsigned paths_probes(const struct paths *paths, uint64_t now_ms);
uint8_t paths_probe_flags(const struct paths *paths, unsigned path);
uint64_t paths_probe_token(const struct paths *paths, uint64_t now_ms);

// The header of a frame that is sent on this path now; kind is set by frame_voice and its kin.
struct frame_header paths_header(const struct paths *paths, unsigned path, uint64_t now_ms);

struct paths_status paths_status(const struct paths *paths, unsigned path, uint64_t now_ms);

// The path that voice goes by (the new one of a switch), or PATHS_NONE.
unsigned paths_main(const struct paths *paths);

// The round trip to repeat control messages by, in ms: of the slowest usable path; 300 if no round
// trip is known.
uint32_t paths_control_rtt(const struct paths *paths);
