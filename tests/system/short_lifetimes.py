# SPDX-License-Identifier: BSD-3-Clause
"""Lets minutes pass in seconds: stands between the control plane and the dataplane on their socket and shortens the
lifetimes in what is installed. Both daemons are the real ones and know nothing of it; the dataplane's own clock
ends the mapping, on its fast path, as it would after ten minutes.

    relay-controlplane -- run-short/dataplane.sock --> this -- run/dataplane.sock --> relay-dataplane
"""
import os
import pathlib
import socket
import struct
import threading

import lab

# Numbers and offsets of dataplane/api/messages.h: enum api_type; lifetime_ms in each payload.
ALLOCATION_INSTALL, ALLOCATION_REFRESH, PERMISSIONS_INSTALL, CHANNEL_BIND, LEASE_SET, HANDLES_INSTALL = 16, 17, 19, 20, 112, 114
HEADER = struct.Struct("<IIi")
OFFSETS = {ALLOCATION_INSTALL: [("allocation", 120)], ALLOCATION_REFRESH: [("allocation", 8)],
           PERMISSIONS_INSTALL: [("permission", 8)], CHANNEL_BIND: [("channel", 8), ("permission", 12)],
           LEASE_SET: [("lease", 88)], HANDLES_INSTALL: [("handle", 144)]}
DATAGRAM = 1 << 17


class ShortLifetimes:
    """Milliseconds for allocation, permission, channel, lease and handle; None: as the control plane says."""

    def __init__(self, **limits):
        self.limits = {name: limits.get(name) for name in ("allocation", "permission", "channel", "lease", "handle")}
        self.shortened = 0
        directory = pathlib.Path(os.environ["LAB_DIR"])
        lab.shell("lab_controlplane_stop TERM")
        own = directory / "run-short"
        own.mkdir()
        self.config = directory / "short.conf"
        self.config.touch(mode=0o600)
        self.config.write_text((directory / "blindrelay.conf").read_text().replace(
            f"run = {directory}/run\n", f"run = {own}\n"))
        self.target = str(directory / "run/dataplane.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(own / "dataplane.sock"))
        self.listener.listen()
        os.environ["LAB_CONTROL"] = str(own / "control.sock")
        os.environ["LAB_CONFIG"] = str(self.config)
        threading.Thread(target=self.accept, daemon=True).start()
        start_control_plane()

    def accept(self):
        while True:
            upper, _ = self.listener.accept()
            lower = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            lower.connect(self.target)
            for sock in upper, lower:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
            threading.Thread(target=self.carry, args=(upper, lower, self.shorten), daemon=True).start()
            threading.Thread(target=self.carry, args=(lower, upper, bytes), daemon=True).start()

    @staticmethod
    def carry(source, destination, change):
        try:
            while data := source.recv(DATAGRAM):
                destination.send(change(data))
        except OSError:
            pass
        for sock in source, destination:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def shorten(self, data):
        out, at = bytearray(data), 0
        while at + HEADER.size <= len(out):
            _, kind, length = HEADER.unpack_from(out, at)
            for what, offset in OFFSETS.get(kind, []):
                place = at + HEADER.size + offset
                lifetime = struct.unpack_from("<I", out, place)[0]
                limit = self.limits[what]
                if limit is not None and lifetime > limit:
                    struct.pack_into("<I", out, place, limit)
                    self.shortened += 1
            at += HEADER.size + (max(length, 0) + 3 & ~3)
        return bytes(out)


def start_control_plane():
    """With the configuration in LAB_CONFIG; returns when it serves."""
    lab.shell("lab_spawn controlplane relay \"$LAB_BIN/relay-controlplane\" -c \"$LAB_CONFIG\"")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the control plane to serve")
