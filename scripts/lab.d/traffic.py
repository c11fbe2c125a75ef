#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Voice-like traffic through the lab's relay and what a person wants to see of it.

turnutils_uclient (two clients, 160 bytes every 20 ms, by channels, to turnutils_peer and back) is the
traffic that counts. Its clock has milliseconds only, so a client of our own sends the same kind of packet
beside it and measures the round trip. So does a call by handle of the native protocol, and relaycall sends a
line now and then. With a terminal: a view that is redrawn every second, until Ctrl-C.
Without one, or with ONCE=1: one round. The exit code is 0 only when traffic flowed and nothing was lost.
"""
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests/system"))
import lab  # noqa: E402
import turn_client  # noqa: E402
from native_call import HandleCall, Lines  # noqa: E402

CLIENTS, PACKETS, BYTES, INTERVAL_MS, CHANNEL = 2, 500, 160, 20, 0x4000
ECHO_PORT = 3480


class Probe(threading.Thread):
    """One allocation of our own; a packet every 20 ms; the round trips of the last seconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.client = lab.client()
        peer = (lab.PEER4, ECHO_PORT)
        for what, response in (("Allocate", self.client.allocate()), ("ChannelBind", self.client.bind(CHANNEL, peer))):
            if response.kind != turn_client.SUCCESS:
                raise RuntimeError(f"{what} was refused: {response}")
        self.stopping = threading.Event()
        self.sent = self.back = 0
        self.unanswered = False  # the Refresh that ends it
        self.recent, self.all = [], []

    def run(self):
        waiting, due, renew = {}, time.monotonic(), time.monotonic() + 240
        while not self.stopping.is_set() or waiting and time.monotonic() < due + 1:
            now = time.monotonic()
            if now >= due and not self.stopping.is_set():
                waiting[self.sent] = now
                self.client.send_channel(CHANNEL, self.sent.to_bytes(8, "big") + bytes(BYTES - 8))
                self.sent += 1
                due += INTERVAL_MS / 1000
            if now >= renew and not self.stopping.is_set():
                self.client.bind(CHANNEL, (lab.PEER4, ECHO_PORT))
                self.client.refresh(600)
                renew = now + 240
            select.select([self.client.sock], [], [], max(0, min(due - time.monotonic(), 0.02)) if not self.stopping.is_set() else 0.02)
            try:
                data, source = self.client.sock.recvfrom(2048)
            except (BlockingIOError, ConnectionError):
                continue
            arrived = time.monotonic()
            self.client.inbox.append((data, source))
            while item := self.client.take():
                begun = waiting.pop(int.from_bytes(item[2][:8], "big"), None)
                if begun is not None:
                    self.back += 1
                    self.recent.append((arrived, (arrived - begun) * 1000))
                    self.all.append((arrived - begun) * 1000)
        try:
            self.client.refresh(0)
        except turn_client.Silence:
            self.unanswered = True

    def stop(self):
        self.stopping.set()
        self.join()

    def latencies(self, seconds=5):
        since = time.monotonic() - seconds
        self.recent = [(at, ms) for at, ms in self.recent if at >= since]
        return sorted(ms for _, ms in self.recent)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def latency_text(ordered):
    if not ordered:
        return "no round trip yet"
    return f"p50 {percentile(ordered, .5):.2f} ms  p99 {percentile(ordered, .99):.2f} ms  max {ordered[-1]:.2f} ms"


