#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the shell of `make lab A=... B=...` does with its networks, for scripts as well: act.py VERB ARGUMENTS, inside the lab."""
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))
import pairs  # noqa: E402

USAGE = """  delay MS                      one way, of all access wires; between two hosts it counts twice
  set HOST [out|in] loss=5 jitter=10 duplicate=1 reorder=2,30 burst=1,10,100
                                percent and ms; burst: chance of its begin, of its end, losses within
  cut HOST | mend HOST          nothing passes its access wire, or everything again
  rebind HOST                   its router forgets all mappings; other ports from now on
  move HOST INDEX               a host with two uplinks: to that one (0, 1), from the other
  kill RELAY | start RELAY      relay 1 or 2 loses its power, or has it again
  show                          hosts, addresses, what their wires have seen"""


def show():
    for host in pairs.hosts():
        for index, uplink in enumerate(host.uplinks):
            addresses = " ".join(filter(None, (uplink["address4"], uplink["address6"])))
            state = "" if len(host.uplinks) == 1 else f" (uplink {index}{'' if host.up[index] else ', down'})"
            print(f"{host.name}: {uplink['type']}{state}, {addresses}, outside {uplink['outside4'] or 'the same'}")
            counts = pairs.wire().show(uplink["wire"])
            print("   ", "; ".join(f"{way}: {counts[way]['delivered']} packets, {counts[way]['lost']} lost" for way in ("out", "in")))


def set_wires(name, *words):
    for uplink in pairs.host(name).uplinks:
        pairs.wire().order(f"set {uplink['wire']} {' '.join(words)}")


VERBS = {
    "delay": lambda ms: pairs.delay(float(ms)),
    "set": set_wires,
    "cut": lambda name: pairs.host(name).cut(),
    "mend": lambda name: pairs.host(name).mend(),
    "rebind": lambda name: pairs.host(name).rebind(),
    "move": lambda name, index: pairs.host(name).move(int(index)),
    "kill": lambda number: pairs.relay(int(number)).kill(),
    "start": lambda number: pairs.relay(int(number)).start(),
    "show": show,
}


def main():
    verb, *arguments = sys.argv[1:] or ["help"]
    if verb not in VERBS:
        print(USAGE)
        return 0 if verb == "help" else 2
    if "LAB_DIR" not in os.environ or "LAB_NETWORKS" not in os.environ:
        print("act.py: expected to run inside a lab of networks: make lab A=cone B=symmetric", file=sys.stderr)
        return 1
    try:
        VERBS[verb](*arguments)
    except KeyError as error:
        print(f"{verb}: {error}: expected one of {' '.join(pairs.facts()['hosts'])}", file=sys.stderr)
    except (TypeError, ValueError, IndexError):
        print(f"{verb}: expected\n{USAGE}", file=sys.stderr)
    except (pairs.wire_control.Refused, AssertionError) as error:
        print(error, file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
