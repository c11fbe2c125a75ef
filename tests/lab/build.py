#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes the networks of LAB_NETWORKS around one core, within a running scripts/lab (scripts/lab.d/lab.sh calls it).

    host u0 == lan router wan --wire-- NAME0 core to-relay == r0 relay == veth pair, --wire-- the wire program
    192.168.N.2    11.1.N.2      11.1.N.1   11.0.0.254  11.0.0.1               (second relay: 11.0.9.1, to-relay2)
                   2a00:b10c:1N::2                      2a00:b10c:1::1         N: number of the uplink, in hexadecimal

The core routes between the access wires and the relays and throws away what has a private destination. All is described in
$LAB_DIR/networks.json. Namespaces are named after the lab's process, as all of a lab's.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys

import networks
import wire_control

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
LAB, DIR = os.environ.get("LAB_NAME", ""), pathlib.Path(os.environ.get("LAB_DIR", "/nonexistent"))
PRIVATE = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 fc00::/7".split()
ECHOES = "11.0.8.0/24", "2a00:b10c:8::/64"  # every address of them may be bound in the core
RELAYS = (("relay", "to-relay", "11.0.0", "2a00:b10c:1"), ("relay2", "to-relay2", "11.0.9", "2a00:b10c:9"))


@contextlib.contextmanager
def inside(name):
    """This process is in that namespace; what it starts too."""
    with open("/proc/self/ns/net") as own, open(f"/run/netns/{LAB}-{name}") as there:
        if LIBC.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to {name}")
        try:
            yield
        finally:
            LIBC.setns(own.fileno(), CLONE_NEWNET)


def run(*command, text=""):
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"lab: {' '.join(command)}: {done.stderr or done.stdout}")


class Plan:
    """What is to be made, collected so that each namespace needs one run of each tool."""

    def __init__(self):
        self.spaces = {}  # namespace -> lines for ip -batch
        self.links = []  # (space, interface, space, interface)
        self.wires = []  # (name, space, interface, core's interface, model)
        self.rules, self.sysctl = {}, {}
        self.nat64 = {}  # namespace -> tayga's configuration
        self.rules6 = {}  # namespace -> `ip -6 rule`: a batch knows one family of rules

    def space(self, name, **sysctl):
        self.spaces.setdefault(name, [])
        self.sysctl.setdefault(name, {}).update(sysctl)
        return name

    def ip(self, space, *lines):
        self.spaces[space] += lines

    def link(self, space, interface, other, other_interface):
        self.links.append((space, interface, other, other_interface))
        self.ip(space, f"link set {interface} up")
        self.ip(other, f"link set {other_interface} up")

    def make(self):
        new = [name for name in self.spaces if not os.path.exists(f"/run/netns/{LAB}-{name}")]
        run("ip", "-batch", "-", text="".join(f"netns add {LAB}-{name}\n" for name in new))
        for name in self.spaces:
            with inside(name):
                self.set_sysctls(name)
        run("ip", "-batch", "-", text="".join(
            f"link add {a} netns {LAB}-{space} type veth peer name {b} netns {LAB}-{other}\n" for space, a, other, b in self.links))
        wire = wire_control.Wire(DIR / "wire.sock")
        wire.order(f"seed {os.environ.get('LAB_SEED', 1)}")
        for name, space, interface, core, model in self.wires:
            wire.order(f"join {name} {LAB}-{space} {interface} {LAB}-core {core}")
            if model:
                wire.order(f"nat {name} {model}")
        wire.set("all", delay=float(os.environ.get("LAB_DELAY", 0)))
        for name, lines in self.spaces.items():
            with inside(name):
                run("ip", "-batch", "-", text="".join(line + "\n" for line in lines))
                if name in self.rules6:
                    run("ip", "-6", "-batch", "-", text=self.rules6[name])
                if name in self.rules:
                    run("nft", "-f", "-", text=self.rules[name])
        for name, configuration in self.nat64.items():
            with inside(name):
                start_nat64(DIR / name, configuration)
        # Timers of conntrack exist once the rules have loaded it.
        for name, values in self.sysctl.items():
            with inside(name):
                for key, value in values.items():
                    pathlib.Path("/proc/sys", key).write_text(str(value))

    def set_sysctls(self, name):
        # accept_dad must be set before an interface exists to hold for it.
        for key in ("ipv6/conf/%s/accept_dad", "ipv6/conf/%s/accept_ra", "ipv6/conf/%s/router_solicitations", "ipv4/conf/%s/rp_filter"):
            for which in "all", "default":
                pathlib.Path("/proc/sys/net", key % which).write_text("0")
        # Where that module is loaded, a LAN's bridge would run a router's rules on what it forwards itself.
        for key in pathlib.Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
            key.write_text("0")
        self.spaces[name].insert(0, "link set lo up")


