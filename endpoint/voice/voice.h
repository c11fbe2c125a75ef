// SPDX-License-Identifier: BSD-3-Clause
// Voice of a call, without any I/O: 20 ms of sound in, a payload out; payloads in, 20 ms of sound
// out. Nothing here knows of paths, keys or devices.
//
// A payload is a frame number (u32, big endian) and one Opus packet (RFC 6716) of exactly 20 ms.
// The numbers of one sender count up by one for each 20 ms and wrap around; the same payload may
// travel on several paths and arrive several times.
//
// Sound is 48 kHz, one channel, 16 bits. Times are monotonic milliseconds with any origin, the same
// for one receiver's two functions. One thread at a time for one object; different ones share
// nothing. Memory is allocated by the two create functions only (about 80 KiB a receiver, 40 KiB a
// sender).
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	VOICE_RATE = 48000, // samples a second
	VOICE_FRAME_MS = 20,
	VOICE_FRAME_SAMPLES = VOICE_RATE / 1000 * VOICE_FRAME_MS, // 960
	VOICE_NUMBER_SIZE = 4,
	VOICE_OPUS_MAX = 320, // bytes of a packet: 128 kbit/s. Longer ones are malformed to us
	VOICE_PAYLOAD_MAX = VOICE_NUMBER_SIZE + VOICE_OPUS_MAX,
	VOICE_BITRATE = 32000,    // by default; bits a second, without the number
	VOICE_BITRATE_MIN = 8000, // less than that and 20 ms do not fit
	VOICE_BITRATE_MAX = VOICE_OPUS_MAX * 8 * 1000 / VOICE_FRAME_MS,
	VOICE_LOSS_EXPECTED = 10, // percent, by default
	VOICE_LOSS_MIN = 5,       // with less expected, libopus sends hardly any redundancy
	VOICE_LOSS_MAX = 40,      // with more, there is little left for the frame itself
};

// ---- sending ----

// Zeroes are the defaults.
struct voice_sender_config {
	uint32_t first_number; // of the first frame
	unsigned bitrate;      // VOICE_BITRATE_MIN to VOICE_BITRATE_MAX; 0: VOICE_BITRATE
	unsigned complexity;   // libopus's, 1 (cheap) to 10 (good); 0: 5
};

struct voice_sender;

// -EINVAL (a number out of its range), -ENOMEM.
int voice_sender_create(struct voice_sender **out, const struct voice_sender_config *config);
void voice_sender_free(struct voice_sender *sender); // NULL is allowed

// Makes the payload of the next 20 ms and returns its size. All payloads of one sender have the
// same size: what varies with the sounds of a language tells what is said (White and others,
// "Phonotactic Reconstruction of Encrypted VoIP Conversations", 2011), so the rate is constant and
// silence is sent as well.
size_t voice_sender_encode(struct voice_sender *sender,
	const int16_t pcm[static VOICE_FRAME_SAMPLES], uint8_t out[static VOICE_PAYLOAD_MAX]);

// How many of our frames the peer loses, in percent: how much of the rate goes into redundancy (a
// coarse copy of the frame before, RFC 6716 section 2.1.7). Taken into VOICE_LOSS_MIN to
// VOICE_LOSS_MAX.
void voice_sender_expect_loss(struct voice_sender *sender, unsigned percent);

// ---- receiving ----

// Zeroes are the defaults.
struct voice_receiver_config {
	unsigned start_ms;     // delay of the first frame, before anything is known, to 1000; 0: 40
	unsigned delay_max_ms; // the buffer does not aim at more than this, to 1000; 0: 500
};

struct voice_receiver;

// -EINVAL, -ENOMEM.
int voice_receiver_create(struct voice_receiver **out, const struct voice_receiver_config *config);
void voice_receiver_free(struct voice_receiver *receiver); // NULL is allowed

enum voice_taken {
	VOICE_TAKEN = 1, // kept, to be played
	VOICE_DUPLICATE, // the frame is there already, or was
	VOICE_LATE,      // its time is over
	VOICE_MALFORMED, // too short or long, or not 20 ms of Opus
	VOICE_STRAY,     // its number is far from all others: kept out until the next ones agree
};

// Takes a payload of any bytes.
enum voice_taken voice_receiver_receive(
	struct voice_receiver *receiver, const uint8_t *payload, size_t size, uint64_t now_ms);

enum voice_played {
	VOICE_PLAYED_NOTHING = 1, // silence: no frame has come yet, or the first one waits
	VOICE_PLAYED_FRAME,       // what was received, perhaps stretched or shortened
	VOICE_PLAYED_RECOVERED,   // a frame lost, out of the redundancy in the next one
	VOICE_PLAYED_CONCEALED,   // invented
};

// Gives the next 20 ms; to be called every 20 ms. It may be called late, or several times at once
// to make up for it. The result is what the greater part of the sound is.
enum voice_played voice_receiver_play(
	struct voice_receiver *receiver, int16_t out[static VOICE_FRAME_SAMPLES], uint64_t now_ms);

// Since the beginning, but for what is marked as present.
struct voice_statistics {
	// Frames. received = played + late + dropped + those in the buffer. Numbers that were
	// passed over are lost until they come after all (late).
	uint64_t received;   // different ones, each once
	uint64_t played;     // as they were received
	uint64_t lost;       // never came
	uint64_t late;       // came when their time was over
	uint64_t recovered;  // of the lost and late: played out of the next frame's redundancy
	uint64_t concealed;  // of the lost and late: something was invented for it
	uint64_t skipped;    // of the lost and late: nothing, the pause was long enough already
	uint64_t dropped;    // came, but the buffer was emptied: overflow, or the sender restarted
	uint64_t duplicates; // further copies
	uint64_t malformed;  // payloads
	uint64_t strays;     // payloads
	uint64_t restarts;   // the sender began to count anew

	// Sound, ms.
	uint64_t invented_ms;  // concealment, also while waiting for frames that came later
	uint64_t stretched_ms; // longer than what was sent, when the delay grew
	uint64_t shortened_ms; // shorter, when it shrank

	// The longest time between two frames that were played as received, in which something was
	// recovered, invented or silent: 20 ms for one frame lost.
	uint64_t longest_gap_ms;
	uint64_t longest_gap_at_ms; // when it began, on the clock of the calls
	uint64_t current_gap_ms;    // one that goes on; 0: none
	uint64_t gaps;              // how many there were

	// Present.
	double jitter_ms;         // RFC 3550 section 6.4.1, of first copies
	unsigned buffer_delay_ms; // from arrival to being heard, averaged over about a second
	unsigned target_delay_ms; // above the fastest frame of the last five seconds
	unsigned buffered;        // frames
	unsigned loss_percent; // lost and late of the last five seconds: for the peer's expect_loss
};

void voice_receiver_statistics(const struct voice_receiver *receiver, struct voice_statistics *out);

// Begins longest_gap_ms anew, so that one event of a call can be measured by itself.
void voice_receiver_forget_gap(struct voice_receiver *receiver);
