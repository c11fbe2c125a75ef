#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# light
"""Every network of tests/lab is what its name says, in RFC 4787's terms: seen by five destinations in the core, and from hosts
beside and before it. And so is the wire program's own NAT, in all its behaviours.

    one host for each network == its router == core with 11.0.8.1-5 == relay
"""
import contextlib
import socket
import subprocess
import time

import lab
import pairs
from lab import check, expect

EI, AD, APD = "independent", "address", "port"
PRESERVED, OTHER = "preserved", "other"

# host, network: mapping, filtering, what the outside ports of new sessions are
EXPECTED = {
    ("none", "none"): (EI, EI, PRESERVED),
    ("full", "full-cone"): (EI, EI, PRESERVED),
    ("addr", "address-restricted"): (EI, AD, PRESERVED),
    ("cone", "cone"): (EI, APD, PRESERVED),
    ("eim", "eim"): (EI, APD, range(40000, 41000)),
    ("sym", "symmetric"): (APD, APD, OTHER),
    ("symblock", "symmetric-block"): (APD, APD, range(40960, 41472)),
    ("symseq", "symmetric-sequential"): (APD, APD, range(41000, 49000)),
    ("addrdep", "address-dependent"): (AD, APD, OTHER),
    ("hair", "hairpin"): (EI, EI, PRESERVED),
    ("open", "open-router"): (EI, APD, PRESERVED),
    ("short", "short-binding"): (EI, APD, PRESERVED),
    ("double", "double-nat"): (EI, APD, PRESERVED),
    ("doublesym", "double-symmetric"): (APD, APD, range(40960, 41472)),
}
OTHERS = {"blocked": "udp-blocked", "rejected": "udp-rejected", "blockall": "udp-blocked-all", "rejectall": "udp-rejected-all",
          "tcp": "tcp-only", "six": "v6", "sixopen": "v6-open", "dual": "cone/v6", "doublesix": "double-nat/v6", "nonesix": "none/v6",
          "hairb": "@hair", "fullb": "@full", "phone": "cone+symmetric-block", "sixfour": "nat64", "model": "model:/v6"}
pairs.enter(" ".join([f"{host}={network}" for host, network in EXPECTED] + [f"{host}={network}" for host, network in OTHERS.items()]), relays=2)
if lab.coturn():
    lab.skip("the networks are the same around turnserver")

DESTINATIONS = [(1, 7001), (1, 7002), (2, 7001), (3, 7001), (4, 7003)]
ECHOES = [pairs.echo(number, port) for number, port in DESTINATIONS]
ECHOES6 = [pairs.echo(number, port, 6) for number, port in DESTINATIONS]
IP_RECVTTL = 12  # which Python's socket module does not have
PORT = iter(range(5000, 9000))
SILENT = 0.15  # what was sent before something that has arrived would have come by then, too


# Who gets no answer to its Binding takes a while to say so: host, to the relay, refused elsewhere.
BLOCKED = {name: (pairs.host(name).popen("/usr/bin/python3", lab.ROOT / "tests/system/turn_client.py", "binding", lab.RELAY4,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), to_relay, refused)
           for name, to_relay, refused in (("blocked", True, False), ("rejected", True, True), ("blockall", False, False),
                                           ("rejectall", False, True), ("tcp", False, False))}


def fresh(host, family=4):
    """A socket of the host that has sent nothing yet."""
    with contextlib.closing(pairs.host(host).udp(0, family)):
        return pairs.host(host).udp(next(PORT), family)


def sent(sock, echo, seconds=3):
    """The source that an echo sees of it."""
    payload = b"from %d" % next(PORT)
    sock.sendto(payload, echo.getsockname()[:2])
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        data, source = lab.receive(echo, left)
        if data == payload:
            return source
    return None


