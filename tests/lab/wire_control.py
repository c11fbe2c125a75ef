# SPDX-License-Identifier: BSD-3-Clause
"""Orders to the wire program (tests/lab/README.md has the words)."""
import json
import os
import pathlib
import socket
import tempfile
import time


class Refused(Exception):
    """The wire program's own words."""


class Wire:
    def __init__(self, path, seconds=10):
        self.own = pathlib.Path(tempfile.mktemp(prefix=f"order{os.getpid()}.", dir=pathlib.Path(path).parent))
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.own))
        self.sock.settimeout(5)
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.sock.connect(str(path))
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def __del__(self):
        self.sock.close()
        self.own.unlink(missing_ok=True)

    def order(self, line):
        """What stands behind "ok"."""
        self.sock.send(line.encode())
        answer = self.sock.recv(8192).decode()
        if not answer.startswith("ok"):
            raise Refused(f"wire: {line}: {answer}")
        return answer[2:].strip()

    def set(self, name, way="", **qualities):
        """delay=25, jitter=3, loss=1.5, duplicate=1, reorder=(1, 30), burst=(0.5, 10, 100), cut=True; way: "out", "in", or both."""
        def text(value):
            if isinstance(value, bool):
                return "yes" if value else "no"
            return ",".join(f"{part:g}" for part in (value if isinstance(value, (tuple, list)) else (value,)))
        self.order(f"set {name} {way} " + " ".join(f"{key}={text(value)}" for key, value in qualities.items()))

    def show(self, name):
        return json.loads(self.order(f"show {name}"))
