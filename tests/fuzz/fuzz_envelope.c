// SPDX-License-Identifier: BSD-3-Clause
// Two ends of a session and whatever can happen between them: each byte is a step, some take those
// behind them as their subject. Held: only what was sealed opens, once, as it was, and only at the
// other end; strangers change nothing; the two are never more than one phase apart.
#include "endpoint/session/envelope.h"
#include "tests/fuzz/reproducible.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 6, FRAME = ENVELOPE_OVERHEAD + TEXT, FRAMES = 32 };

struct sealed {
	uint8_t bytes[FRAME], text[TEXT];
	bool opened, there;
};

static struct {
	struct envelope_session ends[2];
	struct sealed frames[2][FRAMES]; // by who sealed them
	unsigned count[2];
} world;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void begin(void)
{
	const struct envelope_secrets secrets[2] = {{.send = {1}, .receive = {2}, .exporter = {3}},
		{.send = {2}, .receive = {1}, .exporter = {3}}};
	memset(&world, 0, sizeof(world));
	for (unsigned i = 0; i < 2; i++)
		require(envelope_begin(&world.ends[i], &secrets[i]) == 0);
}

static void seal(unsigned from)
{
	struct sealed *sealed = &world.frames[from][world.count[from]++ % FRAMES];
	randombytes_buf(sealed->text, TEXT);
	require(envelope_seal(&world.ends[from], sealed->text, TEXT, sealed->bytes) == 0);
	sealed->opened = false;
	sealed->there = true;
}

static void deliver(unsigned from, unsigned n)
{
	struct sealed *sealed = &world.frames[from][n % FRAMES];
	uint8_t opened[TEXT];
	if (!sealed->there)
		return;
	int result = envelope_open(&world.ends[!from], sealed->bytes, FRAME, opened);
	if (result == 0) {
		require(!sealed->opened && memcmp(opened, sealed->text, TEXT) == 0);
		sealed->opened = true;
	} else {
		// Replayed, behind the window, or two phases old.
		require(result == -EALREADY || result == -EBADMSG);
	}
}

static void refuse(unsigned at, const uint8_t *in, size_t size)
{
	struct envelope_session before = world.ends[at];
	uint8_t opened[256];
	int result = envelope_open(&world.ends[at], in, size, opened);
	require(result == -EBADMSG || result == -EALREADY);
	require(memcmp(&world.ends[at], &before, sizeof(before)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	random_state = 1;
	if (!started) {
		randombytes_set_implementation(&reproducible);
		require(sodium_init() >= 0);
		started = true;
	}
	begin();
	for (size_t i = 0; i < size; i++) {
		unsigned who = data[i] & 1, n = i + 1 < size ? data[i + 1] : 0;
		uint8_t frame[FRAME];
		switch (data[i] >> 1 & 7) {
		case 0:
		case 1:
			seal(who);
			break;
		case 2:
			deliver(who, n);
			i++;
			break;
		case 3: { // the newest
			deliver(who, world.count[who] + FRAMES - 1);
			break;
		}
		case 4: { // altered by the next byte at the one after
			if (!world.frames[who][0].there || i + 2 >= size)
				break;
			memcpy(frame,
				world.frames[who][(world.count[who] + FRAMES - 1) % FRAMES].bytes,
				FRAME);
			frame[data[i + 2] % FRAME] ^= (uint8_t)(n == 0 ? 1 : n);
			refuse(!who, frame, FRAME);
			i += 2;
			break;
		}
		case 5: // anything
			refuse(who, data + i + 1, size - i - 1 < 200 ? size - i - 1 : 200);
			break;
		case 6: {
			int result = envelope_rekey(&world.ends[who]);
			require(result == 0 || result == -EAGAIN);
			break;
		}
		default: // frames that nobody saw
			if (world.ends[who].send_sequence < UINT64_MAX / 2)
				world.ends[who].send_sequence += (uint64_t)n << (data[i] >> 4);
			i++;
			break;
		}
		require(world.ends[0].phase <= world.ends[1].phase + 1 &&
			world.ends[1].phase <= world.ends[0].phase + 1);
	}
	for (unsigned i = 0; i < 2; i++)
		envelope_wipe(&world.ends[i]);
	return 0;
}