class Round:
    """One run of turnutils_uclient, read while it goes."""

    def __init__(self):
        self.sent = self.back = 0
        self.lost = None
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", lab.NS_CLIENT, "stdbuf", "-oL", "turnutils_uclient", "-c", "-n", str(PACKETS),
             "-m", str(CLIENTS), "-l", str(BYTES), "-z", str(INTERVAL_MS), "-u", lab.LAB_USER, "-w", lab.LAB_PASSWORD,
             "-e", lab.PEER4, lab.RELAY4],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            if found := re.search(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", line):
                self.sent, self.back = int(found[1]), int(found[2])
            elif found := re.search(r"Total lost packets (\d+)", line):
                self.lost = int(found[1])

    def running(self):
        return self.process.poll() is None

    def end(self):
        if self.running():
            self.process.terminate()
        self.process.wait()
        self.reader.join(2)

    def good(self):
        return self.lost == 0 and self.sent == self.back == CLIENTS * PACKETS


def status_lines():
    if lab.coturn():
        return ["(turnserver has no relayctl)"]
    done = lab.relayctl("status")
    return (done.stdout if done.returncode == 0 else done.stderr).rstrip().splitlines()


def leases_and_handles():
    status = lab.status()["registration"]
    return f"{status['leases']} leases, {status['handles']} handles"


def native_lines(call, lines):
    return [] if call is None else [
        f"call by handle      sent {call.sent:>7}   back {call.back:>7}"
        f"      round trip, last 5 s: {latency_text(call.latencies())}",
        f"relaycall           sent {lines.sent:>7}   read {len(lines.heard):>7}      lines, each in a call of its own",
    ]


def view(number, begun, totals, current, probe, native):
    sent, back = totals[0] + current.sent, totals[1] + current.back
    flight = current.sent - current.back if current.running() else 0
    return [
        f"lab   client {lab.CLIENT4} ==> relay {lab.RELAY4} --> peer {lab.PEER4} and back"
        f"      round {number}, {time.monotonic() - begun:.0f} s",
        "",
        f"turnutils_uclient   sent {sent:>7}   back {back:>7}   lost {sent - back - flight:>4}"
        f"      {CLIENTS} clients, {BYTES} bytes every {INTERVAL_MS} ms",
        f"own probe           sent {probe.sent:>7}   back {probe.back:>7}"
        f"      round trip, last 5 s: {latency_text(probe.latencies())}",
        *native_lines(*native),
        "",
        *("  " + line for line in status_lines()),
        "",
        "Ctrl-C ends it.  In another terminal: make lab (a lab to work in), man relayctl",
    ]


def main():
    once = bool(os.environ.get("ONCE")) or not sys.stdout.isatty()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    probe = Probe()
    probe.start()
    # turnserver knows nothing of the native protocol.
    call, letters = (None, None) if lab.coturn() else (HandleCall(BYTES, INTERVAL_MS / 1000), Lines())
    for one in call, letters:
        if one:
            one.start()
    begun, number, totals, bad, finished, drawn = time.monotonic(), 0, [0, 0], 0, 0, 0
    current = None
    try:
        while True:
            number += 1
            current = Round()
            while current.running():
                time.sleep(1)
                if once:
                    print(f"{time.monotonic() - begun:4.0f} s  sent {current.sent:5}  back {current.back:5}"
                          f"  round trip {latency_text(probe.latencies())}"
                          + (f"  by handle {call.back} of {call.sent}; {leases_and_handles()}" if call else ""), flush=True)
                else:
                    lines = view(number, begun, totals, current, probe, (call, letters))
                    print(f"\033[{drawn}A\033[J" * bool(drawn) + "\n".join(lines), flush=True)
                    drawn = len(lines)
            current.end()
            totals[0] += current.sent
            totals[1] += current.back
            finished += 1
            bad += not current.good()
            current = None
            if once:
                break
    except KeyboardInterrupt:
        print()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if current is not None:
        current.end()
        print(f"the round that was cut short: sent {current.sent}, back {current.back}, the rest on its way")
    probe.stop()
    for one in call, letters:
        if one:
            one.stop()
            if one.trouble:
                print(one.trouble)
                bad += 1
    if probe.unanswered:
        print("the relay did not answer the probe's last Refresh")
        bad += 1
    lost = probe.sent - probe.back
    print(f"turnutils_uclient: sent {totals[0]}, back {totals[1]}, lost {totals[0] - totals[1]} in {finished} rounds")
    print(f"own probe:         sent {probe.sent}, back {probe.back}, lost {lost}; round trip {latency_text(sorted(probe.all))}")
    if call:
        bad += call.sent != call.back
        print(f"call by handle:    sent {call.sent}, back {call.back}, lost {call.sent - call.back}; round trip {latency_text(sorted(call.all))}")
        print(f"relaycall:         sent {letters.sent} lines, {len(letters.heard)} arrived")
    if once:
        print("relayctl status:", *("  " + line for line in status_lines()), sep="\n")
    good = not bad and probe.back > 0 and lost == 0 and (finished > 0 or not once)
    print("no packet was lost" if good else "FAILED: packets were lost, or none flowed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
