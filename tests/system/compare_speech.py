#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a listener got of a recording: compares the WAV that was spoken into a call with the one that came out of it.

usage: compare_speech.py SENT.wav RECEIVED.wav [-j]      exit code 0: it is the same speech; 1: it is not

Both are looked at between 250 and 1500 Hz, where Opus keeps the shape of voiced sounds, in windows of 20 ms each 5 ms.

1. Delays. Pieces of 60 ms of what was received are looked for in what was sent, near the delay of the speech around
   them; the delays that are found are the candidates. (A jitter buffer makes frames shorter and longer, so a delay may
   last 20 ms only.)
2. Each window gets the candidate under which it is most like what was sent, with a price for each change, by dynamic
   programming. How unlike: the energy of (received - gain * sent) in relation to that of (gain * sent), one gain for
   the whole recording.
3. A window is judged where there is voice in what was sent. It is good up to an unlikeness of 0.5 (3 dB), and what
   lies between good windows without a change of delay is good. Bad ones in a row are a gap. Voice in what was sent that
   no good window shows is lost.

Why the shape of the wave and not the spectrum: concealment of a lost frame has nearly the spectrum of the frame before,
so a spectral measure calls it good; in the shape it differs within a period or two. What it cannot see: hisses, pauses,
and the first 10 or 20 ms of a concealment that goes on in step with the true voice. So a gap is found to 10 ms, single
lost frames not always, and the receiver's own statistics stay the account of frames.

