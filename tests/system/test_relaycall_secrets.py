#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# light
"""What relaycall keeps of an identity's secrets while it waits: the seeds are not in its memory, as bytes or as text;
a crash leaves no core, neither as a file nor for a program that takes them. Needs root and no network but loopback.

The delivery seed stays, as bytes, with whoever takes calls: a phone registers at relays that it learns of later.
"""
import base64
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

RELAYCALL = os.path.abspath(os.environ.get("LAB_BIN", "build/bin") + "/relaycall")
if os.geteuid() != 0:
    print("reading another process's memory needs root")
    sys.exit(77)


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def memory(pid):
    """All that the process can write to, one mapping after the other."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        start, end, rights = re.match("([0-9a-f]+)-([0-9a-f]+) (....)", line).groups()
        size = int(end, 16) - int(start, 16)
        # A sanitizer's shadow is larger than any machine.
        if rights[:2] == "rw" and "[v" not in line and size < 1 << 30:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
                file.seek(int(start, 16))
                yield line, file.read(size)


def found(pid, secret):
    return [line for line, content in memory(pid) if secret in content]


class Listening:
    """`relaycall VERB`, until it waits for a relay that is not there."""

    def __init__(self, folder, *verb):
        self.folder = folder
        relay = ["--relay", "127.0.0.1:9"]
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.process = subprocess.Popen([RELAYCALL, "--identity", folder + "/identity", *verb, *relay], cwd=folder,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while "ep_poll" not in self.waits():
            assert self.process.poll() is None and time.monotonic() < deadline, f"{verb} does not wait: {self.waits()}"
            time.sleep(0.01)

    def waits(self):
        """What its first thread does in the kernel, once it has a socket."""
        sockets = [os.readlink(f"/proc/{self.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.process.pid}/fd")]
        has_socket = any(target.startswith("socket:") for target in sockets)
        number = pathlib.Path(f"/proc/{self.process.pid}/syscall").read_text().split()[0]
        # epoll_pwait, epoll_wait, epoll_pwait2
        return "ep_poll" if has_socket and number in ("281", "232", "441") else number


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([RELAYCALL, "--identity", folder + "/identity", "id", "--relay", "127.0.0.1:9"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    text = pathlib.Path(folder + "/identity").read_text()
    seeds = {name: re.search(f"^{name} = (.*)$", text, re.M).group(1) for name in ("identity-seed", "delivery-seed", "namespace")}
    failed = 0
    for verb in (["listen"], ["answer", "--auto", "--in", "tone", "--out", "none"]):
        listening = Listening(folder, *verb)
        pid = listening.process.pid
        # That it would be found if it were there: the namespace id is no secret, and is used all the time.
        assert found(pid, decoded(seeds["namespace"])), f"{verb[0]}: the namespace is not found: nothing would be"
        for name in ("identity-seed", "delivery-seed"):
            for form, secret in (("bytes", decoded(seeds[name])), ("text", seeds[name].encode())):
                where = found(pid, secret)
                if where and (verb[0], name, form) != ("answer", "delivery-seed", "bytes"):
                    print(f"{verb[0]}: {name} as {form} in {where}")
                    failed = 1
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        if not re.search("^Max core file size +1 +1 ", limits, re.M):
            print(f"{verb[0]}: it may leave a core: {limits}")
            failed = 1
        listening.process.send_signal(signal.SIGABRT)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status) or os.WCOREDUMP(status) or any("core" in name for name in os.listdir(folder)):
            print(f"{verb[0]}: status {status:#x} and {os.listdir(folder)} after SIGABRT")
            failed = 1
        listening.process.stdout.close()
        listening.process.returncode = status
        print(f"{verb[0]}: looked at")
sys.exit(failed)
