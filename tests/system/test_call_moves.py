#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# limit: 400
"""A call goes on when the network changes in its middle: a better path is taken without a frame lost and without a gap of more than
20 ms; a path that is cut, a NAT that forgets, an address that changes cost at most 300 ms, the death of the relay 1 s, and that its
control plane is killed nothing. At 0, 25 and 75 ms a wire, and at 75 ms from end to end; with 75 ms a wire a round trip alone takes
300 ms, and the bound is what `found_out` says.

Several calls at a time, each of its own two hosts. Who misses only a time, on a busy machine, is tried again alone, three times at
most; how often that was is printed.
"""
import threading

import call_moves
import lab
import pairs
from call_moves import Move

SLOWER = 60  # ms, one way: the first access of who finds a better path


def found_out(delay):
    """300 ms; or, where the ends are far apart, what nobody can avoid who sends each frame once: 60 ms of silence, or three
    frames, until it is noticed, a round trip (the other one is told, and what it sends then arrives), and 40 ms for the raster of
    frames on both sides."""
    return max(300, 60 + 4 * delay + 40)


def planned(_):
    return 20


def dead(_):
    return 1000


def nft(space, text):
    done = lab.run_in(space, "nft", "-f", "-", input=text)
    lab.expect(f"nft in {space}: {done.stderr}", done.returncode, 0)


RELAYS_ALONE = 'oifname "wan" ip daddr != { 11.0.0.1, 11.0.9.1 } meta l4proto udp drop'


def unblock(one, _):
    """The router does not care any more where UDP goes."""
    space = one.routers[0]
    rules = lab.run_in(space, "nft", "-a", "list", "chain", "ip", "fw", "forward_f").stdout
    for line in rules.splitlines():
        if "ip daddr" in line and "drop" in line:
            nft(space, f"delete rule ip fw forward_f handle {line.rsplit(' ', 1)[1]}\n")


def block(one, other):
    unblock(one, other)
    nft(one.routers[0], f"insert rule ip fw forward_f {RELAYS_ALONE}\n")


def cut(*ways):
    """Nothing gets from the one to the other by the direct path, without a word of the network."""
    def happens(one, other):
        ends = {">": (one, other), "<": (other, one)}
        rules = "".join(f"ip saddr {ends[way][0].outside4} ip daddr {ends[way][1].outside4} drop\n" for way in ways)
        nft("core", f"table ip cut{one.name} {{ chain f {{ type filter hook forward priority filter;\n{rules}}}\n}}\n")
    return happens


def mend(one, _):
    nft("core", f"table ip cut{one.name} {{ }}\ndelete table ip cut{one.name}\n")


def faster(one, _):
    if not one.up[1]:
        one.restore(1)


def slow(one, other):
    pairs.wire().set(one.uplinks[0]["wire"], delay=2 * DELAY[0] + SLOWER)
    one.down(1)


def at_once(*orders):
    threads = [threading.Thread(target=order) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def move_both(one, other, to=1):
    at_once(lambda: one.move(to), lambda: other.move(to))


def rebind_both(one, other):
    at_once(one.rebind, other.rebind)


SYMMETRIC = ("symmetric", "symmetric")
MOVES = [
    Move("a", "UDP to others is let through: planned switch from the relay", ("udp-blocked", "cone"), "relay", unblock, planned, lost=0,
         planned=True, after="direct", undo=block),
    Move("b", "a faster access comes up: planned switch from one direct path to another", ("cone+v6", "cone/v6"), "direct", faster,
         planned, lost=0, planned=True, prepare=slow, undo=faster),
    Move("c", "the direct path is cut", ("cone", "cone"), "direct", cut(">", "<"), found_out, after="relay", undo=mend),
    Move("d", "the direct path is cut in one direction", ("cone", "eim"), "direct", cut(">"), found_out, after="any", undo=mend),
    Move("e", "the caller's NAT forgets", ("cone", "cone"), "direct", lambda one, _: one.rebind(), found_out, after="any"),
    Move("f", "both NATs forget", ("eim", "cone"), "direct", rebind_both, found_out, after="any"),
    Move("g", "the caller goes to another access", ("cone+cone", "cone"), "direct", lambda one, _: one.move(1), found_out, after="any",
         undo=lambda one, _: one.move(0)),
    Move("h", "the callee goes to another access", ("cone", "cone+eim"), "direct", lambda _, other: other.move(1), found_out, after="any",
         undo=lambda _, other: other.move(0)),
    Move("i", "both go to another access", ("cone+eim", "cone+cone"), "direct", move_both, found_out, after="any",
         undo=lambda one, other: move_both(one, other, 0)),
    Move("j", "the caller goes to another access, on the relay", ("symmetric+symmetric", "symmetric"), "relay", lambda one, _: one.move(1),
         found_out, undo=lambda one, _: one.move(0)),
    Move("k", "the callee's NAT forgets, on the relay", SYMMETRIC, "relay", lambda _, other: other.rebind(), found_out),
]
# The second relay is theirs alone, so that nobody else suffers.
KILLED = [Move("l", "the relay's control plane is killed, on the relay", SYMMETRIC, "relay", None, planned, lost=0, card="second"),
          Move("m", "the relay's control plane is killed, direct", ("cone", "cone"), "direct", None, planned, lost=0, card="second")]
DEATH = [Move("n", "the relay dies, on the relay", SYMMETRIC, "relay", None, dead, after="second relay", card="second and first"),
         Move("o", "the relay dies, direct", ("cone", "cone"), "direct", None, planned, lost=0, card="second and first")]
ALL = MOVES + KILLED + DEATH
DELAY = [0]
REPETITIONS = []
call_moves.enter(ALL)


def restart(*_):
    pairs.relay(2).stop_controlplane()
    pairs.relay(2).start_controlplane()


def die(*_):
    """To those who call it is dead from now on. The processes are killed when nobody measures any more (`bury`): the kernel is busy for
    a tenth of a second with what such a process leaves, and so is a core with the start of another."""
    pairs.relay(2).silence()


def bury():
    pairs.relay(2).kill()
    pairs.relay(2).start()


def relays():
    """What happens to the second relay, one after the other."""
    call_moves.run_group(KILLED, restart)
    call_moves.run_group(DEATH, die)


def again(move):
    """Alone."""
    if move in DEATH:
        call_moves.run_group([move], die)
        bury()
    else:
        call_moves.run_group([move], restart if move in KILLED else move.happens)
    call_moves.judge(move)


for each in 0, 25, 37.5, 75:
    @lab.check(f"{each:g} ms a wire, {2 * each:g} from end to end")
    def moves(delay=each):
        DELAY[0] = delay
        pairs.delay(delay)
        for move in ALL:
            move.delay, move.tries, move.failure = delay, 0, "it was not made"
        at_once(relays, lambda: call_moves.run(MOVES))
        bury()
        for move in ALL:
            call_moves.judge(move)
            while not move.failure and move.late_by and move.tries < call_moves.TRIES:
                print(f"again, alone: {move.name}: {move.late_by}", flush=True)
                REPETITIONS.append(move)
                again(move)
        print("\n".join(map(call_moves.told, ALL)), flush=True)
        wrong = [f"{move.name}: {move.failure or move.late_by}" for move in ALL if move.failure or move.late_by]
        if wrong:
            raise AssertionError("\n".join([f"{len(wrong)} of {len(ALL)}", *wrong]))


@lab.check("how often")
def repetitions():
    print(f"{len(REPETITIONS)} calls were tried again because of a time")


lab.run_checks()
