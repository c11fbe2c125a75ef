# SPDX-License-Identifier: BSD-3-Clause
"""Calls in whose middle the network changes: who calls whom behind what, what happens to them, and how long they hear nothing.
test_call_moves.py holds them to their bounds.

Both ends say the same text (espeak-ng) with relaycall call and answer, fifty frames a second; what each hears is written down. The
gap is measured twice: by the receiver's frames (the longest time between two that were played as they were received), and in the
sound (compare_speech.py).
"""
import concurrent.futures
import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import time

import calls
import lab
import pairs

TEXT = ("it is easy to tell the depth of a well these days a chicken leg is a rare dish rice is often served in round bowls the "
        "juice of lemons makes fine punch sunday is the best part of the week add the sum to the product of these three a gray mare "
        "walked before the colt read just what the meter says the boss ran the show with a watchful eye")
AFTER = 2  # seconds of a call after what happens
AT_ONCE, TRIES = 6, 4
CARDS = {}
LISTENERS = concurrent.futures.ThreadPoolExecutor(2)


@dataclasses.dataclass
class Move:
    """What happens to one call. The hosts are called by the letter, caller with 1 and callee with 2 behind it."""
    letter: str
    title: str
    networks: tuple
    path: str  # that the call is on before: "direct" or "relay"
    happens: object  # called with both hosts
    bound: object  # ms of silence, of the delay of a wire
    lost: int | None = None  # frames at most in each direction; None: as many as the gap has
    planned: bool = False  # a switch to something better is waited for
    after: str = ""  # the path at the end, if not the same; "any"
    card: str = "first"  # the relays on it: of CARDS
    prepare: object = None  # called with both hosts before the call
    undo: object = None  # and after it, however it went
    delay: float = 0
    tries: int = 0
    failure: str = "it was not made"
    late_by: str = ""
    took: float = 0  # seconds from what happened to the planned switch
    ends: tuple = ()  # of the caller and of the callee: what each has heard

    @property
    def name(self):
        return f"{self.title}, {self.delay:g} ms"

    @property
    def hosts(self):
        return [pairs.host(self.letter + end) for end in "12"]

    @property
    def people(self):
        return [f"{self.letter}{end}at{self.delay:g}try{self.tries}" for end in "12"]


@dataclasses.dataclass
class End:
    """What one of both has heard."""
    lost: int
    late: int
    gap: int
    received: int
    changes: list
    listening: concurrent.futures.Future
    sound: dict | None = None


# ---- the lab ----

def enter(moves, **knobs):
    pairs.enter(" ".join(f"{move.letter}1={move.networks[0]} {move.letter}2={move.networks[1]}" for move in moves), relays=2, **knobs)
    if lab.coturn():
        lab.skip("turnserver knows nothing of the native protocol")
    relays = []
    for number in 1, 2:
        relay = pairs.relay(number)
        relays.append((relay.address4, json.loads(relay.ctl("-j", "status").stdout)["registration"]["relay_key"]))
    for name, one, other in ("first", 0, None), ("second", 1, None), ("second and first", 1, 0):
        CARDS[name] = ["--relay", relays[one][0], "--relay-key", relays[one][1]]
        if other is not None:
            CARDS[name] += ["--second-relay", relays[other][0], "--second-relay-key", relays[other][1]]
    subprocess.run(["espeak-ng", "-v", "en", "-s", "170", "-g", "0", "-w", calls.path("said.wav"), TEXT], check=True, timeout=60,
                   stdin=subprocess.DEVNULL)


# ---- one call ----

class Call:
    def __init__(self, move):
        self.move, people = move, move.people
        for name, host in zip(people, move.hosts):
            calls.PLACES[name] = host.name
            made = calls.Run(name, "id", *CARDS[move.card])
            lab.expect("exit of id", made.wait(10), 0)
            made.close()
            calls.CARDS[name] = made.events[0]["contact"]
        for name, other in zip(people, people[::-1]):
            book = pathlib.Path(calls.path(name + ".id.contacts"))
            book.touch(0o600)
            book.write_text(f"other = {calls.CARDS[other]}\n")
        said, heard = calls.path("said.wav"), [calls.path(name + ".wav") for name in people]
        self.answering = calls.Run(people[1], "answer", "--auto", "--once", "--in", said, "--out", heard[1])
        for number in range(2 if "--second-relay" in CARDS[move.card] else 1):
            self.answering.event("registered", number + 1)
        self.calling = calls.Run(people[0], "call", "other", "--in", said, "--out", heard[0])
        self.both = self.calling, self.answering

    def paths(self):
        """The ones that both send voice on now, and for how many seconds they have."""
        found = []
        for run in self.both:
            assert run.process.poll() is None, f"it ended: {run.events[-3:]} {run.errors()}"
            events = list(run.events)
            last = max((n for n, event in enumerate(events) if event.get("event") == "path"), default=-1)
            found.append((events[last]["now"] if last >= 0 else "none", sum(event.get("event") == "status" for event in events[last + 1:])))
        return found

    def settle(self, path, seconds):
        """Until both are on that path, and have been for up to a second."""
        with self.told():
            lab.wait_for(lambda: all(now == path and since >= 1 for now, since in self.paths()), seconds, f"{path} at both ends")

    def wait_for_path(self, path, seconds):
        with self.told():
            lab.wait_for(lambda: all(now == path for now, _ in self.paths()), seconds, f"{path} at both ends")

    def wait_for_better(self, seconds):
        with self.told():
            lab.wait_for(lambda: self.paths() and all(any(event.get("why") == "better" for event in list(run.events)) for run in self.both),
                         seconds, "a planned switch at both ends")

    def talk(self, seconds):
        """So long from now on both."""
        seen = [sum(event.get("event") == "status" for event in list(run.events)) for run in self.both]
        for run, number in zip(self.both, seen):
            run.event("status", number + seconds, seconds + 5)

    @contextlib.contextmanager
    def told(self):
        """What the paths were, to whoever waits in vain."""
        try:
            yield
        except AssertionError as error:
            raise AssertionError(f"{error}; {[[e for e in run.events if e.get('event') == 'path'] for run in self.both]}") from error

    def hang_up(self):
        self.calling.interrupt()
        lab.expect("exit of call", self.calling.wait(10), 0)
        lab.expect("exit of answer", self.answering.wait(10), 0)

    def close(self):
        for run in self.both:
            run.close()

    def ends(self):
        for run, name in zip(self.both, self.move.people):
            record = run.record()
            voice = record["voice"]
            lab.expect("rejected", record["rejected"], 0)
            yield End(voice["lost"], voice["late"], voice["longest_gap_ms"], voice["received"],
                      [f"{change['why']} ({' and '.join(change['now'])})" for change in record["changes"]],
                      LISTENERS.submit(compared, name))


