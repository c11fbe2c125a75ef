# SPDX-License-Identifier: BSD-3-Clause
"""Agents that meet in the lab: ours (tests/interop/agent_peer.c), aioice's and libnice's (tests/interop/nice_peer.c), all with the same
few methods, and what has to be so when two of them meet.

    description() -> fragment, password, candidates as text      accept(description of the other)
    connected() waits      send(text)      received() -> what came so far, in order      close()
"""
import asyncio
import contextlib
import re
import threading
import time

import lab
from lab import expect
from peer_program import Program

PACKETS = 100


class Ours:
    """turn: [(server, address to send from, family)...]. controlling: whether it has the role."""

    def __init__(self, where, controlling, bind=(), servers=(), turn=(), **more):
        self.turns = len(turn)
        self.program = Program("agent_peer", where)
        self.program.wish(
            "start", controlling=controlling, bind=[[address, 0] for address in bind], servers=[[address, 3478] for address in servers],
            turn=[{"server": [server, 3478], "bind": [address, 0], "family": family, "user": lab.LAB_USER,
                   "password": lab.LAB_PASSWORD} for server, address, family in turn], relay_only=not bind, **more)

    def description(self):
        local = self.program.wait("local")
        self.program.wait("gathered", seconds=20)
        return local["fragment"], local["password"], [e["text"] for e in self.program.events if e["event"] == "candidate"]

    def accept(self, description):
        fragment, password, candidates = description
        for text in candidates:
            self.program.wish("candidate", text=text)
        self.program.wish("remote", fragment=fragment, password=password)

    def connected(self):
        """The pair: base (socket or turn), local and remote transport address."""
        return self.program.wait("nominated", seconds=20)

    def send(self, text):
        self.program.wish("send", data=text)

    def received(self):
        self.program.take()
        return [event["data"] for event in self.program.events if event["event"] == "data"]

    def counters(self):
        return self.program.ask("usage", "usage")["counters"]

    def close(self):
        since = self.program.since()
        self.program.wish("release")
        for base in range(self.turns):
            self.program.wait("turn", since=since, match=lambda e, b=base: e["state"] == "released" and e["base"] == 100 + b)
        self.program.close()


class Aioice:
    """On a thread of its own, which is in the namespace."""

    def __init__(self, where, controlling, relay=None, stun=None, only_relay=False, family=4):
        self.got, self.loop, self.connection = [], None, None
        self.arguments = {"ice_controlling": controlling, "use_ipv4": family == 4, "use_ipv6": family == 6}
        if relay:
            self.arguments.update(turn_server=(relay, 3478), turn_username=lab.LAB_USER, turn_password=lab.LAB_PASSWORD)
        if stun:
            self.arguments.update(stun_server=(stun, 3478))
        self.only_relay = only_relay
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(where,), daemon=True)
        self.thread.start()
        self.started.wait(10)
        self.do(self.connection.gather_candidates())

    def run(self, where):
        import aioice
        with lab.namespace(where):
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
            policy = aioice.TransportPolicy.RELAY if self.only_relay else aioice.TransportPolicy.ALL
            self.connection = aioice.Connection(transport_policy=policy, **self.arguments)
            self.loop.call_soon(self.started.set)
            self.loop.run_forever()

    def do(self, coroutine, seconds=20):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def description(self):
        return (self.connection.local_username, self.connection.local_password,
                ["candidate:" + c.to_sdp() for c in self.connection.local_candidates])

    def accept(self, description):
        import aioice
        self.connection.remote_username, self.connection.remote_password, candidates = description

        async def add():
            for text in candidates:
                await self.connection.add_remote_candidate(aioice.Candidate.from_sdp(text.split(":", 1)[1]))
            await self.connection.add_remote_candidate(None)
        self.do(add())
        self.connecting = asyncio.run_coroutine_threadsafe(self.connection.connect(), self.loop)

    def connected(self):
        self.connecting.result(20)
        asyncio.run_coroutine_threadsafe(self.read(), self.loop)

    async def read(self):
        while True:
            try:
                self.got.append((await self.connection.recv()).decode())
            except ConnectionError:
                return

    def send(self, text):
        self.do(self.connection.send(text.encode()))

    def received(self):
        return list(self.got)

    def close(self):
        self.do(self.connection.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class Nice:
    """libnice, in C."""

    def __init__(self, where, controlling, relay=None, stun=None, only_relay=False, bind=(), regular=True):
        self.program = Program("nice_peer", where)
        self.program.wish("start", controlling=controlling, regular=regular, bind=list(bind), relay=relay or "", stun=stun or "",
                          only_relay=only_relay, user=lab.LAB_USER, password=lab.LAB_PASSWORD)

    def description(self):
        local = self.program.wait("gathered", seconds=20)
        return local["fragment"], local["password"], local["candidates"]

    def accept(self, description):
        fragment, password, candidates = description
        self.program.wish("remote", fragment=fragment, password=password, candidates=candidates)

    def connected(self):
        return self.program.wait("ready", seconds=20)

    def send(self, text):
        self.program.wish("send", data=text)

    def received(self):
        self.program.take()
        return [event["data"] for event in self.program.events if event["event"] == "data"]

    def close(self):
        self.program.close()


def types(description):
    """Of its candidates, each once."""
    return sorted({re.search(r" typ (\w+)", text)[1] for text in description[2]})


def voices(agent):
    return [word for word in agent.received() if word.startswith("voice")]


def came(receiver, count, seconds=5, word=""):
    """`count` voice packets, or this word."""
    deadline = time.monotonic() + seconds
    while word not in receiver.received() if word else len(voices(receiver)) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(voices(receiver))} of {count} packets came to {type(receiver).__name__} within {seconds} s")
        time.sleep(0.001)


def greet(ours, nice):
    """libnice throws away ChannelData that overtakes the answer to its ChannelBind, which RFC 8656 (12) tells clients to expect. When a
    word has come through both ways, that answer has come as well."""
    for number in range(50):
        for one in ours, nice:
            one.send(f"hello {number}")
        with contextlib.suppress(AssertionError):
            for one in ours, nice:
                came(one, 1, 0.2, f"hello {number}")
            return
    raise AssertionError("nothing came through the channels")


def meet(ours, other, offered=None):
    """Both find each other and PACKETS go each way, one after the other, none lost, none twice, none out of order. `offered`: the
    types of our candidates. Returns the pair of ours."""
    mine, theirs = ours.description(), other.description()
    if offered is not None:
        expect("types of candidates", types(mine), sorted(offered))
    ours.accept(theirs)
    other.accept(mine)
    pair = ours.connected()
    other.connected()
    if isinstance(other, Nice):
        greet(ours, other)
    for number in range(PACKETS):
        for sender, receiver in (ours, other), (other, ours):
            sender.send(f"voice {number}")
            came(receiver, number + 1)
    for agent in ours, other:
        expect("received", voices(agent), [f"voice {n}" for n in range(PACKETS)])
    counters = ours.counters()
    bad = {name: counters[name] for name in ("ignored_malformed", "ignored_integrity", "ignored_fingerprint", "ignored_incomplete",
                                             "ignored_error") if counters[name]}
    expect("ignored", bad, {})
    ours.close()
    other.close()
    return pair
