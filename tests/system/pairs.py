# SPDX-License-Identifier: BSD-3-Clause
"""Tests between hosts behind NATs of the lab (tests/lab/README.md): what a test does with hosts, wires, routers and relays.

    pairs.enter("a=cone b=symmetric+cone", delay=25, relays=2)     returns inside the lab, like lab.enter
    a, b = pairs.host("a"), pairs.host("b")
    call = a.popen("relaycall", ...);  a.rebind();  b.move(1);  a.set(loss=5);  a.cut();  pairs.relay(1).kill()
"""
import contextlib
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import lab

sys.path.insert(0, str(lab.ROOT / "tests/lab"))
import networks  # noqa: E402
import wire_control  # noqa: E402

KEPT = {}  # what was read or opened once


def enter(hosts, delay=0, relays=1, **knobs):
    """Returns inside a running lab with those hosts. hosts: "alice=cone bob=symmetric/v6 carol=@alice"; see `make lab A=help`.
    delay: ms, one way, of each access wire. knobs: those of lab.enter; seed=1 is the wires'."""
    networks.parse(hosts)
    knobs.setdefault("hugepages", "no" if relays > 1 else "auto")
    lab.enter(networks=hosts, delay=delay, relays=relays, **knobs)


def facts():
    if "facts" not in KEPT:
        KEPT["facts"] = json.loads(pathlib.Path(os.environ["LAB_DIR"], "networks.json").read_text())
    return KEPT["facts"]


def wire():
    if "wire" not in KEPT:
        KEPT["wire"] = wire_control.Wire(pathlib.Path(os.environ["LAB_DIR"], "wire.sock"))
    return KEPT["wire"]


def delay(ms):
    """One way, of every access wire, from now on: relay round trip 2 ms, host to host 2 ms one way, for each ms."""
    wire().set("all", delay=ms)


def host(name):
    if ("host", name) not in KEPT:
        KEPT["host", name] = Host(name)
    return KEPT["host", name]


def hosts():
    return [host(name) for name in facts()["hosts"]]


def _ok(done, what):
    if done.returncode:
        raise AssertionError(f"{what}: {done.stdout}{done.stderr}")
    return done.stdout


def _in(space, *command, text=""):
    """In the namespace alone, without the mounts of `ip netns exec`: a third of the time."""
    with lab.namespace(space):
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    return _ok(done, " ".join(command))


