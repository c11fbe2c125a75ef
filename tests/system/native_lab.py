# SPDX-License-Identifier: BSD-3-Clause
"""Clients of the native protocol in the lab's namespaces, and what the relay counts of them."""
import json
import os
import pathlib
import re

import lab
import native

MADE = []  # made by device() and not yet released


def device(where="client", address=None, server=None, owner=None, port=0):
    """A client in that namespace; by default on its IPv4 address. The server's family follows the address."""
    if server is None:
        server = os.environ["RELAY6" if address and ":" in address else "RELAY4"]
    if address is None:
        address = os.environ[where.upper() + ("6" if ":" in server else "4")]
    made = native.Client(lab.udp(where, address, port), (server, 3478), owner)
    MADE.append(made)
    return made


def registered(where="client", address=None, **how):
    """The same with a lease."""
    made = device(where, address, **{name: how.pop(name) for name in ("server", "owner", "port") if name in how})
    answer = made.register(**how)
    lab.expect("REGISTER", kind_of(answer), "REGISTERED")
    return made


def release():
    """Ends and withdraws what was made."""
    while MADE:
        one = MADE.pop()
        try:
            for handle in one.handles:
                one.send_raw(handle.close())
            if one.registered is not None and one.sock.fileno() >= 0:
                one.withdraw()
        except (native.Silence, OSError, ValueError):
            pass
        one.close()


lab.AFTER_CHECK.append(release)


def kind_of(message):
    """REGISTERED, or REFUSED and why."""
    if message is None:
        return None
    name = native.NAMES.get(message.kind, message.kind)
    return (name, message.reason) if message.kind == native.REFUSED else name


def refused(reason):
    return "REFUSED", reason


def counted(kind="events"):
    """`relayctl stats`, all workers together: events, drops, or registration."""
    stats = json.loads(lab.relayctl("-j", "stats").stdout)
    if kind in stats:
        return stats[kind]
    out = {}
    for part in [*stats["workers"], stats["system"]]:
        for name, value in part[kind].items():
            out[name] = out.get(name, 0) + value
    return out


def registration():
    """What `relayctl status` says of it: leases, handles, difficulty..."""
    return lab.status()["registration"]


def leases():
    return registration()["leases"]


def handles():
    return registration()["handles"]


def configure(**keys):
    """Changes [registration] (new_leases=1) in the running relay."""
    path = pathlib.Path(os.environ["LAB_CONFIG"])
    text = path.read_text()
    for name, value in keys.items():
        line = f"{name.replace('_', '-')} = {value}"
        text, found = re.subn(rf"^{name.replace('_', '-')} = .*$", line, text, flags=re.M)
        assert found == 1, f"{name}: in the configuration {found} times"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    done = lab.relayctl("reload")
    lab.expect(f"relayctl reload ({done.stdout}{done.stderr})", done.returncode, 0)


def settle(*devices):
    """Each asks the relay something: when that is answered, what the relay sent to it before has arrived."""
    for one in devices:
        one.exchange(lambda number: native.build(native.SOLICIT, number))


def reaches(sender, address, *receivers, hops=8):
    """Sends by address; for each receiver, how often it arrived."""
    payload = os.urandom(16)
    sender.solicit()
    sender.send_to(address, payload, hops)
    settle(sender, *receivers)
    return [take(one, payload) for one in receivers]


def take(receiver, payload):
    """How many times the payload is in the inbox, by address or by handle."""
    there = [m for m in receiver.inbox if m.get("payload") == payload]
    receiver.inbox = [m for m in receiver.inbox if m.get("payload") != payload]
    return len(there)


def arrived(receiver, payload, seconds=3.0):
    """The message that brings this payload, by address or by handle; None when it does not come."""
    return receiver.receive(lambda m: m.get("payload") == payload, seconds)
