#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A WebRTC call (python3-aiortc) with audio and a data channel, relayed candidates only: DTLS, SRTP and
SCTP of both sides pass the relay, which is relay to relay here.

    caller == TURN ==> [ relayed a <-> relayed b ] <== TURN == callee
     client                    relay                   client
"""
# light
import asyncio
import fractions

import lab

lab.enter()

import aioice  # noqa: E402  (only inside the lab)
import aioice.ice  # noqa: E402
import av  # noqa: E402
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription  # noqa: E402
from aiortc.mediastreams import AudioStreamTrack  # noqa: E402

FRAMES, MESSAGES = 100, 50


class Tone(AudioStreamTrack):
    """A square wave that a decoder cannot take for silence."""
    at = 0

    async def recv(self):
        await asyncio.sleep(0.02)
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        frame.planes[0].update(b"".join((8000 if n // 48 % 2 else -8000).to_bytes(2, "little", signed=True)
                                        for n in range(960)))
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.at, fractions.Fraction(1, 48000)
        self.at += 960
        return frame


def relay_only(connection):
    """aiortc does not pass a transport policy on: it is set on each ICE connection it made."""
    for transceiver in connection.getTransceivers():
        transceiver.sender.transport.transport.iceGatherer._connection._transport_policy = aioice.TransportPolicy.RELAY
    if connection.sctp:
        connection.sctp.transport.transport.iceGatherer._connection._transport_policy = aioice.TransportPolicy.RELAY


def candidates(description):
    return [line.split(" typ ")[1].split()[0] for line in description.sdp.splitlines() if line.startswith("a=candidate:")]


async def call():
    servers = RTCConfiguration([RTCIceServer(f"turn:{lab.RELAY4}:3478", lab.LAB_USER, lab.LAB_PASSWORD)])
    caller, callee = RTCPeerConnection(servers), RTCPeerConnection(servers)
    loud, echoed, done = 0, [], asyncio.Event()

    async def listen(track):
        nonlocal loud
        while loud < FRAMES:
            frame = await track.recv()
            loud += max(abs(s) for s in frame.to_ndarray().flatten().tolist()) > 1000
        done.set()

    callee.on("track", lambda track: asyncio.ensure_future(listen(track)))
    callee.on("datachannel", lambda channel: channel.on("message", lambda text: channel.send(text.upper())))
    caller.addTrack(Tone())
    data = caller.createDataChannel("chat")
    all_echoed = asyncio.Event()

    @data.on("open")
    def opened():
        for number in range(MESSAGES):
            data.send(f"hello {number}")

    @data.on("message")
    def message(text):
        echoed.append(text)
        if len(echoed) == MESSAGES:
            all_echoed.set()

    offer = await caller.createOffer()
    relay_only(caller)
    await caller.setLocalDescription(offer)
    await callee.setRemoteDescription(caller.localDescription)
    answer = await callee.createAnswer()
    relay_only(callee)
    await callee.setLocalDescription(answer)
    await caller.setRemoteDescription(callee.localDescription)
    for side in caller, callee:
        kinds = set(candidates(side.localDescription))
        assert kinds == {"relay"}, f"expected relayed candidates only, saw {kinds}"
    await asyncio.wait_for(asyncio.gather(done.wait(), all_echoed.wait()), 60)
    assert echoed == [f"HELLO {n}" for n in range(MESSAGES)], echoed
    print(f"{loud} loud audio frames heard, {len(echoed)} data channel messages answered in order")
    await caller.close()
    await callee.close()


with lab.namespace("client"):
    asyncio.run(asyncio.wait_for(call(), 90))
