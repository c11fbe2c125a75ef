# SPDX-License-Identifier: BSD-3-Clause
"""The networks of the lab by name: what a host is behind. Definitions only; build.py makes them.

A host's network is written TYPE, TYPE/v6 (and IPv6 behind a stateful firewall), TYPE+TYPE (two uplinks, the first one
preferred), or @HOST (in the same LAN as that host). TYPE is a name of TYPES, or model:WORD,WORD... with the words of the
wire program's order `nat` (model:mapping=address,filtering=port,allocation=blocks).

Routers are listed from the inside; the outermost one has the interface `wan` of the access wire, the others have theirs in a
LAN of the next one. Rules are written for RFC 4787's terms, WAN stands for the router's outside address and RELAYS for the
relays' addresses.
"""
import dataclasses
import re

# Without the input rule a peer's probe that arrives first is taken by conntrack as traffic to the router itself,
# and our later packet to that peer then leaves from another port.
CLOSED = """
chain input_f { type filter hook input priority filter; policy accept;
 iifname "wan" ct state new drop
}
chain forward_f { type filter hook forward priority filter; policy accept;
 FORWARD
 iifname "wan" ct state new drop
}
"""


# Ports that a rebinding (pairs.Host.rebind) has chosen for inside ports whose own would be preserved.
MOVED = """
 map moved { type inet_service : inet_service; }"""
MASQUERADE = 'oifname "wan" masquerade'
MOVE = 'oifname "wan" meta l4proto udp snat to WAN : udp sport map @moved'


def source_nat(rule, closed=True, forward=""):
    moved, move = (MOVED, MOVE) if rule == MASQUERADE else ("", "")
    text = f"""
table ip nat {{{moved}
 chain pre {{ type nat hook prerouting priority dstnat; policy accept;
 }}
 chain post {{ type nat hook postrouting priority srcnat; policy accept;
  {move}
  {rule}
 }}
}}
"""
    return text + ("table ip fw {" + CLOSED.replace("FORWARD", forward) + "}\n" if closed else "")


def cone_by_map(hairpin=False, restricted=False):
    """One outside port for each inside one, written down in a map on the way out."""
    asked = """
 set seen { type inet_service . ipv4_addr; flags dynamic,timeout; timeout 300s; size 65536; }
 chain asked { type filter hook forward priority filter; policy accept;
  oifname "wan" meta l4proto udp update @seen { udp sport . ip daddr }
  iifname "wan" meta l4proto udp udp dport . ip saddr != @seen drop
 }""" if restricted else ""
    back = """
  iifname "lan" ip daddr WAN meta l4proto udp dnat ip to udp dport map @fullcone""" if hairpin else ""
    # Who is called by a hairpin is shown the outside address of who calls.
    within = """
  iifname "lan" oifname "lan" ct status dnat meta l4proto udp update @fullcone { udp sport timeout 300s : ip saddr . udp sport }
  iifname "lan" oifname "lan" ct status dnat snat to WAN""" if hairpin else ""
    return f"""
table ip nat {{{MOVED}
 map fullcone {{ type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; size 65536; }}{asked}
 chain pre {{ type nat hook prerouting priority dstnat; policy accept;
  iifname "wan" meta l4proto udp dnat ip to udp dport map @fullcone{back}
 }}
 chain post {{ type nat hook postrouting priority srcnat; policy accept;
  {MOVE}
  oifname "wan" meta l4proto udp update @fullcone {{ udp sport timeout 300s : ip saddr . udp sport }}
  oifname "wan" snat to WAN{within}
 }}
}}
"""


def sequential():
    # `numgen ... offset N` used as a port comes out byte-swapped: a map has the numbers as they are.
    ports = ", ".join(f"{n} : {41000 + n}" for n in range(8000))
    return f'oifname "wan" meta l4proto udp snat to WAN : numgen inc mod 8000 map {{ {ports} }}'


def blocked(verdict):
    return source_nat(MASQUERADE, forward=f'oifname "wan" ip daddr != {{ RELAYS }} meta l4proto udp {verdict}')


CONE = source_nat(MASQUERADE)
EIM = source_nat('oifname "wan" meta l4proto udp snat to WAN:40000-40999\n  oifname "wan" masquerade')
BLOCK = source_nat('oifname "wan" meta l4proto udp snat to WAN:40960-41471 random\n  oifname "wan" masquerade')


@dataclasses.dataclass
class Type:
    about: str
    routers: tuple = ()  # rules of each, from the inside; none: the host has a public address itself
    v4: bool = True
    v6: str = ""  # "firewall": stateful; "open"; "": no IPv6
    sysctl: tuple = ()  # of the routers, (name, value)
    nat64: bool = False  # the router translates 64:ff9b::/96 to its IPv4
    model: str | None = None  # no router, but the wire program's NAT with these words


