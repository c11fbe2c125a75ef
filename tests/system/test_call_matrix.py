#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# limit: 300
"""Calls between every kind of network and every other take the path that mapping and filtering allow, directly within one and a
half round trips by the relay and 40 ms of the callee's answer, or by the relay with the first voice 800 ms and one way after it;
and no frame is lost. All pairs, in both directions, at 25 ms a wire; each pair of classes also at 0 and 75.

Who misses only a time, on a busy machine, is tried again alone; how often that was is printed. A path is never tried again.
"""
import call_matrix
import lab
from call_matrix import Cell

call_matrix.enter()
REPETITIONS = []


def hold(cells):
    REPETITIONS.append(call_matrix.run(cells))
    print("\n".join(call_matrix.table(cells) + call_matrix.summary(cells)), flush=True)
    wrong = [f"{cell.name}: {cell.failure or cell.late_by}" for cell in cells if cell.failure or cell.late_by]
    if wrong:
        raise AssertionError("\n".join([f"{len(wrong)} of {len(cells)} calls", *wrong]))


@lab.check("all pairs at 25 ms a wire")
def all_pairs():
    hold([Cell(caller, callee, 25) for caller, callee in call_matrix.all_pairs()])


for delay in 0, 75:
    @lab.check(f"each pair of classes at {delay} ms a wire")
    def class_pairs(delay=delay):
        hold([Cell(caller, callee, delay) for caller, callee in call_matrix.class_pairs()])


@lab.check("what theory says of the pairs that everybody knows")
def known():
    by_name = {kind.name: kind for kind in call_matrix.KINDS}
    for caller, callee, path in (("port-restricted", "port-restricted", "direct"), ("port-restricted", "symmetric", "relay"),
                                 ("address-restricted", "symmetric", "direct"), ("symmetric", "symmetric", "relay"),
                                 ("full cone", "symmetric", "direct"), ("none", "UDP blocked", "relay"), ("IPv6 only", "none", "relay"),
                                 ("IPv6 only", "symmetric + IPv6", "direct"), ("symmetric + IPv6", "other ports", "relay"),
                                 ("double NAT", "other ports", "direct")):
        for one, other in (caller, callee), (callee, caller):
            lab.expect(f"{one} calls {other}", call_matrix.theory(by_name[one], by_name[other]), path)
    print(f"{sum(REPETITIONS)} calls were tried again because of a time")


lab.run_checks()
