#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What passes between a client and its peers, exactly: Send, Data, ChannelData, permissions, channels, relay to
relay, both families and translation between them (RFC 8656 sections 10 to 12).

    client 11.0.0.2  == TURN ==> relay <-- UDP --> peer 11.0.1.2, .3
           2a00:b10c:1::2                              2a00:b10c:2::2
"""
# light
# sanitizers
import lab
from lab import check, endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter()


def allocated(*attributes, permit=(), **how):
    client = lab.client(**how)
    expect("Allocate", client.allocate(*attributes).code, 0)
    if permit:
        expect("CreatePermission", client.permit(*permit).code, 0)
    return client


def peer(address=None):
    return lab.udp("peer", address or lab.PEER4)


def of_family(relayed, version):
    return next(r for r in relayed if (":" in r[0]) == (version == 6))


def nothing_but(sock, wanted):
    """The next datagram of the peer is `wanted`, which was sent after what must not arrive."""
    data, _ = receive(sock)
    expect("first datagram at the peer", data, wanted)


@check("Send reaches the peer from the relayed address; the answer is a Data indication")
def _():
    there = peer()
    client = allocated(permit=[endpoint(there)])
    client.send(endpoint(there), b"to the peer")
    expect("at the peer", receive(there), (b"to the peer", client.relayed[0]))
    there.sendto(b"to the client", client.relayed[0])
    expect("at the client", client.receive(), ("data", endpoint(there), b"to the client"))


@check("ChannelData in both directions; the peer's packets change from Data to ChannelData with the binding")
def _():
    there = peer()
    client = allocated(permit=[endpoint(there)])
    there.sendto(b"before", client.relayed[0])
    expect("before", client.receive(), ("data", endpoint(there), b"before"))
    expect("ChannelBind", client.bind(0x4ABC, endpoint(there)).code, 0)
    client.send_channel(0x4ABC, b"voice")
    expect("at the peer", receive(there), (b"voice", client.relayed[0]))
    there.sendto(b"after", client.relayed[0])
    expect("after", client.receive(), ("channel", 0x4ABC, b"after"))
    client.send(endpoint(there), b"by Send")
    expect("Send goes on", receive(there), (b"by Send", client.relayed[0]))


@check("ChannelBind installs the permission of the address, for every port of it")
def _():
    there, other = peer(), peer()
    client = allocated()
    expect("ChannelBind", client.bind(0x4000, endpoint(there)).code, 0)
    other.sendto(b"other port", client.relayed[0])
    expect("other port", client.receive(), ("data", endpoint(other), b"other port"))


@check("no permission, no packet, in either direction")
def _():
    allowed, stranger = peer(), peer(lab.PEER4B)
    client = allocated(permit=[endpoint(allowed)])
    client.send(endpoint(stranger), b"out")
    client.send(endpoint(allowed), b"mark")
    nothing_but(allowed, b"mark")
    stranger.sendto(b"in", client.relayed[0])
    allowed.sendto(b"mark", client.relayed[0])
    expect("at the client", client.receive(), ("data", endpoint(allowed), b"mark"))
    client.permit(endpoint(stranger))
    client.send(endpoint(stranger), b"now")
    nothing_but(stranger, b"now")


@check("Send without DATA or XOR-PEER-ADDRESS, or with an attribute nobody knows, is dropped")
def _():
    there = peer()
    client = allocated(permit=[endpoint(there)])
    transaction = new_transaction()
    where = (XOR_PEER_ADDRESS, xor_address(endpoint(there), transaction))
    client.send_raw(build(SEND, INDICATION, [where], transaction))
    client.send_raw(build(SEND, INDICATION, [(DATA_ATTRIBUTE, b"no peer")], transaction))
    client.send_raw(build(SEND, INDICATION, [where, (0x7F01, b""), (DATA_ATTRIBUTE, b"unknown")], transaction))
    client.send_raw(build(SEND, INDICATION, [where, (0xC001, b"ok"), (DATA_ATTRIBUTE, b"mark")], transaction))
    nothing_but(there, b"mark")


@check("Send as a request, or Data from a client, is dropped", coturn="answers a Send request with an error")
def _():
    there = peer()
    client = allocated(permit=[endpoint(there)])
    transaction = new_transaction()
    content = [(XOR_PEER_ADDRESS, xor_address(endpoint(there), transaction)), (DATA_ATTRIBUTE, b"no")]
    client.send_raw(build(SEND, REQUEST, content, transaction))
    client.send_raw(build(DATA, INDICATION, content, transaction))
    client.send(endpoint(there), b"mark")
    nothing_but(there, b"mark")
    client.binding()
    expect("answers", len(client.inbox), 0)


@check("empty datagrams pass both ways, by indication and by channel", coturn="does not send empty Data")
def _():
    there = peer()
    client = allocated(permit=[endpoint(there)])
    client.send(endpoint(there), b"")
    expect("Send", receive(there)[0], b"")
    there.sendto(b"", client.relayed[0])
    expect("Data", client.receive(), ("data", endpoint(there), b""))
    client.bind(0x4000, endpoint(there))
    client.send_channel(0x4000, b"")
    expect("ChannelData out", receive(there)[0], b"")
    there.sendto(b"", client.relayed[0])
    expect("ChannelData in", client.receive(), ("channel", 0x4000, b""))


@check("every length to 64 and some long ones pass unchanged, by channel and by indication")
def _():
    there = peer()
    client = allocated(permit=[endpoint(there)])
    for channel in False, True:
        if channel:
            client.bind(0x4000, endpoint(there))
        for length in [*range(1, 65), 127, 128, 255, 500, 999, 1000, 1200, 1400]:
            data = os.urandom(length)
            client.send_channel(0x4000, data) if channel else client.send(endpoint(there), data)
            expect(f"{length} bytes at the peer", receive(there)[0], data)
            there.sendto(data, client.relayed[0])
            expect(f"{length} bytes at the client", client.receive()[2], data)


@check("ChannelData: padding is cut off; a length beyond the datagram, an unbound channel, a foreign 5-tuple: dropped")
def _():
    there = peer()
    client = allocated()
    client.bind(0x4001, endpoint(there))
    client.send_channel(0x4001, b"pad", pad=True)
    expect("padded", receive(there)[0], b"pad")
    client.send_channel(0x4001, b"short", length=6)
    client.send_channel(0x4001, b"", length=0xFFFF)
    client.send_raw(b"\x40\x01\x00")
    client.send_raw(b"\x40")
    client.send_channel(0x4002, b"unbound")
    client.send_channel(0x4FFF, b"unbound")
    stranger = lab.client(user=None)
    stranger.send_channel(0x4001, b"foreign")
    stranger.binding()
    client.send_channel(0x4001, b"mark")
    nothing_but(there, b"mark")


@check("two allocations that are each other's peers (relay to relay), by indication and by channel")
def _():
    a, b = allocated(), allocated(address=lab.CLIENT4B)
    a.permit(b.relayed[0])
    a.send(b.relayed[0], b"too early")
    b.permit(a.relayed[0])
    a.send(b.relayed[0], b"by Send")
    expect("by Send", b.receive(), ("data", a.relayed[0], b"by Send"))
    expect("a binds", a.bind(0x4000, b.relayed[0]).code, 0)
    expect("b binds", b.bind(0x4444, a.relayed[0]).code, 0)
    for number in range(20):
        a.send_channel(0x4000, b"a%d" % number)
        expect("a to b", b.receive(), ("channel", 0x4444, b"a%d" % number))
        b.send_channel(0x4444, b"b%d" % number)
        expect("b to a", a.receive(), ("channel", 0x4000, b"b%d" % number))


@check("relay to relay with the relayed address of a dual allocation, over IPv6")
def _():
    a = allocated((REQUESTED_ADDRESS_FAMILY, u8x4(IPV6)))
    b = allocated((REQUESTED_ADDRESS_FAMILY, u8x4(IPV6)), server=lab.RELAY6)
    a.permit(b.relayed[0]), b.permit(a.relayed[0])
    a.send(b.relayed[0], b"v4 client to v6 client")
    expect("at b", b.receive(), ("data", a.relayed[0], b"v4 client to v6 client"))


@check("an allocation can be its own peer")
def _():
    client = allocated()
    client.permit(client.relayed[0])
    client.send(client.relayed[0], b"round")
    expect("comes back", client.receive(), ("data", client.relayed[0], b"round"))


@check("translation: v4 client and v6 peer, v6 client and v4 peer, by indication and by channel")
def _():
    for server, family, address in (lab.RELAY4, IPV6, lab.PEER6), (lab.RELAY6, IPV4, lab.PEER4), (lab.RELAY6, IPV6, lab.PEER6):
        there = peer(address)
        client = allocated((REQUESTED_ADDRESS_FAMILY, u8x4(family)), server=server, permit=[endpoint(there)])
        client.send(endpoint(there), b"by Send")
        expect("at the peer", receive(there), (b"by Send", client.relayed[0]))
        there.sendto(b"by Data", client.relayed[0])
        expect("at the client", client.receive(), ("data", endpoint(there), b"by Data"))
        client.bind(0x4000, endpoint(there))
        for length in 1, 2, 3, 4, 172, 1200:
            data = os.urandom(length)
            client.send_channel(0x4000, data)
            expect("at the peer", receive(there), (data, client.relayed[0]))
            there.sendto(data, client.relayed[0])
            expect("at the client", client.receive(), ("channel", 0x4000, data))


@check("a dual allocation speaks with peers of both families at once", coturn="uses the number of a draft, 0x8032")
def _():
    four, six = peer(), peer(lab.PEER6)
    client = allocated((ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6)), permit=[endpoint(four), endpoint(six)])
    for there, version, number in (four, 4, 0x4000), (six, 6, 0x4001):
        client.send(endpoint(there), b"hello")
        expect("at the peer", receive(there), (b"hello", of_family(client.relayed, version)))
        expect("ChannelBind", client.bind(number, endpoint(there)).code, 0)
        there.sendto(b"back", of_family(client.relayed, version))
        expect("at the client", client.receive(), ("channel", number, b"back"))


@check("peers behind a router are reached through it, in both directions")
def _():
    for address, server in ("11.0.3.200", lab.RELAY4), ("2a00:b10c:4::200", lab.RELAY6):
        there = peer(address)
        family = u8x4(IPV6 if ":" in address else IPV4)
        client = allocated((REQUESTED_ADDRESS_FAMILY, family), server=server, permit=[endpoint(there)],
                           address="2a00:b10c:3::77" if ":" in server else "11.0.2.77")
        client.send(endpoint(there), b"far")
        expect("at the peer", receive(there), (b"far", client.relayed[0]))
        there.sendto(b"away", client.relayed[0])
        expect("at the client", client.receive(), ("data", endpoint(there), b"away"))


@check("Refresh with lifetime 0 ends it at once: nothing passes, and the channel's number is free",
       coturn="goes on for a moment")
def _():
    there = peer()
    client = allocated()
    client.bind(0x4000, endpoint(there))
    gone = client.relayed[0]
    expect("Refresh 0", client.refresh(0).code, 0)
    client.send_channel(0x4000, b"dead")
    client.send(endpoint(there), b"dead")
    there.sendto(b"dead", gone)
    expect("Allocate again", client.allocate().code, 0)
    client.send_channel(0x4000, b"stale channel")
    client.send(endpoint(there), b"stale permission")
    client.permit(endpoint(there))
    client.send(endpoint(there), b"mark")
    nothing_but(there, b"mark")
    expect("at the client", client.all_so_far(), [])


@check("many allocations at once keep their traffic apart")
def _():
    there = peer()
    clients = [allocated(permit=[endpoint(there)], address=f"11.0.2.{n + 1}") for n in range(40)]
    expect("different relayed ports", len({c.relayed[0] for c in clients}), 40)
    for number, client in enumerate(clients):
        client.bind(0x4000 + number, endpoint(there))
        client.send_channel(0x4000 + number, b"%d" % number)
        expect("at the peer", receive(there), (b"%d" % number, client.relayed[0]))
    for number, client in enumerate(clients):
        there.sendto(b"for %d" % number, client.relayed[0])
    for number, client in enumerate(clients):
        expect("at the client", client.receive(), ("channel", 0x4000 + number, b"for %d" % number))


lab.run_checks()
