#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# light
"""compare_speech.py finds what was done to a recording, and no more: gaps of 20, 60 and 300 ms cut out, silence put in, parts taken away, another delay,
another speaker; and what Opus alone does to speech, with frames lost and without. espeak-ng speaks, libopus codes by way of ctypes. No network."""
import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile
import wave

import numpy

import compare_speech as c

# Without commas and full stops, as pauses cannot be judged.
WORDS = ("it is easy to tell the depth of a well these days a chicken leg is a rare dish rice is often served in round bowls "
         "the juice of lemons makes fine punch")
OTHER = "sunday is the best part of the week add the sum to the product of these three a gray mare walked before the colt"
BITRATE = 32000
failed = []


def check(what, passed, result=""):
    if not passed:
        failed.append(what)
        print(f"WRONG: {what}: {result}")


def speak(folder, name, voice, words):
    path = folder / f"{name}.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", "170", "-g", "0", "-w", str(path), words], check=True, timeout=30)
    return path


def call(function, result, *arguments):
    function.restype = result
    return function(*arguments)


def through_opus(sound, lost=()):
    """Encoded and decoded at 48 kHz as voice.h does it; frames that are lost are concealed."""
    opus = ctypes.CDLL("libopus.so.0")
    error = ctypes.c_int()
    count = len(sound) * 3
    spectrum = numpy.fft.rfft(sound)
    wide = numpy.fft.irfft(numpy.pad(spectrum, (0, count // 2 + 1 - len(spectrum))), count) * 3
    pcm = (numpy.clip(wide, -1, 1) * 32767).astype("<i2")
    encoder = ctypes.c_void_p(call(opus.opus_encoder_create, ctypes.c_void_p, 48000, 1, 2048, ctypes.byref(error)))
    decoder = ctypes.c_void_p(call(opus.opus_decoder_create, ctypes.c_void_p, 48000, 1, ctypes.byref(error)))
    # Bit rate, constant, complexity, voice, redundancy, expected loss.
    for setting, value in ((4002, BITRATE), (4006, 0), (4010, 5), (4024, 3001), (4012, 1), (4014, 10)):
        opus.opus_encoder_ctl(encoder, setting, ctypes.c_int(value))
    heard = []
    for frame in range(len(pcm) // 960):
        packet, out = ctypes.create_string_buffer(400), ctypes.create_string_buffer(1920)
        size = opus.opus_encode(encoder, pcm[frame * 960:(frame + 1) * 960].tobytes(), 960, packet, BITRATE // 400)
        opus.opus_decode(decoder, None if frame in lost else packet, 0 if frame in lost else size, out, 960, 0)
        heard.append(numpy.frombuffer(out.raw, "<i2") / 32768)
    opus.opus_encoder_destroy(encoder)
    opus.opus_decoder_destroy(decoder)
    heard = numpy.concatenate(heard)
    return numpy.fft.irfft(numpy.fft.rfft(heard)[:len(heard) // 6 + 1], len(heard) // 3) / 3


def compared(what, sent, received):
    result = c.compare(sent, received)
    print(f"{what:<34} {'same' if result['same'] else 'other':<6} {result['similarity']:6.1%}  SNR {result['snr_db']} dB  "
          f"longest gap {result['longest_gap_ms']:4} ms of {result['gap_ms']:5}  lost {result['lost_ms']:4} ms  delay {result['delay_ms']} ms")
    return result


def gap_at(result, seconds):
    return max((ms for at, ms in result["gaps"] if abs(at - seconds) < 0.06), default=0)


def loud_place(sent):
    """The beginning of 200 ms of voice, seconds, after the middle."""
    voice = c.voiced(sent)
    best = max(range(len(sent) // 2, len(sent) - c.RATE, c.RATE // 50), key=lambda at: voice[at:at + c.RATE // 5].mean())
    return best / c.RATE


def artificial(sent, coded):
    seconds = loud_place(sent)
    at = round(seconds * c.RATE)
    delay = c.compare(sent, coded)["delay_ms"]
    for ms in (20, 60, 300):
        part = c.RATE * ms // 1000
        cut = coded.copy()
        cut[at:at + part] = 0
        result = compared(f"{ms} ms silenced", sent, cut)
        # 300 ms may reach into a pause, where nothing tells it from a gap.
        check(f"{ms} ms silenced", abs(gap_at(result, seconds) - ms) <= (10 if ms < 300 else 110) and result["same"], result)
        check(f"{ms} ms silenced: delay", abs(result["delay_ms"] - delay) < 1, result)
        result = compared(f"{ms} ms of silence put in", sent, numpy.concatenate([coded[:at], numpy.zeros(part), coded[at:]]))
        check(f"{ms} ms put in", abs(gap_at(result, seconds) - ms) <= 10 and result["same"], result)
        check(f"{ms} ms put in: delay", abs(result["delays"][-1][1] - result["delays"][0][1] - ms) < 1, result)
        result = compared(f"{ms} ms taken away", sent, numpy.concatenate([coded[:at], coded[at + part:]]))
        check(f"{ms} ms taken away", abs(result["delays"][0][1] - result["delays"][-1][1] - ms) < 1, result)
        check(f"{ms} ms taken away: no gap", gap_at(result, seconds) <= 20, result)
        if ms >= 60:
            check(f"{ms} ms taken away: lost", max((lost for where, lost in result["lost"] if abs(where - seconds) < ms / 1000 + 0.05), default=0)
                  >= (40 if ms == 60 else 100), result)
    result = compared("250 ms later", sent, numpy.concatenate([numpy.zeros(c.RATE // 4), coded]))
    check("250 ms later", abs(result["delay_ms"] - delay - 250) < 1 and result["same"] and result["similarity"] > 0.97, result)
    result = compared("half as loud", sent, coded / 2)
    check("half as loud", result["same"] and result["similarity"] > 0.97 and 0.4 < result["gain"] < 0.6, result)


def codec(sent, coded, name, losses, holes):
    result = compared(f"{name}: Opus", sent, coded)
    check(f"{name}: Opus", result["similarity"] >= 0.97 and result["snr_db"] >= 9 and result["longest_gap_ms"] <= 60 and len(result["delays"]) == 1, result)
    numbers = numpy.random.default_rng(1).random(len(sent) * 50 // c.RATE)
    before = result["similarity"]
    for percent in losses:
        result = compared(f"{name}: {percent} % lost", sent, through_opus(sent, set(numpy.flatnonzero(numbers < percent / 100).tolist())))
        check(f"{name}: {percent} % lost is worse", result["same"] and result["similarity"] < before - 0.004 * percent / 5 * 2, result)
        before = result["similarity"]
    seconds = loud_place(sent)
    for frames in holes:
        first = round(seconds * 50)
        result = compared(f"{name}: {frames * 20} ms lost", sent, through_opus(sent, set(range(first, first + frames))))
        # Concealment is in step with the voice for a while, and a pause may follow.
        check(f"{name}: {frames * 20} ms lost", frames * 20 - 40 - (90 if frames == 15 else 0) <= gap_at(result, seconds + 0.02) <= frames * 20 + 40, result)


def replaced(sent, coded, folder):
    for what, sound in (("another voice's other words", c.read_wav(speak(folder, "other", "en+f3", OTHER))),
                        ("other words", c.read_wav(speak(folder, "words", "en", OTHER))),
                        ("the same backwards", coded[::-1].copy()),
                        ("noise", numpy.random.default_rng(2).normal(size=len(sent)) * 0.1),
                        ("silence", numpy.zeros(len(sent))),
                        ("a tone", numpy.sin(numpy.arange(len(sent)) * 0.1)),
                        ("nothing", numpy.zeros(0)),
                        ("the first second only, then others", numpy.concatenate([coded[:c.RATE], coded[::-1]]))):
        result = compared(what, sent, sound)
        check(f"{what} passes for the recording", not result["same"], result)


def command(folder, sent_path, sent):
    def run(*arguments):
        return subprocess.run([sys.executable, pathlib.Path(__file__).with_name("compare_speech.py"), *map(str, arguments)],
                              capture_output=True, text=True, check=False, timeout=60)

    path = folder / "received.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(c.RATE)
        file.writeframes((sent * 32767).astype("<i2").tobytes())
    done = run(sent_path, path, "-j")
    check("command", done.returncode == 0 and json.loads(done.stdout)["similarity"] > 0.99, done)
    done = run(sent_path, path)
    check("command in words", done.returncode == 0 and done.stdout.startswith("the same speech: "), done)
    # Cut off in the middle, as of a program that was killed.
    path.write_bytes(path.read_bytes()[:c.RATE * 2 * 3])
    check("cut off", run(sent_path, path, "-j").returncode == 0)
    path.write_bytes(b"RIFF")
    done = run(sent_path, path)
    check("no WAV file", done.returncode == 1 and "received.wav: not a WAV file" in done.stderr, done)
    done = run(sent_path, folder / "nothing.wav")
    check("no file", done.returncode == 1 and "nothing.wav: No such file" in done.stderr, done)


with tempfile.TemporaryDirectory() as name:
    where = pathlib.Path(name)
    spoken_path = speak(where, "sent", "en", WORDS)
    spoken = c.read_wav(spoken_path)
    received_sound = through_opus(spoken)
    same = compared("itself", spoken, spoken)
    check("itself", same["similarity"] == 1 and same["longest_gap_ms"] == 0 and same["lost_ms"] == 0 and same["delay_ms"] == 0, same)
    codec(spoken, received_sound, "en", (5, 20), (3, 8, 15))
    german = c.read_wav(speak(where, "german", "de", WORDS))
    codec(german, through_opus(german), "de", (), (15,))
    artificial(spoken, received_sound)
    replaced(spoken, received_sound, where)
    command(where, spoken_path, spoken)
print(f"{len(failed)} wrong" if failed else "all found")
sys.exit(1 if failed else 0)
