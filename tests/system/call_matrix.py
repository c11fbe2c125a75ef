# SPDX-License-Identifier: BSD-3-Clause
"""Calls between every kind of network and every other, in one lab, several at a time; test_call_matrix.py holds them to what
theory says, `make matrix` prints and keeps all of it.

    caller's host a0..a9 == its NAT == core, relay == NAT == callee's host b0..b9

Each cell is a call of its own people: relaycall answer --once --auto, and relaycall call, both sending a tone, fifty frames a
second. Its record (--stats) has both sides' times on the machine's monotonic clock.
"""
import dataclasses
import pathlib
import statistics
import threading
import time

import calls
import lab
import pairs

RELAY_AFTER = 800
SLACK = 40  # ms: for two processes, a wire program and a relay to be scheduled
AT_ONCE = 12
TRIES = 4

# ---- the networks, and what theory says ----

EI, AD, APD = "endpoint-independent", "address-dependent", "address- and port-dependent"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A network: its name in the table and in the lab; mapping and filtering per family, in RFC 4787's terms, towards
    other endpoints (None: nothing gets through)."""
    name: str
    network: str
    v4: tuple | None = None
    v6: tuple | None = None


KINDS = (
    Kind("none", "none", (EI, EI)),
    Kind("full cone", "full-cone", (EI, EI)),
    Kind("address-restricted", "address-restricted", (EI, AD)),
    Kind("port-restricted", "cone", (EI, APD)),
    Kind("other ports", "eim", (EI, APD)),
    Kind("symmetric", "symmetric", (APD, APD)),
    Kind("UDP blocked", "udp-blocked"),
    Kind("double NAT", "double-nat", (EI, APD)),
    Kind("IPv6 only", "v6", None, (EI, APD)),
    Kind("symmetric + IPv6", "symmetric/v6", (APD, APD), (EI, APD)),
)


def reaches(one, other):
    """Whether a datagram of `one` ever comes in at `other`, both being (mapping, filtering) of one family.

    Each sends to the address that the relay sees of the other. That is right only where the other's mapping does not depend
    on the destination. It gets in if the other lets in everybody, or whom it has sent to: it has sent to one's address, but to
    one's port only if that is the one the relay sees as well."""
    if other[0] != EI:
        return False
    return other[1] != APD or one[0] == EI


def theory(caller, callee):
    """"direct" or "relay". One direction is enough: the first datagram that comes in shows where it is from, and the answer
    goes through the hole that it has made."""
    for one, other in (caller.v4, callee.v4), (caller.v6, callee.v6):
        if one and other and (reaches(one, other) or reaches(other, one)):
            return "direct"
    return "relay"


def behaviour(kind):
    """Kinds of equal behaviour are one class."""
    return kind.v4, kind.v6


def class_pairs():
    """One pair of kinds, in one of both directions, for each pair of classes. Both ends behind one kind stand for both ends
    in one class."""
    chosen, turn = {}, False
    for caller in KINDS:
        for callee in KINDS:
            key = frozenset((behaviour(caller), behaviour(callee)))
            if key not in chosen:
                chosen[key] = (caller, callee) if turn else (callee, caller)
                turn = not turn
    return list(chosen.values())


def all_pairs():
    return [(caller, callee) for caller in KINDS for callee in KINDS]


# ---- the lab ----

def enter(**knobs):
    """Returns inside a lab with a host of each kind on both sides."""
    pairs.enter(" ".join(f"a{n}={kind.network} b{n}={kind.network}" for n, kind in enumerate(KINDS)), **knobs)
    if lab.coturn():
        lab.skip("turnserver knows nothing of the native protocol")
    key = lab.status()["registration"]["relay_key"]
    CARD[:] = ["--relay", lab.RELAY4, "--relay", lab.RELAY6, "--relay-key", key]


CARD = []


# ---- one cell ----

