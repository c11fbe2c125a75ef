#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, rows "predictable ports" and "port and quota leaks": a pool of 32 ports is filled, drained and filled
again, with reservations and at random; what was given comes back, and where the next one will be is not told.

    clients 11.0.2.1 ... .254 == Allocate, Refresh 0 ==> relay (relayed ports 50000-50031)
"""
# light
import random

import lab
from lab import check, expect
from turn_client import *  # noqa: F403

lab.enter(relay_ports="50000-50031", listen="v4", turn_lines="quota = 0\nprefix-quota = 0\nuser = small:secret",
          coturn_lines="user=small:secret")
PORTS, FIRST = 32, 50000


def client(number):
    return lab.client(address=f"11.0.2.{number % 250 + 1}")


def take_all(*attributes):
    """Allocates until 508; returns those who got a port."""
    out = []
    while True:
        one = client(len(out))
        code = one.allocate(*attributes).code
        if code:
            expect("when there are none left", code, 508)
            return out
        out.append(one)
        assert len(out) <= PORTS, "more allocations than ports"


def give_back(clients):
    for one in clients:
        expect("Refresh 0", one.refresh(0).code, 0)


@check("conservation: every port can be taken, once; 508 then; all of them again, several times",
       coturn="frees after a while")
def _():
    for _ in range(3):
        clients = take_all()
        expect("ports", sorted(c.relayed[0][1] for c in clients), list(range(FIRST, FIRST + PORTS)))
        give_back(clients)


@check("conservation: one given back is the one that can be taken", coturn="frees after a while")
def _():
    clients = take_all()
    for _ in range(10):
        index = random.randrange(len(clients))
        port = clients[index].relayed[0][1]
        give_back([clients[index]])
        clients[index] = client(index)
        expect("Allocate", clients[index].allocate().code, 0)
        expect("port", clients[index].relayed[0][1], port)
    give_back(clients)


@check("conservation: EVEN-PORT with reservations fills the range with pairs; siblings go to the tokens",
       coturn="frees after a while")
def _():
    firsts, tokens = [], []
    for number in range(PORTS // 2):
        one = client(number)
        response = one.allocate((EVEN_PORT, b"\x80"))
        expect(f"pair {number}", response.code, 0)
        firsts.append(one)
        tokens.append(response.get(RESERVATION_TOKEN))
    expect("one more", client(99).allocate().code, 508)
    seconds = []
    for number, token in enumerate(tokens):
        seconds.append(client(100 + number))
        expect("token", seconds[-1].allocate((RESERVATION_TOKEN, token)).code, 0)
        expect("port", seconds[-1].relayed[0][1], firsts[number].relayed[0][1] + 1)
    give_back(firsts + seconds)
    give_back(take_all())


# limit of a reservation: 30 s (RFC 8656 7.2), here 31 seconds of waiting for a condition
@check("conservation: a reservation nobody claims ends by itself and its port returns", coturn="frees after a while")
def _():
    one = client(0)
    expect("EVEN-PORT", one.allocate((EVEN_PORT, b"\x80")).code, 0)
    rest = take_all()
    expect("taken beside the pair", len(rest), PORTS - 2)
    last = client(77)
    lab.wait_for(lambda: last.allocate().code == 0, 60, "the reservation to end")
    expect("port", last.relayed[0][1], one.relayed[0][1] + 1)
    give_back([one, last, *rest])


@check("conservation: after random allocating and giving back, with pairs and repeated requests, all are there again",
       coturn="frees after a while")
def _():
    dice, live, serial = random.Random(20), [], 0
    for _ in range(400):
        if live and dice.random() < 0.45:
            give_back([live.pop(dice.randrange(len(live)))])
            continue
        serial += 1
        one = client(serial)
        response = one.allocate(*([(EVEN_PORT, b"\0")] if dice.random() < 0.3 else []))
        expect("Allocate", response.code, {0, 508})
        if response.code == 0:
            live.append(one)
            if dice.random() < 0.2:
                expect("once more", one.allocate().code, 437)
        ports = [c.relayed[0][1] for c in live]
        expect("ports given twice", len(ports) - len(set(ports)), 0)
    give_back(live)
    clients = take_all()
    expect("ports", len(clients), PORTS)
    give_back(clients)
    if not lab.coturn():
        lab.wait_for(lambda: lab.status()["relay_ports_free"] == PORTS, 5, "relayctl to say that all are free")


@check("predictable ports: the order in which ports are given has no pattern a guess could use", coturn="frees after a while")
def _():
    orders = []
    for _ in range(4):
        clients = take_all()
        orders.append([c.relayed[0][1] for c in clients])
        give_back(clients)
    for order in orders:
        steps = [b - a for a, b in zip(order, order[1:])]
        # 31 random steps: the chance that a single one occurs 12 times is far below 1e-6.
        common = max(steps.count(step) for step in set(steps))
        assert common < 12, f"one step {common} times in {order}"
    expect("different orders", len({tuple(order) for order in orders}), 4)


lab.run_checks()