def arrives(sock, source, *senders, control):
    """Which of the senders' datagrams to that place come in. The control's, sent last, must."""
    for n, one in enumerate(senders):
        one.sendto(b"try %d" % n, source)
    control.sendto(b"control", source)
    seen = []
    while (got := lab.receive(sock)[0]) != b"control":
        assert got is not None, "what it asked for did not come in either"
        seen.append(int(got[4:]))
    return seen


def looked_at(host, echoes=None):
    """(mapping, filtering, inside port, outside ports) as five destinations see them."""
    echoes, family = echoes or ECHOES, 6 if echoes is ECHOES6 else 4
    with contextlib.closing(fresh(host, family)) as sock:
        ports = []
        for echo in echoes:
            source = sent(sock, echo)
            assert source, f"nothing came from {host} to {lab.endpoint(echo)}"
            ports.append(source[1])
    # Of random ports two may be the same, as long as they are not those of one address.
    mapping = EI if len(set(ports)) == 1 else AD if ports[0] == ports[1] else APD if len(set(ports)) > 3 else ports
    with contextlib.closing(fresh(host, family)) as sock:
        source = sent(sock, echoes[0])
        seen = arrives(sock, source, echoes[1], echoes[2], control=echoes[0])
        filtering = {(): APD, (0,): AD, (0, 1): EI}.get(tuple(seen), seen)
        inside = sock.getsockname()[1]
    return mapping, filtering, (inside, source[1]), ports


for (name, network), wanted in EXPECTED.items():
    @check(f"{network} is what it says")
    def _(name=name, wanted=wanted):
        mapping, filtering, (inside, outside), ports = looked_at(name)
        if mapping != wanted[0]:  # by chance, once in 512 for a block
            mapping = looked_at(name)[0]
        expect("mapping", mapping, wanted[0])
        expect("filtering", filtering, wanted[1])
        if wanted[2] == PRESERVED:
            expect("port", outside, inside)
        elif wanted[2] == OTHER:
            assert outside != inside, "the port was preserved"
        else:
            assert all(port in wanted[2] for port in ports), f"outside {wanted[2]}: {ports}"


@check("sequential ports follow each other, random ones do not")
def _():
    for name, follow in ("symseq", 4), ("sym", 0), ("symblock", 0):
        ports = looked_at(name)[3]
        steps = [b - a for a, b in zip(ports, ports[1:])]
        assert steps.count(1) == follow or (not follow and steps.count(1) < 2), f"{name}: {ports}"


@check("each router is a hop, and a double NAT is two of them with 100.64.0.0/10 between")
def _():
    for name, hops in ("none", 0), ("cone", 1), ("double", 2), ("doublesix", 2):
        family = 6 if name.endswith("six") else 4
        echo = pairs.echo(5, 0, family)
        echo.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT) if family == 6 else (socket.IPPROTO_IP, IP_RECVTTL)), 1)
        with contextlib.closing(echo), contextlib.closing(fresh(name, family)) as sock:
            sock.sendto(b"hops", echo.getsockname()[:2])
            ancillary = echo.recvmsg(100, 100)[1]
            expect(name, 64 - int.from_bytes(ancillary[0][2][:4], "little"), hops)
    one = pairs.host("double")
    with contextlib.closing(fresh("double")) as sock:
        sent(sock, ECHOES[0])
        flows = lab.run_in(one.routers[1], "conntrack", "-L", "-p", "udp", "--orig-src", one.address4).stdout
    assert "dst=100.64." in flows, flows


def through(sender, receiver, to, outside, control):
    """Where the receiver says it came from; None: it did not. Control comes in through `outside`, its own mapping, afterwards."""
    sender.sendto(b"through", to)
    control.sendto(b"control", outside)
    source = None
    while (got := lab.receive(receiver))[0] != b"control":
        assert got[0] is not None, "what it asked for did not come in either"
        source = got[1] if got[0] == b"through" else source
    # The wire program may have read what comes in before what goes out.
    late = lab.receive(receiver, SILENT) if source is None else (None, None)
    return late[1] if late[0] == b"through" else source