What to expect (espeak-ng, Opus at 32 kbit/s; test_compare_speech.py prints and holds it): Opus alone 99 to 100 % good, SNR 10 to 12 dB, false gaps of
0 to 30 ms, in some words 50; 5 % of the frames concealed 97 %, 20 % 89 %; silence of 20, 60, 300 ms is a gap of 20, 60, 295; 300 ms concealed 295 to 305.
A jitter buffer that shortens its delay adds false gaps of up to 50, rarely 100 ms, and "lost" of about what it has left out. Other speech: below 10 %, or
only a moment of it. So ask for a gap near the moment when something happened, of 60 ms or more, and for less ask the receiver's statistics.
"""
import argparse
import json
import struct
import sys

import numpy

RATE = 16000                # everything is brought to this
HOP = RATE // 200           # 5 ms
WINDOW = RATE // 50         # 20 ms
BAND = (250, 1500)          # Hz
PIECE = RATE * 45 // 1000   # of the search for delays
LOOK_MS = 1000              # how far around the first guess delays are looked for
NEAR_MS = 60                # and around those found already
CERTAIN = 0.85              # correlation that makes a delay a candidate
CANDIDATES = 300
VOICED_DB = -22             # below the loud parts: what is judged
PERIODIC = 0.8              # correlation with the period before: the rest is hiss
GOOD = 0.7                  # unlikeness
CHANGE = 3                # price of another delay, in unlikeness
WORST = 1.5                 # unlikeness counts up to this
QUIET_DB = -16              # received windows that much weaker than what was sent are bad, voiced or not
LOUD_DB = -25               # below the loud parts: where that is looked for
SHORTEST_GAP_MS = 15
SAME = 0.5                  # part of the judged windows that must be good


class Unreadable(Exception):
    pass


def read_wav(path):
    """Samples at RATE, -1 to 1, of PCM with 16 bits; also of a file that was cut off."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise Unreadable(f"{path}: not a WAV file")
    at, form = 12, None
    while at + 8 <= len(data):
        name, size = data[at:at + 4], struct.unpack_from("<I", data, at + 4)[0]
        at += 8
        if name == b"fmt " and size >= 16 and at + 16 <= len(data):
            form = struct.unpack_from("<HHIIHH", data, at)
        if name == b"data":
            if form is None or form[5] != 16 or form[1] not in (1, 2):
                raise Unreadable(f"{path}: not PCM of 16 bits in one or two channels")
            samples = data[at:at + size]
            samples = samples[:len(samples) // (2 * form[1]) * 2 * form[1]]
            sound = numpy.frombuffer(samples, "<i2").reshape(-1, form[1]).mean(axis=1) / 32768
            return resample(sound, form[2])
        at += size + size % 2
    raise Unreadable(f"{path}: no samples")


def resample(sound, rate):
    if rate == RATE or len(sound) == 0:
        return sound
    count = round(len(sound) * RATE / rate)
    # By way of the spectrum, with silence at the end for what would come round to the beginning.
    pad = rate // 10
    padded = numpy.concatenate([sound, numpy.zeros(pad)])
    total = round(len(padded) * RATE / rate)
    spectrum = numpy.fft.rfft(padded)
    size = total // 2 + 1
    spectrum = spectrum[:size] if len(spectrum) >= size else numpy.pad(spectrum, (0, size - len(spectrum)))
    return numpy.fft.irfft(spectrum, total)[:count] * total / len(padded)


def band(sound):
    """Only BAND of it, in place: a linear phase filter, its delay taken back."""
    taps = 481
    n = numpy.arange(taps) - taps // 2
    kernel = sum(sign * 2 * edge / RATE * numpy.sinc(2 * edge / RATE * n) for sign, edge in ((1, BAND[1]), (-1, BAND[0])))
    kernel *= numpy.blackman(taps)
    size = 1 << (len(sound) + taps).bit_length()
    out = numpy.fft.irfft(numpy.fft.rfft(sound, size) * numpy.fft.rfft(kernel, size), size)
    return out[taps // 2:taps // 2 + len(sound)]


def shifted(sound, delay, count):
    """The first `count` samples of a sound that comes later."""
    moved = numpy.zeros(count)
    low, high = max(0, delay), min(count, len(sound) + delay)
    if high > low:
        moved[low:high] = sound[low - delay:high - delay]
    return moved


def window_sums(products, count):
    """Sums over `count` windows of 20 ms, one beginning each 5 ms."""
    total = numpy.concatenate([[0.0], numpy.cumsum(products)])
    starts = numpy.arange(count) * HOP
    return total[starts + WINDOW] - total[starts]


def correlate(piece, region):
    """Normalised correlation of a piece with each place of a region."""
    size = 1 << (len(piece) + len(region)).bit_length()
    products = numpy.fft.irfft(numpy.fft.rfft(region, size) * numpy.conj(numpy.fft.rfft(piece, size)), size)
    products = products[:len(region) - len(piece) + 1]
    total = numpy.concatenate([[0.0], numpy.cumsum(region ** 2)])
    energies = total[len(piece):] - total[:-len(piece)]
    return products / numpy.sqrt(numpy.maximum(energies * numpy.sum(piece ** 2), 1e-12))


def first_guess(sent, received):
    """The delay under which the whole is most alike, samples; received = sent + delay. Loudness over time is compared
    first, as a wave would only fit where the delay never changed."""
    size = 1 << (len(sent) + len(received)).bit_length()
    product = numpy.fft.rfft(received, size) * numpy.conj(numpy.fft.rfft(sent, size))
    whole = numpy.abs(numpy.fft.irfft(product / numpy.maximum(numpy.abs(product), 1e-9) ** 0.5, size))
    best = int(numpy.argmax(whole))
    return best if best < len(received) else best - size


def near(found, delay):
    """How often a delay was found, or one that is off by a sample. One that was found once is chance."""
    return sum(found.get(delay + step, 0) for step in (-1, 0, 1))


def candidates(sent, received, guess):
    """Delays of pieces, each near the one before or, where that finds nothing, anywhere around the guess."""
    loud = numpy.sqrt(numpy.mean(received ** 2)) * 0.3
    found, last = {}, None
    for number, start in enumerate(range(0, len(received) - PIECE, PIECE // 3)):
        piece = received[start:start + PIECE]
        if numpy.sqrt(numpy.mean(piece ** 2)) < loud:
            continue
        spans = ([] if last is None else [(last, NEAR_MS)]) + ([(guess, LOOK_MS)] if number % 4 == 0 or last is None else [])
        if last is None and number % 2:
            continue
        for middle, around in spans:
            around = around * RATE // 1000
            low = max(0, start - middle - around)
            region = sent[low:max(0, start - middle + around + PIECE)]
            if len(region) < PIECE:
                continue
            alike = correlate(piece, region)
            place = int(numpy.argmax(alike))
            if alike[place] < (CERTAIN if last is not None and middle == last else CERTAIN + 0.05):
                continue
            last = start - (low + place)
            found[last] = found.get(last, 0) + 1
            break
    often = [delay for delay in sorted(found, key=lambda delay: -found[delay]) if near(found, delay) > 1]
    return sorted(often[:CANDIDATES])


def voiced(sent):
    """Which samples of what was sent are in a window of 20 ms that is judged: loud enough, and periodic."""
    half = sent[::2]  # the band allows it
    count, span = len(half), WINDOW // 2
    power = sums(half ** 2, span)
    best = numpy.zeros(count)
    for lag in range(RATE // 2 // 400, RATE // 2 // 75):
        moved = numpy.concatenate([numpy.zeros(lag), half[:-lag]]) if lag < count else numpy.zeros(count)
        before = numpy.concatenate([numpy.zeros(lag), power[:-lag]]) if lag < count else numpy.zeros(count)
        numpy.maximum(best, sums(half * moved, span) / numpy.sqrt(numpy.maximum(power * before, 1e-12)), out=best)
    loud = numpy.percentile(power, 90) * 10 ** (VOICED_DB / 10)
    return numpy.repeat((power > loud) & (best > PERIODIC), 2)[:len(sent)]


def sums(values, span):
    """Sum over the span around each value."""
    total = numpy.concatenate([numpy.zeros(span // 2 + 1), numpy.cumsum(values), numpy.full(span, 0.0)])
    total[span // 2 + 1 + len(values):] = total[span // 2 + len(values)]
    return total[span:span + len(values)] - total[:len(values)]


def judge(sent, received, whole_sent, whole_received, delays):
    """Of each window under each delay: its unlikeness, whether that counts, and whether it is too quiet. Arrays [delay,
    window]. And the gain."""
    count = max(0, (len(received) - WINDOW) // HOP + 1)
    energy = window_sums(received ** 2, count)
    unlike = numpy.empty((len(delays), count))
    voice = numpy.zeros((len(delays), count), bool)
    middles = numpy.arange(count) * HOP + WINDOW // 2
    judged = voiced(sent)
    cross, power, whole = [], [], []
    for i, delay in enumerate(delays):
        moved = shifted(sent, delay, len(received))
        places = middles - delay
        inside = (places >= 0) & (places < len(sent))
        voice[i, inside] = judged[places[inside]]
        cross.append(window_sums(moved * received, count))
        power.append(window_sums(moved ** 2, count))
        whole.append(window_sums(shifted(whole_sent, delay, len(received)) ** 2, count))
    cross, power, whole = numpy.array(cross), numpy.array(power), numpy.array(whole)
    alike = numpy.where(voice, cross / numpy.sqrt(numpy.maximum(power * energy, 1e-12)), 0)
    sure = alike > 0.9
    gain = float(numpy.median((cross / numpy.maximum(power, 1e-12))[sure])) if sure.any() else 1.0
    unlike = (energy - 2 * gain * cross + gain * gain * power) / numpy.maximum(gain * gain * power, 1e-12)
    loud = numpy.percentile(sums(whole_sent ** 2, WINDOW), 90) * 10 ** (LOUD_DB / 10)
    quiet = (whole > loud) & (window_sums(whole_received ** 2, count) < gain * gain * whole * 10 ** (QUIET_DB / 10))
    return numpy.maximum(unlike, 0), voice, quiet, gain


def track(unlike, voice, quiet):
    """The delay of each window: the cheapest way through."""
    cost = numpy.where(quiet, 1, numpy.where(voice, numpy.minimum(unlike, WORST), 0.25))
    delays, count = cost.shape
    came = numpy.zeros((delays, count), numpy.int32)
    total = cost[:, 0].copy() if count else numpy.zeros(delays)
    for i in range(1, count):
        best = int(numpy.argmin(total))
        stay = total <= total[best] + CHANGE
        came[:, i] = numpy.where(stay, numpy.arange(delays), best)
        total = numpy.where(stay, total, total[best] + CHANGE) + cost[:, i]
    way = numpy.empty(count, numpy.int32)
    at = int(numpy.argmin(total)) if count else 0
    for i in range(count - 1, -1, -1):
        way[i] = at
        at = came[at, i]
    return way


def runs(flags):
    """(first, behind the last) of each row of true ones."""
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate([[0], flags.astype(numpy.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


def milliseconds(windows):
    return windows * HOP * 1000 // RATE


def length(windows):
    """Of what bad windows in a row show, ms: those that are only half in it still look good."""
    return milliseconds(windows + 1)


def compare(sent, received):
    """sent, received: samples at RATE. Returns what the command prints as JSON."""
    result = {"same": False, "similarity": 0.0, "snr_db": None, "gain": None, "delay_ms": None, "delays": [], "judged_ms": 0,
              "longest_gap_ms": 0, "longest_gap_at_s": None, "gap_ms": 0, "gaps": [], "lost_ms": 0, "lost": [],
              "begins_s": None, "ends_s": None, "heard_from_s": None, "heard_until_s": None}
    if len(sent) < PIECE * 2 or len(received) < PIECE * 2 or not numpy.any(sent) or not numpy.any(received):
        return result
    whole_sent, whole_received = sent, received
    sent, received = band(sent), band(received)
    delays = candidates(sent, received, first_guess(sent, received))
    if not delays:
        return result
    unlike, voice, quiet, gain = judge(sent, received, whole_sent, whole_received, delays)
    way = track(unlike, voice, quiet)
    index = numpy.arange(len(way))
    unlike, voice, quiet = unlike[way, index], voice[way, index], quiet[way, index]
    delay = numpy.array(delays)[way]
    good = voice & ~quiet & (unlike <= GOOD)
    if not good.any():
        return result

    # From the first good window to the last: before and after, the call or the recording was not on.
    first, last = int(numpy.argmax(good)), len(good) - 1 - int(numpy.argmax(good[::-1]))
    within = (index >= first) & (index <= last)
    judged = (voice | quiet) & within
    bad = judged & ~good
    # What was not judged between bad windows belongs to their gap.
    for start, end in runs(within & ~judged):
        if start > first and end <= last and bad[start - 1] and bad[end]:
            bad[start:end] = True
    gaps = []
    for start, end in runs(bad):
        if length(end - start) < SHORTEST_GAP_MS:
            continue
        # If the speech goes on later than it should, so much was put in, whether it could be judged or not.
        before = int(numpy.flatnonzero(good[:start])[-1]) if good[:start].any() else start
        after = end + int(numpy.argmax(good[end:])) if good[end:].any() else end
        put_in = min(int(delay[after] - delay[before]) // HOP, after - before - 1)
        gaps.append([round(start * HOP / RATE + WINDOW / RATE / 2, 3), max(length(end - start), milliseconds(put_in))])
    result["gaps"] = gaps
    result["gap_ms"] = sum(ms for _, ms in result["gaps"])
    if gaps:
        result["longest_gap_at_s"], result["longest_gap_ms"] = max(result["gaps"], key=lambda gap: gap[1])

    # What was sent and is in no good window: on the sender's clock.
    count = max(1, (len(sent) - WINDOW) // HOP + 1)
    spoken = voiced(sent)[numpy.arange(count) * HOP + WINDOW // 2]
    places = numpy.rint((index * HOP - delay) / HOP).astype(int)
    shown = numpy.zeros(count, bool)
    for step in (-1, 0, 1):  # delays are no multiples of 5 ms
        near = places[good] + step
        shown[near[(near >= 0) & (near < count)]] = True
    begins, ends = int(places[good].min()), int(places[good].max())
    missing = spoken & ~shown & (numpy.arange(count) > begins) & (numpy.arange(count) < ends)
    lost = [(start, end) for start, end in runs(missing) if length(end - start) >= SHORTEST_GAP_MS]
    result["lost"] = [[round(start * HOP / RATE, 3), length(end - start)] for start, end in lost]
    result["lost_ms"] = sum(ms for _, ms in result["lost"])

    changes = [i for i in range(first, last + 1) if i == first or abs(delay[i] - delay[i - 1]) * 1000 > RATE]
    result["delays"] = [[round(i * HOP / RATE, 3), round(int(delay[i]) * 1000 / RATE, 1)] for i in changes]
    result["delay_ms"] = round(float(numpy.median(delay[good])) * 1000 / RATE, 1)
    result["similarity"] = round(float(good.sum() / max(1, judged.sum())), 3)
    result["judged_ms"] = milliseconds(int(judged.sum()))
    result["snr_db"] = round(float(numpy.mean(numpy.clip(-10 * numpy.log10(numpy.maximum(unlike[judged], 1e-4)), -5, 35))), 1)
    result["gain"] = round(gain, 3)
    result["begins_s"], result["ends_s"] = round(begins * HOP / RATE, 3), round(ends * HOP / RATE + WINDOW / RATE, 3)
    result["heard_from_s"] = round(first * HOP / RATE, 3)
    result["heard_until_s"] = round(last * HOP / RATE + WINDOW / RATE, 3)
    # A moment of any speech is somewhere in any other: it must also be a good part of all voice that was received.
    heard = voiced(received)[index * HOP + WINDOW // 2]
    result["same"] = bool(result["similarity"] >= SAME and good.sum() >= SAME * heard.sum())
    return result


def compare_files(sent, received):
    return compare(read_wav(sent), read_wav(received))


def main():
    parser = argparse.ArgumentParser(usage="compare_speech.py SENT.wav RECEIVED.wav [-j]")
    parser.add_argument("sent")
    parser.add_argument("received")
    parser.add_argument("-j", "--json", action="store_true")
    arguments = parser.parse_args()
    try:
        result = compare_files(arguments.sent, arguments.received)
    except Unreadable as error:
        sys.exit(f"compare_speech.py: {error}")
    if arguments.json:
        print(json.dumps(result))
    elif result["delay_ms"] is None:
        print("not the same speech: nothing of it was found")
    else:
        print(f"{'the same speech' if result['same'] else 'NOT the same speech'}: {result['similarity']:.1%} of "
              f"{result['judged_ms'] / 1000:.1f} s of voice, SNR {result['snr_db']} dB, delay {result['delay_ms']} ms")
        print(f"longest gap {result['longest_gap_ms']} ms" +
              (f" at {result['longest_gap_at_s']} s" if result["gaps"] else "") +
              f", gaps {result['gap_ms']} ms in all, lost {result['lost_ms']} ms")
        for at, delay in result["delays"]:
            print(f"  from {at:8.3f} s: delay {delay} ms")
    sys.exit(0 if result["same"] else 1)


if __name__ == "__main__":
    main()