@dataclasses.dataclass
class Cell:
    caller: Kind
    callee: Kind
    delay: int  # ms, one way, of each access wire
    tries: int = 0
    path: str = ""  # at the end, of both: "direct", "relay", or whatever else it was
    direct_ms: tuple = ()  # caller's and callee's first frame on a direct path, after the callee's answer
    relay_sent_ms: tuple = ()  # first frame on the relay's leg of each, after its own answer
    relay_heard_ms: tuple = ()  # first frame from the relay's leg, after the other's answer
    lost: int = 0  # frames of voice, both directions
    late: int = 0
    changes: list = ()
    sent: int = 0
    failure: str = "it was not made"
    late_by: str = ""  # what was beyond its time

    @property
    def name(self):
        return f"{self.caller.name} calls {self.callee.name}, {self.delay} ms"

    @property
    def wanted(self):
        return theory(self.caller, self.callee)

    @property
    def direct_bound(self):
        return 1.5 * 4 * self.delay + SLACK

    @property
    def relay_bound(self):
        """Of the first frame that is heard: it leaves after 800 ms and goes from one end to the other."""
        return RELAY_AFTER + 2 * self.delay + SLACK

    def run(self):
        self.tries += 1
        self.failure = self.late_by = ""
        try:
            self.judge(*self.talk())
        except Exception as error:  # whatever it was, the others go on
            self.failure = f"{type(error).__name__}: {error}"

    def talk(self):
        """Both records."""
        who = f"{KINDS.index(self.caller)}to{KINDS.index(self.callee)}at{self.delay}try{self.tries}"
        caller, callee = "caller" + who, "callee" + who
        for name, host in (caller, f"a{KINDS.index(self.caller)}"), (callee, f"b{KINDS.index(self.callee)}"):
            calls.PLACES[name] = host
            made = calls.Run(name, "id", *CARD)
            lab.expect("exit of id", made.wait(10), 0)
            made.close()
            calls.CARDS[name] = made.events[0]["contact"]
        for name, other in (caller, callee), (callee, caller):
            book = pathlib.Path(calls.path(name + ".id.contacts"))
            book.touch(0o600)
            book.write_text(f"other = {calls.CARDS[other]}\n")
        sound = "--in", "tone", "--out", "none"
        answering = calls.answer(callee, "--once", *sound)
        calling = calls.Run(caller, "call", "other", *sound, "--duration", 1 if self.wanted == "direct" else 2)
        try:
            lab.expect("exit of call", calling.wait(20), 0)
            lab.expect("exit of answer", answering.wait(10), 0)
            return calling.record(), answering.record()
        except AssertionError as error:
            raise AssertionError(f"{error} {calling.events} {calling.errors()} {answering.events} {answering.errors()}") from error
        finally:
            calling.close()
            answering.close()

    def judge(self, caller, callee):
        both = caller, callee

        def at(record, what):
            return None if record["ms"][what] is None else record["start_monotonic_ms"] + record["ms"][what]

        def after(moment, since):
            return None if moment is None else moment - since

        answer = [at(record, "answered") for record in both]
        self.direct_ms = tuple(after(at(record, "sent_direct"), answer[1]) for record in both)
        self.relay_sent_ms = tuple(after(at(record, "sent_relay"), own) for record, own in zip(both, answer))
        self.relay_heard_ms = tuple(after(at(record, "heard_relay"), other) for record, other in zip(both, answer[::-1]))
        self.lost = sum(record["voice"]["lost"] for record in both)
        self.late = sum(record["voice"]["late"] for record in both)
        self.sent = sum(record["voice"]["sent"] for record in both)
        last = [record["changes"][-1]["now"] if record["changes"] else [] for record in both]
        # On all of them at once, because a busy machine has made a pause: that is a matter of time.
        kinds = ["direct" if "direct" in now else " ".join(now) or "none" for now in last]
        self.path = kinds[0] if kinds[0] == kinds[1] else f"{kinds[0]} one way, {kinds[1]} back"
        self.changes = [[change["why"] for change in record["changes"]] for record in both]
        lab.expect("path", self.path, self.wanted)
        lab.expect("frames lost", self.lost, 0)
        lab.expect("rejected or replayed", [(record["rejected"], record["replays"]) for record in both], [(0, 0)] * 2)
        lab.expect("an end heard nothing", [record["voice"]["received"] > 0 for record in both], [True, True])
        self.late_by = "; ".join(self.beyond())

    def beyond(self):
        """The times that are not what they should be."""
        whys = {why for changes in self.changes for why in changes[1:]}
        if whys - {"both", "silent"}:
            yield f"changes of path: {self.changes}"
        if self.wanted == "direct":
            if None in self.direct_ms or max(self.direct_ms) > self.direct_bound:
                yield f"direct after {self.direct_ms} ms, expected at most {self.direct_bound:.0f}"
            return
        if None in self.relay_sent_ms or not all(RELAY_AFTER <= ms <= RELAY_AFTER + SLACK for ms in self.relay_sent_ms):
            yield f"on the relay {self.relay_sent_ms} ms after the answer, expected {RELAY_AFTER}"
        # What the caller hears is counted from the callee's answer, and the other way round.
        if None in self.relay_heard_ms or max(self.relay_heard_ms) > self.relay_bound:
            yield f"heard from the relay after {self.relay_heard_ms} ms, expected at most {self.relay_bound:.0f}"

    def took(self):
        """What stands in the table: the later end's first frame on a direct path, or from the relay's leg."""
        times = self.direct_ms if self.path == "direct" else self.relay_heard_ms
        return None if not times or None in times else max(times)