class Host:
    """A host and its uplinks. `uplinks`: dictionaries with type, interface, wire, routers (outermost first), outside4,
    address4, address6, gateway4, gateway6. Properties are of the preferred uplink that is up."""

    def __init__(self, name):
        self.name, self.uplinks = name, facts()["hosts"][name]
        # Another process may have moved it.
        self.up = [len(self.uplinks) == 1 or "state DOWN" not in _in(name, "ip", "link", "show", uplink["interface"])
                   for uplink in self.uplinks]

    @property
    def uplink(self):
        return self.uplinks[self.up.index(True)]

    def __getattr__(self, name):
        if name in ("address4", "address6", "outside4", "wire", "routers", "interface", "type"):
            return self.uplink[name]
        raise AttributeError(name)

    def udp(self, port=0, family=4):
        """A socket bound to its address."""
        return lab.udp(self.name, self.address4 if family == 4 else self.address6, port)

    def run(self, *command, **how):
        """The completed process."""
        return lab.run_in(self.name, *command, **how)

    def popen(self, *command, **how):
        """In the background; ends with the lab at the latest."""
        return subprocess.Popen(["ip", "netns", "exec", f"{lab.LAB_NAME}-{self.name}", *map(str, command)], **how)

    # ---- the access wire ----

    def set(self, way="", **qualities):
        """delay, jitter (ms), loss, duplicate (percent), reorder=(percent, ms), burst=(percent in, percent out, percent
        lost) of all its wires; way="out" or "in" for one direction."""
        for uplink in self.uplinks:
            wire().set(uplink["wire"], way, **qualities)

    def cut(self, way=""):
        """Nothing passes the wire of the uplink in use; the interface stays up."""
        wire().set(self.wire, way, cut=True)

    def mend(self):
        for uplink in self.uplinks:
            wire().set(uplink["wire"], cut=False)

    def seen_by_wire(self):
        """Counts of the wire of the uplink in use: out and in with put, lost, delivered..., nat."""
        return wire().show(self.wire)

    # ---- its NAT ----

    def forget(self, router=0):
        """The router forgets its sessions (0: the outermost). One that preserves ports or remembers them gives the same again."""
        _in(self.routers[router], "conntrack", "-F")

    def rebind(self, router=0):
        """The router forgets its sessions and what is sent next leaves from another port."""
        if not self.outside4 or (not self.routers and self.address4 == self.outside4):
            raise AssertionError(f"{self.name} has no NAT that could forget: its network is {self.type}")
        if not self.routers:
            wire().order(f"rebind {self.wire}")
            return
        space, outside = self.routers[router], self.outside4 if router == 0 else r"100\.64\.\S+"
        table = _in(space, "nft", "list", "table", "ip", "nat")
        flows = _in(space, "conntrack", "-L", "-p", "udp")
        inside = {}
        for line in flows.splitlines():
            found = re.search(rf"src=(\S+) dst=\S+ sport=(\d+) .* dst={outside} sport=\d+ dport=(\d+)", line)
            if found and found[1] != outside:
                inside[int(found[2])] = found[1], int(found[3])
        lines = []
        if "jhash" in table:  # the same hash gives the same port
            chain = re.sub(r"seed 0x(\w+)", lambda found: f"seed {int(found[1], 16) + 1:#x}", table[table.index("chain post"):])
            lines += ["flush chain ip nat post", *(f"add rule ip nat post {line.strip()}" for line in chain.splitlines()[2:-2])]
        if "map moved" in table:
            lines.append("flush map ip nat moved")
        for name, kind in ("fullcone", "map"), ("seen", "set"):
            if f"{kind} {name}" in table:
                lines.append(f"flush {kind} ip nat {name}")
        for port, (address, was) in inside.items():
            fresh = 20000 + (was + 1237) % 10000
            if "map moved" in table:
                lines.append(f"add element ip nat moved {{ {port} : {fresh} }}")
            if "map fullcone" in table:
                lines.append(f"add element ip nat fullcone {{ {fresh} timeout 300s : {address} . {port} }}")
        _in(space, "nft", "-f", "-", text="\n".join(lines) + "\n")
        _in(space, "conntrack", "-F")

    # ---- moving ----

    def down(self, index):
        """Wi-Fi is gone: no carrier, no address, no route."""
        self.up[index] = False
        interface = self.uplinks[index]["interface"]
        # In this order: without the address, and on a busy machine for a second still with the route, it would send into nowhere.
        _in(self.name, "ip", "-batch", "-", text=f"link set {interface} down\naddress flush dev {interface}\n")

    def restore(self, index):
        """The same address again."""
        one = self.uplinks[index]
        interface, lines, table = one["interface"], [f"link set {one['interface']} up"], one["metric"] + index
        for family, default, length in ("4", "default", 24), ("6", "::/0", 64):
            address, gateway = one["address" + family], one["gateway" + family]
            if address:
                way = f"{f'via {gateway} ' if gateway else ''}dev {interface}"
                lines += [f"address add {address}/{length} dev {interface}{' nodad' if family == '6' else ''}",
                          f"route add {default} {way} metric {one['metric']}", f"route add {default} {way} table {table}"]
        _in(self.name, "ip", "-batch", "-", text="\n".join(lines) + "\n")
        self.up[index] = True

    def renumber(self):
        """The network gives the preferred uplink another IPv4 address; sockets bound to the old one are of no use."""
        one, table = self.uplink, self.uplink["metric"] + self.uplinks.index(self.uplink)
        old = one["address4"]
        prefix, last = old.rsplit(".", 1)
        new, way = f"{prefix}.{int(last) % 100 + 100}", f"{'via ' + one['gateway4'] + ' ' if one['gateway4'] else ''}dev {one['interface']}"
        _in(self.name, "ip", "-batch", "-", text="\n".join((
            f"address del {old}/24 dev {one['interface']}", f"address add {new}/24 dev {one['interface']}",
            f"route replace default {way} metric {one['metric']}", f"rule del from {old} table {table}",
            f"route replace default {way} table {table}", f"rule add from {new} table {table}", "")))
        if one["outside4"] == old:
            one["outside4"] = new
        one["address4"] = new

    def move(self, index):
        """To that uplink, from all others: Wi-Fi to cellular and back."""
        if not self.up[index]:
            self.restore(index)
        for other in range(len(self.uplinks)):
            if other != index and self.up[other]:
                self.down(other)