TYPES = {
    "none": Type("a public IPv4 address, no NAT"),
    "full-cone": Type("endpoint-independent mapping and filtering, preserves ports", (cone_by_map(),)),
    "address-restricted": Type("endpoint-independent mapping, address-dependent filtering", (cone_by_map(restricted=True),)),
    "cone": Type("port-restricted: endpoint-independent mapping, address-and-port-dependent filtering, preserves ports", (CONE,)),
    "eim": Type("the same with other ports (one of 40000-40999 for each socket)", (EIM,)),
    "symmetric": Type("address-and-port-dependent mapping and filtering, random ports of the whole range",
                      (source_nat('oifname "wan" masquerade fully-random'),)),
    "symmetric-block": Type("the same with random ports of a block of 512, as carriers do", (BLOCK,)),
    "symmetric-sequential": Type("the same with ports in sequence from 41000", (source_nat(sequential()),)),
    "address-dependent": Type("address-dependent mapping, address-and-port-dependent filtering", (source_nat(
        'oifname "wan" meta l4proto udp snat to WAN : jhash ip saddr . udp sport . ip daddr mod 20000 seed 0x1 offset 41000\n'
        '  oifname "wan" masquerade'),)),
    "hairpin": Type("full cone that leads packets to its own outside address back in", (cone_by_map(hairpin=True),)),
    "open-router": Type("cone without a firewall: a probe that comes first spoils the port", (source_nat(MASQUERADE, closed=False),)),
    "short-binding": Type("cone that forgets a UDP session after 5 s", (CONE,), sysctl=(
        ("net/netfilter/nf_conntrack_udp_timeout", 5), ("net/netfilter/nf_conntrack_udp_timeout_stream", 5))),
    "udp-blocked": Type("cone; UDP goes to the relays only, the rest is dropped", (blocked("drop"),)),
    "udp-rejected": Type("cone; UDP goes to the relays only, the rest is refused by ICMP", (blocked("reject"),)),
    "udp-blocked-all": Type("cone; all UDP is dropped", (source_nat(MASQUERADE, forward='meta l4proto udp drop'),)),
    "udp-rejected-all": Type("cone; all UDP is refused by ICMP", (source_nat(MASQUERADE, forward='meta l4proto udp reject'),)),
    "tcp-only": Type("nothing leaves but TCP to port 443", (source_nat(
        MASQUERADE, forward='ct state established,related accept\n oifname "wan" tcp dport != 443 drop\n'
        ' oifname "wan" meta l4proto != tcp drop'),)),
    "double-nat": Type("a cone behind a cone (100.64.0.0/10 between them)", (CONE, CONE)),
    "double-symmetric": Type("a cone behind a carrier's symmetric-block", (CONE, BLOCK)),
    "v6": Type("IPv6 only, stateful firewall", ("",), v4=False, v6="firewall"),
    "nat64": Type("IPv6 only, stateful firewall; IPv4 at 64:ff9b::/96 through the router (tayga) and a cone", (CONE,), v4=False,
                  v6="firewall", nat64=True),
    "v6-open": Type("IPv6 only, no firewall", v4=False, v6="open"),
}
ALIASES = {"public": "none", "port-restricted": "cone", "symmetric-random": "symmetric"}

V6_FIREWALL = "table ip6 fw {" + CLOSED.replace("FORWARD", "") + "}\n"
NAME = re.compile(r"[a-z][a-z0-9]{0,8}$")


class Unknown(Exception):
    """A name that is none, with what was expected."""


def parse_type(text):
    """Type of TYPE or TYPE/v6."""
    name, _, modifier = text.partition("/")
    if modifier not in ("", "v6"):
        raise Unknown(f"{text}: expected /v6 or nothing behind {name}")
    if name.startswith("model:"):
        found = Type("the wire program's NAT", model=name.removeprefix("model:").replace(",", " "))
    else:
        found = TYPES.get(ALIASES.get(name, name))
    if found is None:
        raise Unknown(f"{name}: expected one of {' '.join(TYPES)}, model:..., or @HOST")
    if modifier and not found.v6:
        found = dataclasses.replace(found, v6="firewall" if found.routers or found.model is not None else "open")
    return found


def parse(text):
    """{host: [(written, Type), ...]} of "alice=cone bob=symmetric/v6 carol=cone+symmetric-block dave=@alice"; @HOST stays a string."""
    hosts = {}
    for word in text.split():
        name, equals, network = word.partition("=")
        if not equals or not NAME.match(name) or name in hosts or name in ("core", "relay", "relay2"):
            raise Unknown(f"{word}: expected HOST=NETWORK, each host once, its name one letter and up to eight letters or digits")
        if network.startswith("@"):
            if not isinstance(hosts.get(network[1:]), list):
                raise Unknown(f"{word}: expected a host named before it behind @")
            hosts[name] = network
        else:
            hosts[name] = [(one, parse_type(one)) for one in network.split("+")]
    return hosts


def listing():
    width = max(map(len, TYPES))
    lines = [f"  {name:<{width}}  {kind.about}" for name, kind in TYPES.items()]
    aliases = ", ".join(f"{one} = {other}" for one, other in ALIASES.items())
    return "\n".join([*lines, "", f"  {aliases}", "  TYPE/v6: and IPv6 behind a stateful firewall. TYPE+TYPE: two uplinks."
                      " @a: in the LAN of a.", "  model:WORD,WORD...: the wire program's NAT, e.g."
                      " model:mapping=address,filtering=port,allocation=blocks (tests/lab/README.md)"])