def run(cells, at_once=AT_ONCE, report=print):
    """Runs them, by delay; those that miss only a time again, alone. Returns how many repetitions that were."""
    repetitions = 0
    for delay in dict.fromkeys(cell.delay for cell in cells):
        pairs.delay(delay)
        todo = [cell for cell in cells if cell.delay == delay]
        # Long ones first, and no two of a row at once.
        queue = sorted(todo, key=lambda cell: (cell.wanted == "direct", (KINDS.index(cell.callee) - KINDS.index(cell.caller)) % len(KINDS)))
        lock = threading.Lock()

        def work(queue=queue, lock=lock):
            while True:
                with lock:
                    if not queue:
                        return
                    cell = queue.pop(0)
                cell.run()
        workers = [threading.Thread(target=work) for _ in range(at_once)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for cell in todo:
            while not cell.failure and cell.late_by and cell.tries < TRIES:
                report(f"again, alone: {cell.name}: {cell.late_by}")
                repetitions += 1
                cell.run()
    return repetitions


# ---- what is said of them ----

def shown(cell):
    if cell.failure:
        return "FAILED"
    took = cell.took()
    return f"{'D' if cell.path == 'direct' else 'R'} {'?' if took is None else took}{'!' if cell.late_by else ''}"


def table(cells):
    """Lines of Markdown: callers down, callees across."""
    by_pair = {(cell.caller, cell.callee): cell for cell in cells}
    lines = ["| caller \\ callee | " + " | ".join(kind.name for kind in KINDS) + " |", "|---|" + "--:|" * len(KINDS)]
    for caller in KINDS:
        row = [by_pair.get((caller, callee)) for callee in KINDS]
        if any(row):
            lines.append(f"| {caller.name} | " + " | ".join("" if cell is None else shown(cell) for cell in row) + " |")
    return lines


def summary(cells):
    """A line for each delay."""
    lines = []
    for delay in dict.fromkeys(cell.delay for cell in cells):
        here = [cell for cell in cells if cell.delay == delay]
        direct = sorted(cell.took() for cell in here if cell.path == "direct" and cell.took() is not None)
        relay = sorted(cell.took() for cell in here if cell.path == "relay" and cell.took() is not None)
        parts = [f"{delay} ms a wire: {len(direct)} direct"]
        if direct:
            parts.append(f"first frame after {statistics.median(direct):.0f} ms, at most {direct[-1]} (bound {here[0].direct_bound:.0f})")
        parts.append(f"{len(relay)} on the relay")
        if relay:
            parts.append(f"heard after {statistics.median(relay):.0f} ms, at most {relay[-1]} (bound {here[0].relay_bound:.0f})")
        parts.append(f"{sum(cell.lost for cell in here)} of {sum(cell.sent for cell in here)} frames lost, {sum(cell.late for cell in here)} late")
        lines.append(", ".join(parts))
    return lines
