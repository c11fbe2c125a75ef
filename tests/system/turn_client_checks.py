# SPDX-License-Identifier: BSD-3-Clause
"""What libendpoint's TURN client has to get from any server: checks for test_turn_client.py and test_turn_client_coturn.py.

    turn_peer (endpoint/turn) ==> server ==> [ relayed ] <--> peer
      client                      relay                        peer
"""
import lab
from lab import check, expect
from peer_program import Program

PACKETS = 100
FAMILIES = ("CLIENT4", "RELAY4", "PEER4", 4), ("CLIENT6", "RELAY6", "PEER6", 6)
UNREACHABLE, CREDENTIALS, QUOTA, CAPACITY, MISMATCH = 1, 2, 3, 4, 5


def begin(client="CLIENT4", relay="RELAY4", family=4, **more):
    """A TURN client that has been told to allocate."""
    program = Program("turn_peer", "client")
    more = {"user": lab.LAB_USER, "password": lab.LAB_PASSWORD, **more}
    program.wish("start", server=[getattr(lab, relay), 3478], bind=[getattr(lab, client), 0], family=family, **more)
    return program


def allocated(**how):
    program = begin(**how)
    return program, program.wait("allocated", "failed")


def echo(program, sock, peer, relayed, words):
    """Each word there and back; nothing else and nothing twice."""
    since = program.since()
    for word in words:
        expect("result of send", program.ask("send", "result", peer=peer, data=word)["result"], 0)
        data, source = lab.receive(sock)
        expect("at the peer", (data, source), (word.encode(), tuple(relayed)))
        sock.sendto(data + b"!", source)
        event = program.wait("data", since=since, match=lambda e, w=word: e["data"] == w + "!")
        expect("where data came from", event["peer"], peer)
    expect("events of data", program.count("data", since), len(words))


@check("an allocation of each family, data both ways by indications and then by a channel, none lost")
def _():
    for client, relay, where, family in FAMILIES:
        program, event = allocated(client=client, relay=relay, family=family)
        expect("event", event["event"], "allocated")
        expect("relayed address", event["relayed"][0], getattr(lab, relay))
        expect("mapped address", event["mapped"][0], getattr(lab, client))
        sock = lab.udp("peer", getattr(lab, where))
        peer = list(lab.endpoint(sock))
        echo(program, sock, peer, event["relayed"], [f"plain {n}" for n in range(PACKETS)])
        program.ask("bind", "bound", peer=peer)
        echo(program, sock, peer, event["relayed"], [f"channel {n}" for n in range(PACKETS)])
        counters = program.ask("usage", "usage")["counters"]
        expect("sent by channel", counters["sent_by_channel"], PACKETS)
        expect("received by channel", counters["received_by_channel"], PACKETS)
        expect("ignored", sum(counters[name] for name in counters if name.startswith("ignored")), 0)
        program.ask("release", "released")
        sock.close()


@check("an IPv6 allocation from an IPv4 server address, and the other way round")
def _():
    for client, relay, where, family in ("CLIENT4", "RELAY4", "PEER6", 6), ("CLIENT6", "RELAY6", "PEER4", 4):
        program, event = allocated(client=client, relay=relay, family=family)
        expect("event", event["event"], "allocated")
        sock = lab.udp("peer", getattr(lab, where))
        echo(program, sock, list(lab.endpoint(sock)), event["relayed"], ["over"])
        program.ask("release", "released")
        sock.close()


@check("wrong credentials are refused clearly")
def _():
    _, event = allocated(password="looking-glass")
    expect("failed", (event["event"], event["why"], event["code"]), ("failed", CREDENTIALS, 401))
    _, event = allocated(user=None, password=None)
    expect("failed", (event["event"], event["why"], event["code"]), ("failed", CREDENTIALS, 401))


@check("a server that is not there is unreachable")
def _():
    program = Program("turn_peer", "client")
    program.wish("start", server=[lab.CLIENT4B, 9], bind=[lab.CLIENT4, 0], family=4, user="a", password="b", first=20)
    expect("why", program.wait("failed", "allocated").get("why"), UNREACHABLE)


@check("a peer that may not be reached is denied, and others are not affected")
def _():
    program, event = allocated()
    program.wish("permit", peer=["127.0.0.1", 9])
    expect("code", program.wait("denied")["code"], 403)
    sock = lab.udp("peer", lab.PEER4)
    echo(program, sock, list(lab.endpoint(sock)), event["relayed"], ["other"])
    expect("result", program.ask("send", "result", peer=["127.0.0.1", 9], data="x")["result"], -13)
    program.ask("release", "released")


@check("another socket: a new allocation, with permissions and channels as before")
def _():
    program, event = allocated()
    sock = lab.udp("peer", lab.PEER4)
    peer = list(lab.endpoint(sock))
    program.ask("bind", "bound", peer=peer)
    since = program.since()
    program.wish("move", bind=[lab.CLIENT4B, 0])
    moved = program.wait("allocated", "failed", since=since)
    expect("anew", (moved["event"], moved["anew"]), ("allocated", True))
    expect("mapped address", moved["mapped"][0], lab.CLIENT4B)
    if moved["relayed"] == event["relayed"]:
        raise AssertionError("the same relayed address")
    program.wait("bound", since=since)
    echo(program, sock, peer, moved["relayed"], ["moved"])
    # Moved behind its back: the next question shows it.
    since = program.since()
    program.wish("move", bind=[lab.CLIENT4, 0], quietly=1)
    program.wish("check")
    moved = program.wait("allocated", "failed", since=since)
    expect("anew", (moved["event"], moved["anew"]), ("allocated", True))
    program.wait("bound", since=since)
    echo(program, sock, peer, moved["relayed"], ["moved again"])
    program.ask("release", "released")


@check("told of a change that was none, it keeps its allocation")
def _():
    program, event = allocated()
    sock = lab.udp("peer", lab.PEER4)
    peer = list(lab.endpoint(sock))
    program.ask("bind", "bound", peer=peer)
    since = program.since()
    refreshes = program.ask("usage", "usage")["counters"]["refreshes"]
    program.wish("changed")
    lab.wait_for(lambda: program.ask("usage", "usage")["counters"]["refreshes"] > refreshes, 10, "the proof that it is ours")
    echo(program, sock, peer, event["relayed"], ["still"])
    expect("events", program.count("allocated", since) + program.count("failed", since), 0)
    program.ask("release", "released")
