#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two calls that a person can watch, at the end of `make run`: one that goes direct, and one between the same two people
while something in the middle lets them reach the relay only. In its middle the way opens, and closes again. Each line
is what relaycall says, with the time since the call was made.

The exit code is 0 only when each call took the paths it should, and nobody's voice stopped for longer than 300 ms.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))
import lab  # noqa: E402
import pairs  # noqa: E402

DELAY_MS = 20
LONGEST_GAP_MS = 300


def people():
    return [pairs.host(name) for name in ("anna", "ben")]


def relaycall(who, *arguments, **how):
    home = pathlib.Path(lab.LAB_DIR, who.name)
    return who.popen(os.environ["LAB_BIN"] + "/relaycall", "--identity", home.with_suffix(".id"), *arguments, text=True,
                     stdin=subprocess.DEVNULL, start_new_session=True, **how)


class Voice:
    """One end of a call: relaycall, its lines, and what it counted."""

    def __init__(self, who, begun, *arguments):
        self.who, self.begun, self.lines = who, begun, []
        self.hangs_up_last = False
        self.stats = pathlib.Path(lab.LAB_DIR, f"{who.name}.stats")
        self.stats.unlink(missing_ok=True)
        self.process = relaycall(who, *arguments, "--in", "speech", "--out", "none", "--stats", self.stats,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=1)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if self.begun:
                # Two threads write: a line and its end at once.
                sys.stdout.write(f"  {time.monotonic() - self.begun:5.1f} s  {self.who.name:4}  {line.rstrip()}\n")
                sys.stdout.flush()

    def said(self, words):
        return any(words in line for line in self.lines)

    def wait_for(self, words, seconds):
        lab.wait_for(lambda: self.said(words) or self.process.poll() is not None, seconds, f"{self.who.name}: {words}")
        if not self.said(words):
            raise RuntimeError(f"{self.who.name}'s relaycall ended before it said \"{words}\"")

    def end(self):
        """What was counted, once it has ended; hangs up unless the other side has."""
        try:
            self.process.wait(3 if self.hangs_up_last else 0)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(15)
        self.reader.join(5)
        text = self.stats.read_text().strip() if self.stats.exists() else ""
        return json.loads(text.splitlines()[-1]) if text else None


def card_of(who):
    done = relaycall(who, "id", "--relay", pairs.relay(1).address4, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, trouble = done.communicate()
    if done.returncode:
        raise RuntimeError(f"relaycall id: {trouble}")
    return out.strip()


def know_each_other(anna, ben):
    for one, name, other in (anna, "ben", ben), (ben, "anna", anna):
        done = relaycall(one, "contacts", "add", name, card_of(other), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = done.communicate()
        if done.returncode:
            raise RuntimeError(f"relaycall contacts add: {out}")


def between(anna, ben, blocked):
    """What stands in the middle: with it only the relay can be reached."""
    rules = "delete table ip between" if not blocked else f"""table ip between {{
 chain forward {{ type filter hook forward priority filter; policy accept;
  ip saddr {anna.outside4} ip daddr {ben.outside4} drop
  ip saddr {ben.outside4} ip daddr {anna.outside4} drop
 }}
}}"""
    done = lab.run_in("core", "nft", "-f", "-", input=f"table ip between\n{rules}\n")
    if done.returncode:
        raise RuntimeError(f"nft: {done.stderr}")


def call(anna, ben, scene):
    """One call; scene(caller, callee) is what happens while both talk. Returns what each counted."""
    listening = Voice(ben, None, "answer", "--auto", "--once")
    ends = []
    try:
        listening.wait_for("registered", 20)
        listening.begun = time.monotonic()
        calling = Voice(anna, listening.begun, "call", "ben")
        ends, listening.hangs_up_last = [calling, listening], True
        calling.wait_for("answered", 20)
        scene(calling, listening)
    finally:
        counted = [end.end() for end in ends or [listening]]
    return counted


def talk(seconds):
    time.sleep(seconds)  # people talk; nothing is waited for


def judged(name, counted, first, changes):
    """Whether the call was as it should be, in words."""
    trouble = []
    for end in counted:
        if end is None:
            trouble.append("an end counted nothing")
            continue
        taken = [change["now"] for change in end["changes"]]
        who = end["peer"]["name"]
        if not taken or taken[0] != [first]:
            trouble.append(f"the call with {who} began on {taken[:1]}, not by {first}")
        if changes and not any("direct" in now for now in taken[1:]):
            trouble.append(f"the call with {who} did not find the direct path: {taken}")
        if end["voice"]["longest_gap_ms"] > LONGEST_GAP_MS:
            trouble.append(f"{end['voice']['longest_gap_ms']} ms of {who}'s voice are missing")
    if not trouble:
        gaps = " and ".join(f"{end['voice']['longest_gap_ms']} ms" for end in counted)
        lost = sum(end["voice"]["lost"] for end in counted)
        print(f"  as it should be: {lost} frames lost, longest gap {gaps}")
    for line in trouble:
        print(f"  FAILED: {name}: {line}")
    return not trouble


def main():
    anna, ben = people()
    know_each_other(anna, ben)
    good = True
    print(f"anna and ben, each behind a NAT of their own, {DELAY_MS} ms from the relay: the first call goes direct", flush=True)
    good &= judged("the first call", call(anna, ben, lambda *_: talk(4)), "direct", False)

    def opens_and_closes(caller, callee):
        for end in caller, callee:
            end.wait_for("path: relay", 5)
        talk(2)
        print("           the way between them opens", flush=True)
        between(anna, ben, False)
        for end in caller, callee:
            lab.wait_for(lambda end=end: any("direct" in line for line in end.lines), 40, f"{end.who.name}: a direct path")
        talk(2)
        print("           and is cut", flush=True)
        between(anna, ben, True)
        talk(3)

    print("the same two, while something between them lets only the relay through: the second call needs the relay", flush=True)
    between(anna, ben, True)
    good &= judged("the second call", call(anna, ben, opens_and_closes), "relay", True)
    return 0 if good else 1


if __name__ == "__main__":
    # enter starts this again inside a lab.
    pairs.enter("anna=cone ben=cone", delay=DELAY_MS)
    try:
        code = main()
    except KeyboardInterrupt:
        print("interrupted")
        code = 130
    sys.exit(code)