@check("a hairpin shows the outside address to both; other NATs have none; within the LAN all are near")
def _():
    for one, other, hairpin in ("hair", "hairb", True), ("full", "fullb", False):
        with contextlib.closing(fresh(one)) as a, contextlib.closing(fresh(other)) as b:
            outside_a, outside_b = sent(a, ECHOES[0]), sent(b, ECHOES[0])
            expect(f"{one}: seen by who is called", through(a, b, outside_b, outside_b, ECHOES[0]), outside_a if hairpin else None)
            expect(f"{one}: seen by who is answered", through(b, a, outside_a, outside_a, ECHOES[0]), outside_b if hairpin else None)
            expect(f"{one}: in the LAN", through(a, b, lab.endpoint(b), outside_b, ECHOES[0]), lab.endpoint(a))


@check("UDP is blocked but to the relay, dropped or refused; or all of it; or all but TCP 443")
def _():
    for name, (asking, to_relay, refused) in BLOCKED.items():
        expect(f"{name}: Binding to the relay", asking.wait(10) == 0, to_relay)
        with contextlib.closing(fresh(name)) as sock:
            sock.connect(ECHOES[0].getsockname())
            sock.send(b"anything")
            sock.settimeout(SILENT)
            try:
                sock.recv(100)
            except ConnectionRefusedError:
                answer = True
            except TimeoutError:
                answer = False
            expect(f"{name}: refused", answer, refused)
            expect(f"{name}: arrived", lab.receive(ECHOES[0], 0.01)[0], None)
    for port, wanted in (443, True), (80, False):
        with lab.namespace("core"):
            server = socket.create_server(("11.0.8.9", port))
        with contextlib.closing(server), lab.namespace("tcp"), socket.socket() as client:
            client.settimeout(3 if wanted else SILENT)
            expect(f"TCP to {port}", client.connect_ex(("11.0.8.9", port)) == 0, wanted)


@check("IPv6 is never translated: behind the firewall what was asked for comes in, without one everything does")
def _():
    for name in "six", "dual", "doublesix", "sixfour", "sixopen", "nonesix":
        mapping, filtering, (inside, outside), _ports = looked_at(name, ECHOES6)
        expect(f"{name}: mapping", mapping, EI)
        expect(f"{name}: filtering", filtering, EI if name in ("sixopen", "nonesix") else APD)
        expect(f"{name}: port", outside, inside)
        with contextlib.closing(fresh(name, 6)) as sock:
            expect(f"{name}: address", sent(sock, ECHOES6[0])[0], pairs.host(name).address6)
    expect("IPv4 of dual", looked_at("dual")[:2], (EI, APD))
    for name in "six", "sixopen":
        expect(f"{name}: IPv4", (pairs.host(name).address4, pairs.host(name).run("ip", "-4", "route").stdout), (None, ""))


@check("NAT64: who has IPv6 alone reaches IPv4 through its router's cone, and is answered")
def _():
    one = pairs.host("sixfour")
    with contextlib.closing(fresh("sixfour", 6)) as sock:
        seen = []
        for echo in ECHOES[0], ECHOES[2]:
            sock.sendto(b"translated", (f"64:ff9b::{echo.getsockname()[0]}", echo.getsockname()[1]))
            seen.append(lab.receive(echo)[1])
        expect("seen from", seen, [(one.outside4, sock.getsockname()[1])] * 2)
        expect("from who was not asked, too", arrives(sock, seen[0], ECHOES[1], control=ECHOES[0]), [])


@check("an open router keeps the port from who sends in first; a closed one does not")
def _():
    for name, spoiled in ("open", True), ("cone", False):
        with contextlib.closing(fresh(name)) as sock:
            port = sock.getsockname()[1]
            ECHOES[0].sendto(b"first", (pairs.host(name).outside4, port))
            # Another one's datagram behind it: the first one has been there.
            expect(f"{name}: seen by another", sent(sock, ECHOES[2])[1], port)
            source = sent(sock, ECHOES[0])
            expect(f"{name}: another port", source[1] != port, spoiled)