def start_nat64(directory, configuration):
    """tayga between the router's two families, in this namespace; it ends with the lab."""
    if not shutil.which("tayga"):
        sys.exit("lab: tayga is missing: make dependencies")
    directory.mkdir()
    path = directory / "tayga.conf"
    path.write_text(configuration)
    run("tayga", "--mktun", "-c", str(path))
    run("ip", "-batch", "-", text="link set nat64 up\nroute add 192.168.255.0/24 dev nat64\nroute add 64:ff9b::/96 dev nat64\n")
    with (directory / "tayga.log").open("w") as log:
        subprocess.Popen(["tayga", "-d", "-c", str(path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


FORWARDING = {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}


def core(plan, relays):
    plan.space("core", **FORWARDING)
    plan.ip("core", *(f"route add blackhole {prefix}" for prefix in PRIVATE), *(f"route add local {prefix} dev lo" for prefix in ECHOES))
    for name, interface, v4, v6 in RELAYS[:relays]:
        plan.space(name, **{"net/ipv4/ip_local_reserved_ports": os.environ["LAB_RELAY_PORTS"]})
        plan.link("core", interface, name, "r0")
        plan.ip("core", f"address add {v4}.254/24 dev {interface}", f"address add {v6}::ffff/64 dev {interface} nodad")
        plan.ip(name, f"address add {v4}.1/24 dev r0", f"address add {v6}::1/64 dev r0 nodad",
                f"route add default via {v4}.254", f"route add ::/0 via {v6}::ffff")


def rules_of(text, wan, relays, v6):
    addresses = ", ".join(f"{v4}.1" for _, _, v4, _ in RELAYS[:relays])
    return text.replace("WAN", wan).replace("RELAYS", addresses) + (networks.V6_FIREWALL if v6 == "firewall" else "")


class Uplink:
    """One access: addresses of uplink number N of a host, and what is between the host and the core."""

    def __init__(self, plan, host, index, number, written, kind):
        self.plan, self.host, self.kind, self.number = plan, host, kind, number
        self.interface, self.wire = f"u{index}", f"{host}{index}"
        self.lan4, self.outside4 = f"192.168.{number}", f"11.1.{number}.2"
        self.wan6, self.lan6 = f"2a00:b10c:1{number:02x}", f"2a00:b10c:2{number:02x}"
        self.routers = [f"{host}-r{index}" + ("" if n == 0 else f"-{n}") for n in range(len(kind.routers))]
        self.members = 0
        self.facts = {"type": written, "interface": self.interface, "wire": self.wire, "routers": self.routers[::-1],
                      "outside4": self.outside4 if kind.v4 or kind.nat64 else None}

    def build(self, relays):
        plan, kind = self.plan, self.kind
        outermost = self.routers[-1] if self.routers else self.host
        interface = "wan" if self.routers else self.interface
        model = f"outside={self.outside4} {kind.model}" if kind.model is not None else ""
        for name in self.routers:
            plan.space(name, **FORWARDING, **dict(kind.sysctl))
            plan.ip(name, "link add lan type bridge mcast_snooping 0", "link set lan up")
        plan.space(outermost)
        plan.wires.append((self.wire, outermost, interface, self.wire, model))
        plan.ip("core", f"link set {self.wire} addrgenmode none", f"link set {self.wire} up")
        plan.ip(outermost, f"link set {interface} addrgenmode none", f"link set {interface} up")
        if kind.v4 or kind.nat64:
            plan.ip("core", f"address add 11.1.{self.number}.1/24 dev {self.wire}")
            if self.routers:
                plan.ip(outermost, f"address add {self.outside4}/24 dev wan", "route add default dev wan")
        if kind.v6:
            plan.ip("core", f"address add {self.wan6}::1/64 dev {self.wire} nodad", f"route add {self.lan6}::/64 dev {self.wire}")
            if self.routers:
                plan.ip(outermost, f"address add {self.wan6}::2/64 dev wan nodad", "route add ::/0 dev wan")
        for n, name in enumerate(self.routers):
            self.router(n, name, relays)
        return self.join(self.host)

    def router(self, n, name, relays):
        plan, inner, outer = self.plan, n == 0, n == len(self.routers) - 1
        wan = self.outside4 if outer else f"100.64.{self.number}.2"
        if not outer:  # its wan is in the next one's LAN
            plan.link(name, "wan", self.routers[n + 1], "inner")
            plan.ip(self.routers[n + 1], "link set inner master lan", f"address add 100.64.{self.number}.1/24 dev lan")
            plan.ip(name, f"address add {wan}/24 dev wan", f"route add default via 100.64.{self.number}.1")
        if inner and self.kind.v4:
            plan.ip(name, f"address add {self.lan4}.1/24 dev lan")
        if self.kind.v6:
            if inner:
                plan.ip(name, f"address add {self.lan6}::1/64 dev lan nodad")
            if not outer:
                plan.ip(name, f"address add {self.wan6}:1::2/64 dev wan nodad", f"route add ::/0 via {self.wan6}:1::1")
                plan.ip(self.routers[n + 1], f"address add {self.wan6}:1::1/64 dev lan nodad",
                        f"route add {self.lan6}::/64 via {self.wan6}:1::2")
        if self.kind.nat64:
            plan.nat64[name] = f"tun-device nat64\nipv4-addr 192.168.255.1\nipv6-addr {self.wan6}:1::64\nprefix 64:ff9b::/96\n" \
                               f"dynamic-pool 192.168.255.0/24\ndata-dir {DIR}/{name}\n"
        # IPv6 is filtered once, at the outermost one.
        plan.rules[name] = rules_of(self.kind.routers[n], wan, relays, self.kind.v6 if outer else "")

    def join(self, host):
        """A host of the LAN; without a router the one host is the LAN. Returns its addresses."""
        plan, kind, metric = self.plan, self.kind, 100 + 100 * int(self.interface[1:])
        self.members += 1
        last = 1 + self.members
        plan.space(host)
        v4, v6 = f"{self.lan4}.{last}" if self.routers or kind.model is not None else self.outside4, f"{self.lan6}::{last}"
        back = ""
        if self.routers:
            port = f"p{self.members}"
            plan.link(host, self.interface, self.routers[0], port)
            plan.ip(self.routers[0], f"link set {port} master lan")
            back = "via"
        if kind.v4:
            plan.ip(host, f"address add {v4}/24 dev {self.interface}",
                    f"route add default {back and f'via {self.lan4}.1'} dev {self.interface} metric {metric}")
        if kind.v6:
            plan.ip(host, f"address add {v6}/64 dev {self.interface} nodad",
                    f"route add ::/0 {back and f'via {self.lan6}::1'} dev {self.interface} metric {metric}")
        # With several uplinks each address leaves by its own, as phones have it.
        table = metric + int(self.interface[1:])
        if kind.v4:
            plan.ip(host, f"route add default {back and f'via {self.lan4}.1'} dev {self.interface} table {table}",
                    f"rule add from {v4} table {table}")
        if kind.v6:
            plan.ip(host, f"route add ::/0 {back and f'via {self.lan6}::1'} dev {self.interface} table {table}")
            plan.rules6[host] = plan.rules6.get(host, "") + f"rule add from {v6} table {table}\n"
        return {"address4": v4 if kind.v4 else None, "address6": v6 if kind.v6 else None, "metric": metric,
                "gateway4": f"{self.lan4}.1" if back and kind.v4 else None, "gateway6": f"{self.lan6}::1" if back and kind.v6 else None}


def build():
    relays = int(os.environ.get("LAB_RELAYS", 1))
    wanted = networks.parse(os.environ["LAB_NETWORKS"])
    plan, uplinks, facts = Plan(), {}, {}
    core(plan, relays)
    number = 0
    for host, accesses in wanted.items():
        if isinstance(accesses, str):
            first = uplinks[accesses[1:]][0]
            if not first.routers:
                raise networks.Unknown(f"{host}={accesses}: {accesses[1:]} has no LAN: expected one behind a router")
            facts[host] = [{**first.facts, **first.join(host)}]
            uplinks[host] = [first]
            continue
        uplinks[host], facts[host] = [], []
        for index, (written, kind) in enumerate(accesses):
            number += 1
            uplink = Uplink(plan, host, index, number, written, kind)
            uplinks[host].append(uplink)
            facts[host].append({**uplink.facts, **uplink.build(relays)})
    plan.make()
    known = [{"name": name, "interface": interface, "v4": f"{v4}.1", "v6": f"{v6}::1"} for name, interface, v4, v6 in RELAYS[:relays]]
    (DIR / "networks.json").write_text(json.dumps({"hosts": facts, "relays": known}, indent=1))


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["help"]:
            print(networks.listing())
        elif sys.argv[1:] == ["check"]:
            networks.parse(os.environ["LAB_NETWORKS"])
        else:
            build()
    except networks.Unknown as error:
        sys.exit(f"lab: {error}")
    except wire_control.Refused as error:
        sys.exit(f"lab: {error}")