# ---- relays ----

def relay(number=1):
    if ("relay", number) not in KEPT:
        KEPT["relay", number] = Relay(number)
    return KEPT["relay", number]


class Relay:
    """address4, address6; number 1 or 2."""

    def __init__(self, number):
        self.number, found = number, facts()["relays"][number - 1]
        self.space, self.interface, self.address4, self.address6 = (found[name] for name in ("name", "interface", "v4", "v6"))
        self.directory = pathlib.Path(os.environ["LAB_DIR"], "" if number == 1 else "relay2")

    def shell(self, function):
        """A function of lab.sh about this relay."""
        done = lab.shell(("lab_second_relay; " if self.number == 2 else "") + function)
        return _ok(done, function)

    def ctl(self, *arguments):
        return subprocess.run([os.environ["LAB_BIN"] + "/relayctl", "-s", str(self.directory / "run/control.sock"), *arguments],
                              text=True, capture_output=True, check=False, timeout=20)

    def stop_controlplane(self, how="KILL"):
        self.shell(f"lab_controlplane_stop {how}")

    def start_controlplane(self):
        self.shell("lab_controlplane_start")
        lab.wait_for(lambda: self.ctl("status").returncode == 0, 20, "the control plane")

    def kill(self):
        """As if the machine had lost its power: both daemons at once, and nothing answers any more."""
        self.silence()
        for name in "dataplane", "controlplane":
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int((self.directory / f"{name}.pid").read_text()), signal.SIGKILL)
        self.shell("lab_stop dataplane KILL; lab_stop controlplane KILL")

    def start(self):
        """Again, after kill: everything it knew is gone."""
        self.shell("rm -f $LAB_DIR/run/*.sock; lab_dataplane_start && lab_controlplane_start")
        self.hear()
        self.shell("lab_wait 20 'the relay to answer' lab_ready")

    def silence(self):
        """What is sent to it is lost; what it has sent arrives."""
        for address in self.address4, self.address6:
            _in("core", "ip", "route", "replace", "blackhole", address)

    def hear(self):
        for address in self.address4, self.address6:
            lab.run_in("core", "ip", "route", "del", "blackhole", address)


# ---- looking on ----

class Capture:
    """tcpdump until `stop`; `packets` are the frames' IP packets, from the beginning.
    where: "relay1", "relay2" (all that goes to and from a relay), or a host's name (its access wire, outside its NAT)."""

    def __init__(self, where, expression=""):
        interface = relay(int(where[-1])).interface if where in ("relay1", "relay2") else host(where).wire
        self.ethernet = where in ("relay1", "relay2")
        self.path = pathlib.Path(os.environ["LAB_DIR"], f"capture-{where}-{time.monotonic_ns()}.pcap")
        with lab.namespace("core"):
            self.process = subprocess.Popen(["tcpdump", "--immediate-mode", "-U", "-n", "-s", "0", "-Z", "root", "-i", interface,
                                             "-w", str(self.path), *expression.split()], stderr=subprocess.PIPE)
        # It says that it listens when it does.
        line = self.process.stderr.readline()
        while line and b"listening on" not in line:
            line = self.process.stderr.readline()
        if not line:
            raise AssertionError(f"tcpdump in the core on {interface} ended at once")

    def stop(self):
        """The path of the pcap file."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(10)
            self.process.stderr.close()
        return self.path

    def packets(self):
        """[(seconds, IP packet)] of what was captured, after stop."""
        data, at, out = self.stop().read_bytes(), 24, []
        while at + 16 <= len(data):
            seconds, fraction, size = (int.from_bytes(data[at + n:at + n + 4], sys.byteorder) for n in (0, 4, 8))
            out.append((seconds + fraction / 1e6, data[at + 16 + (14 if self.ethernet else 0):at + 16 + size]))
            at += 16 + size
        return out


def echo(number=1, port=0, family=4):
    """A socket in the core on one of 250 addresses that nobody else has: the rest of the Internet."""
    return lab.udp("core", f"11.0.8.{number}" if family == 4 else f"2a00:b10c:8::{number:x}", port)


def is_private(address):
    return ipaddress.ip_address(address).is_private