def begin(move):
    """A call that has been on its path for some time."""
    move.tries += 1
    call = Call(move)
    try:
        call.settle(move.path, 20)
        return call
    except BaseException:
        call.close()
        raise


def go_on(move, call):
    since = time.monotonic()
    if move.planned:
        call.wait_for_better(25)
        move.took = time.monotonic() - since
    call.talk(AFTER)
    if move.after != "any":
        call.wait_for_path(move.after or move.path, 10)
    call.hang_up()
    move.ends = tuple(call.ends())


@contextlib.contextmanager
def failing(*moves):
    """What goes wrong is theirs, and the others go on."""
    try:
        yield
    except Exception as error:
        for move in moves:
            move.failure = move.failure or f"{type(error).__name__}: {error}"


def run_group(moves, happens):
    """Calls to which one and the same thing happens, as soon as all of them go on."""
    begun = {}

    def start(move):
        with failing(move):
            if move.prepare:
                move.prepare(*move.hosts)
            begun[move.letter] = begin(move)

    def end(move):
        with failing(move):
            go_on(move, begun[move.letter])
    for move in moves:
        move.failure = ""
    with concurrent.futures.ThreadPoolExecutor(len(moves)) as pool:
        list(pool.map(start, moves))
        alive = [move for move in moves if not move.failure]
        with failing(*alive):
            if alive:
                happens(*moves[0].hosts)
        list(pool.map(end, alive))
    for call in begun.values():
        call.close()
    for move in moves:
        if move.undo:
            with failing(move):
                move.undo(*move.hosts)


def run(moves):
    """Each with what happens to it, several at a time."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda move: run_group([move], move.happens), moves))


# ---- what was heard ----

def compared(name):
    """What compare_speech.py says of what was said and what `name` has heard; while other calls go on, so with what time they leave."""
    done = subprocess.run(["nice", "-n", "5", sys.executable, str(lab.ROOT / "tests/system/compare_speech.py"), "-j",
                           calls.path("said.wav"), calls.path(name + ".wav")], text=True, capture_output=True, check=False, timeout=200)
    return json.loads(done.stdout) if done.stdout else {"same": False, "why": done.stderr}


def judge(move):
    """Once its call has been made."""
    if move.failure:
        return
    for end in move.ends:
        end.sound = end.listening.result()
    late, bound = [], move.bound(move.delay)
    in_sound = bound * 4 / 3 + 60  # where it ends in a hiss or a pause, it is taken for longer
    for name, end in zip(("the caller", "the callee"), move.ends):
        if not end.sound["same"]:
            late.append(f"{name} heard something else than what was said: {end.sound}")
        if end.gap > bound:
            late.append(f"{name} heard nothing for {end.gap} ms (lost {end.lost}, late {end.late}), expected at most {bound:g}")
        elif end.sound["longest_gap_ms"] > in_sound:
            late.append(f"a gap of {end.sound['longest_gap_ms']} ms in what {name} heard, expected at most {in_sound:g}")
        if move.lost is not None and end.lost > move.lost:
            late.append(f"{name} has lost {end.lost} frames, expected at most {move.lost}")
    move.late_by = "; ".join(late)


def told(move):
    """A line."""
    if move.failure:
        return f"  {move.name}: FAILED: {move.failure}"
    ends = "; ".join(f"{name} {end.gap} ms, in the sound {end.sound['longest_gap_ms']} ms, lost {end.lost}, late {end.late}, "
                     f"SNR {end.sound['snr_db']} dB: {', '.join(end.changes)}" for name, end in zip(("caller", "callee"), move.ends))
    return f"  {move.name}{f', after {move.took:.1f} s' if move.planned else ''}: {ends}"