@check("a short binding ends after five seconds, in both states of conntrack")
def _():
    one = pairs.host("short")
    with contextlib.closing(fresh("short")) as sock:
        sent(sock, ECHOES[0])
        for answer in False, True:
            if answer:
                arrives(sock, sent(sock, ECHOES[0]), control=ECHOES[0])
            line = lab.run_in(one.routers[0], "conntrack", "-L", "-p", "udp", "--sport", str(sock.getsockname()[1])).stdout
            assert 1 <= int(line.split()[2]) <= 5, line


def rebound(name, sock, *before):
    """The place it is seen from after a rebinding."""
    for _ in range(3 if name in ("sym", "symblock", "doublesym", "eim") else 1):  # chance may give the same port again
        pairs.host(name).rebind()
        after = sent(sock, ECHOES[0])
        if after not in before:
            return after
    raise AssertionError(f"{name}: from {before} to {after}")


@check("a rebinding changes the port of every NAT, and the old one is dead")
def _():
    for name in [host for host, network in EXPECTED if network not in ("none", "open-router")] + ["dual", "model"]:
        if name == "model":
            pairs.wire().order(f"nat model0 outside={pairs.host('model').outside4}")
        with contextlib.closing(fresh(name)) as sock:
            before = sent(sock, ECHOES[0])
            after = rebound(name, sock, before)
            ECHOES[0].sendto(b"dead", before)
            expect(f"{name}: at the old place", arrives(sock, after, control=ECHOES[0]), [])
            rebound(name, sock, before, after)


