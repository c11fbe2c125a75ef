#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""libnice (the ICE of GStreamer's WebRTC) with force-relay on both sides: RTP and RTCP components connect
through relayed candidates and exchange packets. The C library is driven directly, through ctypes.

    agent a == TURN ==> [ relayed a <-> relayed b ] <== TURN == agent b
      client                    relay                    client
"""
# light
import ctypes
import json
import time

import lab

lab.enter()

try:
    nice = ctypes.CDLL("libnice.so.10")
    glib = ctypes.CDLL("libglib-2.0.so.0")
    gobject = ctypes.CDLL("libgobject-2.0.so.0")
except OSError as missing:
    lab.skip(f"libnice is not installed: {missing}")

RFC5245, TURN_UDP, READY = 0, 0, 4
COMPONENTS, PACKETS = 2, 50
pointer, u32, text = ctypes.c_void_p, ctypes.c_uint, ctypes.c_char_p
for function, result, arguments in (
        (glib.g_main_context_new, pointer, []), (glib.g_main_context_iteration, u32, [pointer, u32]),
        (glib.g_main_context_push_thread_default, None, [pointer]),
        (nice.nice_agent_new, pointer, [pointer, u32]), (nice.nice_agent_add_stream, u32, [pointer, u32]),
        (nice.nice_agent_set_stream_name, u32, [pointer, u32, text]),
        (nice.nice_agent_set_relay_info, u32, [pointer, u32, u32, text, u32, text, text, u32]),
        (nice.nice_agent_gather_candidates, u32, [pointer, u32]),
        (nice.nice_agent_attach_recv, u32, [pointer, u32, u32, pointer, pointer, pointer]),
        (nice.nice_agent_generate_local_sdp, text, [pointer]),
        (nice.nice_agent_parse_remote_sdp, ctypes.c_int, [pointer, text]),
        (nice.nice_agent_get_component_state, u32, [pointer, u32, u32]),
        (nice.nice_agent_send, ctypes.c_int, [pointer, u32, u32, u32, text]),
        (gobject.g_object_unref, None, [pointer])):
    function.restype, function.argtypes = result, arguments
RECEIVE = ctypes.CFUNCTYPE(None, pointer, u32, u32, u32, pointer, pointer)


class Agent:
    def __init__(self, context, controlling):
        self.handle = nice.nice_agent_new(context, RFC5245)
        for name, value in (b"controlling-mode", controlling), (b"force-relay", 1), (b"upnp", 0), (b"ice-tcp", 0):
            gobject.g_object_set(pointer(self.handle), text(name), u32(value), None)
        self.stream = nice.nice_agent_add_stream(self.handle, COMPONENTS)
        nice.nice_agent_set_stream_name(self.handle, self.stream, b"audio")
        self.received = []
        self.callback = RECEIVE(lambda _a, _s, component, length, data, _u:
                                self.received.append((component, ctypes.string_at(data, length))))
        for component in range(1, COMPONENTS + 1):
            assert nice.nice_agent_set_relay_info(
                self.handle, self.stream, component, lab.RELAY4.encode(), 3478, lab.LAB_USER.encode(),
                lab.LAB_PASSWORD.encode(), TURN_UDP)
            nice.nice_agent_attach_recv(self.handle, self.stream, component, context, self.callback, None)
        assert nice.nice_agent_gather_candidates(self.handle, self.stream)

    def description(self):
        return nice.nice_agent_generate_local_sdp(self.handle)

    def candidates(self):
        return [line for line in self.description().decode().splitlines() if line.startswith("a=candidate:")]

    def ready(self):
        return all(nice.nice_agent_get_component_state(self.handle, self.stream, c) == READY
                   for c in range(1, COMPONENTS + 1))


def turn(context, condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        if not glib.g_main_context_iteration(context, 0):
            time.sleep(0.002)
    return True


def turn_until(context, condition, seconds, what):
    assert turn(context, condition, seconds), f"waited {seconds} s for {what}"


def say(agents, payload):
    for component in range(1, COMPONENTS + 1):
        for sender in agents:
            assert nice.nice_agent_send(sender.handle, sender.stream, component, len(payload), payload) == len(payload)


def heard(agents, payload):
    return all((component, payload) in agent.received for agent in agents for component in range(1, COMPONENTS + 1))


def channels_bound():
    return sum(worker["events"]["channels_bound"] for worker in json.loads(lab.relayctl("-j", "stats").stdout)["workers"])


def channels_confirmed(context, agents):
    """An agent that is ready may still await the reply to its ChannelBind, and libnice throws away ChannelData that
    overtakes it, which RFC 8656 (12) tells clients to expect. Once all are bound and data arrives, all are confirmed."""
    if not lab.coturn():
        turn_until(context, lambda: channels_bound() >= len(agents) * COMPONENTS, 10, "every component's channel")
    for number in range(50):
        say(agents, b"hello %d" % number)
        if turn(context, lambda: heard(agents, b"hello %d" % number), 0.2):
            break
    else:
        raise AssertionError("nothing came through the channels")
    for agent in agents:
        agent.received.clear()


with lab.namespace("client"):
    context = glib.g_main_context_new()
    glib.g_main_context_push_thread_default(context)
    a, b = Agent(context, 1), Agent(context, 0)
    turn_until(context, lambda: len(a.candidates()) == len(b.candidates()) == COMPONENTS, 20, "relayed candidates")
    for agent in a, b:
        assert all(" typ relay " in line for line in agent.candidates()), agent.candidates()
    assert nice.nice_agent_parse_remote_sdp(a.handle, b.description()) > 0
    assert nice.nice_agent_parse_remote_sdp(b.handle, a.description()) > 0
    turn_until(context, lambda: a.ready() and b.ready(), 30, "both agents to be ready")
    channels_confirmed(context, (a, b))
    for number in range(PACKETS):
        say((a, b), b"packet %d" % number)
        turn_until(context, lambda n=number: len(a.received) == len(b.received) == COMPONENTS * (n + 1), 5, "a packet")
    for agent in a, b:
        for component in range(1, COMPONENTS + 1):
            assert [d for c, d in agent.received if c == component] == [b"packet %d" % n for n in range(PACKETS)]
    print(f"{COMPONENTS} components, {PACKETS} packets each way in order, relayed candidates only")
    gobject.g_object_unref(a.handle)
    gobject.g_object_unref(b.handle)