@check("a host with two uplinks goes from one to the other and back")
def _():
    phone = pairs.host("phone")
    first, second = (uplink["outside4"] for uplink in phone.uplinks)
    with contextlib.closing(phone.udp()) as sock:
        expect("seen before", sent(sock, ECHOES[0])[0], first)
        phone.move(1)
        with contextlib.closing(phone.udp()) as other:
            expect("seen after", sent(other, ECHOES[0])[0], second)
        with lab.namespace("phone"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unbound:
            expect("seen of a socket that is not bound", sent(unbound, ECHOES[0])[0], second)
        phone.restore(0)
        expect("seen of the old socket", sent(sock, ECHOES[0])[0], first)
        with contextlib.closing(lab.udp("phone", phone.uplinks[1]["address4"])) as other:
            expect("seen of the other address while both are up", sent(other, ECHOES[0])[0], second)


@check("a host is given another address, by its router or by the Internet")
def _():
    for name in "cone", "none":
        one = pairs.host(name)
        before = one.address4
        one.renumber()
        with contextlib.closing(fresh(name)) as sock:
            assert one.address4 != before and lab.endpoint(sock)[0] == one.address4, one.address4
            expect(f"{name}: seen from", sent(sock, ECHOES[0])[0], one.outside4)
            expect(f"{name}: answered", arrives(sock, (one.outside4, sock.getsockname()[1]), control=ECHOES[0]), [])


@check("nothing reaches a private address through the core")
def _():
    with contextlib.closing(fresh("none")) as sock, contextlib.closing(fresh("cone")) as inside:
        outside = sent(inside, ECHOES[0])
        expect("seen", through(sock, inside, lab.endpoint(inside), outside, ECHOES[0]), None)


# ---- the wire program ----

def model(words):
    pairs.wire().order(f"nat model0 outside={pairs.host('model').outside4} {words}")


for mapping_word in EI, AD, APD:
    @check(f"the wire's NAT: mapping {mapping_word} with every filtering and allocation")
    def _(mapping_word=mapping_word):
        for filtering_word in EI, AD, APD:
            model(f"mapping={mapping_word} filtering={filtering_word}")
            mapping, filtering, (inside, outside), _ports = looked_at("model")
            expect("mapping and filtering", (mapping, filtering), (mapping_word, filtering_word))
            # The first mapping has the port; a symmetric one's further ones cannot have it, too.
            expect("preserved port", outside, inside)
        for words, wanted in (("allocation=random ports=30000-30999", range(30000, 31000)),
                              ("allocation=sequential ports=31000-31099 step=3", range(31000, 31100)),
                              ("allocation=blocks ports=32000-32999 block=10", range(32000, 33000))):
            model(f"mapping={mapping_word} {words}")
            ports = looked_at("model")[3]
            assert all(port in wanted for port in ports), f"{words}: {ports}"
            if mapping_word == APD and "step" in words:
                expect("steps", ports, list(range(ports[0], ports[0] + 15, 3)))
            if "block" in words:
                expect("blocks", len({port // 10 for port in ports}), 1)


@check("the wire's NAT: session cap, timer, hairpin, blocking, and it is a hop")
def _():
    model("sessions=2 timeout=200")
    with contextlib.closing(fresh("model")) as sock:
        assert sent(sock, ECHOES[0]) and sent(sock, ECHOES[1])
        expect("beyond the cap", sent(sock, ECHOES[2], SILENT), None)
        expect("counted", pairs.host("model").seen_by_wire()["nat"]["too many sessions"], 1)
        lab.wait_for(lambda: pairs.host("model").seen_by_wire()["nat"]["sessions"] == 0, 3, "the sessions to end")
        assert sent(sock, ECHOES[2])
    for hairpin in "yes", "no":
        model(f"hairpin={hairpin}")
        with contextlib.closing(fresh("model")) as a, contextlib.closing(fresh("model")) as b:
            outside_a, outside_b = sent(a, ECHOES[0]), sent(b, ECHOES[0])
            expect(f"hairpin={hairpin}", through(a, b, outside_b, outside_b, ECHOES[0]), outside_a if hairpin == "yes" else None)
    model(f"allow={lab.RELAY4} allow=11.0.8.3")
    with contextlib.closing(fresh("model")) as sock:
        expect("to who is not allowed", sent(sock, ECHOES[0], SILENT), None)
        assert sent(sock, ECHOES[3])
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        expect("with one hop left", sent(sock, ECHOES[3], SILENT), None)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 2)
        assert sent(sock, ECHOES[3])


def stream(count=200):
    """Numbers as they arrive in the core, of a host without a NAT, and whether checksums were right (the kernel sees to it)."""
    with contextlib.closing(fresh("none")) as sock:
        for number in range(count):
            sock.sendto(b"%d" % number, ECHOES[4].getsockname())
        sock.sendto(b"end", ECHOES[4].getsockname())
    seen = []
    while (data := lab.receive(ECHOES[4], SILENT)[0]) is not None:
        seen.append(data)
    return [int(data) for data in seen if data != b"end"]


@check("the wire loses, doubles, holds back and cuts what it is told, in one direction or both")
def _():
    one = pairs.host("none")
    expect("a perfect wire", stream(), list(range(200)))
    one.set("out", duplicate=100)
    expect("copies", stream(), [number for number in range(200) for _ in range(2)])
    one.set("out", duplicate=0, loss=30)
    seen = stream()
    assert 100 <= len(seen) <= 175 and seen == sorted(seen), f"{len(seen)} of 200"
    one.set("out", loss=0, reorder=(20, 20))
    seen = stream()
    assert sorted(seen) == list(range(200)) and seen != sorted(seen), seen
    one.set("out", reorder=(0, 0), burst=(2, 10, 100))
    seen = stream(450)  # a TUN device queues 500
    gaps = [b - a - 1 for a, b in zip(seen, seen[1:]) if b > a + 1]
    assert 250 <= len(seen) <= 430 and sum(gaps) / len(gaps) > 3, f"{len(seen)} of 450, bursts {gaps}"
    one.set("out", burst=(0, 100, 0))
    for way, passes in ("out", {"in"}), ("in", {"out"}), ("", set()):
        one.cut(way)
        with contextlib.closing(fresh("none")) as sock:
            both = {"out": (sock, ECHOES[0]), "in": (ECHOES[0], sock)}
            for direction, (sender, receiver) in both.items():
                before = one.seen_by_wire()[direction]["put"]
                sender.sendto(b"during", lab.endpoint(receiver))
                lab.wait_for(lambda direction=direction, before=before: one.seen_by_wire()[direction]["put"] > before, 3, "the wire to have it")
            one.mend()
            for direction, (sender, receiver) in both.items():
                sender.sendto(b"after", lab.endpoint(receiver))
                expect(f"cut {way}: {direction}", lab.receive(receiver)[0] == b"during", direction in passes)
        while lab.receive(ECHOES[0], SILENT)[0]:
            pass


def round_trip(name):
    with contextlib.closing(fresh(name)) as sock:
        begin = time.monotonic()
        source = sent(sock, ECHOES[0])
        arrives(sock, source, control=ECHOES[0])
        return (time.monotonic() - begin) * 1000


@check("delays are what they are set to while it runs, for all or one, and the same through two NATs")
def _():
    pairs.delay(25)
    for name in "none", "cone", "double", "model":
        if name == "model":
            model("")
        took = min(round_trip(name) for _ in range(3))
        assert took >= 50, f"{name}: {took:.1f} ms there and back"
    pairs.host("cone").set(delay=75)
    assert min(round_trip("cone") for _ in range(2)) >= 150
    assert min(round_trip("none") for _ in range(4)) < 150
    pairs.delay(0)
    assert min(round_trip("cone") for _ in range(4)) < 50


def binding(host, relay):
    return pairs.host(host).run("/usr/bin/python3", str(lab.ROOT / "tests/system/turn_client.py"), "binding", relay.address4).returncode == 0


@check("a relay dies, the other one serves on, and it comes back; captures have seen who asked")
def _():
    first, second = pairs.relay(1), pairs.relay(2)
    captures = pairs.Capture("relay1", "udp port 3478"), pairs.Capture("cone", "udp port 3478")
    expect("before", (binding("cone", first), binding("cone", second)), (True, True))
    at_relay, at_wire = ([packet[12:20] for _, packet in capture.packets()] for capture in captures)
    outside, one, two = map(socket.inet_aton, (pairs.host("cone").outside4, first.address4, second.address4))
    expect("at the first relay", at_relay, [outside + one, one + outside])
    expect("at the access wire", at_wire, [outside + one, one + outside, outside + two, two + outside])
    second.kill()
    expect("after one's death", (binding("cone", first), binding("cone", second)), (True, False))
    second.start()
    first.stop_controlplane()
    first.start_controlplane()
    expect("afterwards", (binding("cone", first), binding("cone", second)), (True, True))


@check("orders that are none are refused with what was expected")
def _():
    import wire_control
    for line, wanted in (("set nobody delay=1", "expected set NAME|all"), ("set none0 delay=fast", "expected delay=MILLISECONDS"),
                         ("set none0 loss=101", "expected loss=PERCENT"), ("nat none0 mapping=cone", "expected mapping=independent"),
                         ("nat none0", "expected outside="), ("join none0 a b c d", "there is a wire of that name"), ("jump", "expected join"),
                         ("join other nowhere t0 nowhere t1", "No such file"), ("rebind none0", "expected rebind NAME, of a wire with a NAT")):
        try:
            pairs.wire().order(line)
            raise AssertionError(f"{line}: accepted")
        except wire_control.Refused as error:
            assert wanted in str(error), error
    for hosts, wanted in (("a=cone b=conic", "conic: expected one of none full-cone"), ("a=cone a=cone", "each host once"),
                          ("a=@b", "named before"), ("relay=cone", "expected HOST=NETWORK"), ("a=cone/v5", "expected /v6")):
        try:
            pairs.networks.parse(hosts)
            raise AssertionError(f"{hosts}: accepted")
        except pairs.networks.Unknown as error:
            assert wanted in str(error), error


lab.run_checks()
