# SPDX-License-Identifier: BSD-3-Clause
"""What the Python tests of this folder share: a lab around them, sockets in its namespaces, checks.

`enter(...)` starts the test again inside `scripts/lab with`, so there is one description of the lab
(scripts/lab.d/lab.sh). A process opens sockets in any namespace: a socket stays where it was made.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback

from turn_client import Client, Silence

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
CLIENTS = []  # made by client() and not yet released
CLIENT_ENDPOINTS = set()  # all that client() ever had
AFTER_CHECK = []  # called after each check, by modules that make more


def enter(**knobs):
    """Returns inside a running lab. Knobs: those of lab.sh in lower case without LAB_ (workers=2, relay="coturn")."""
    if "LAB_DIR" in os.environ:
        return
    environment = dict(os.environ)
    for name, value in knobs.items():
        name = name.upper()
        environment.setdefault(name if name in ("RELAY", "CAPTURE", "KEEP") else "LAB_" + name, str(value))
    os.execvpe(str(ROOT / "scripts/lab"), [str(ROOT / "scripts/lab"), "with", "/usr/bin/python3", *sys.argv], environment)


def __getattr__(name):
    """lab.CLIENT4, lab.RELAY6B, lab.LAB_USER...: what lab.sh exported."""
    try:
        return os.environ[name]
    except KeyError:
        raise AttributeError(name) from None


def coturn():
    return os.environ.get("RELAY") == "coturn"


@contextlib.contextmanager
def namespace(name):
    """This thread is in namespace client, relay or peer within the block."""
    with open("/proc/thread-self/ns/net") as own, open(f"/run/netns/{os.environ['LAB_NAME']}-{name}") as there:
        if LIBC.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to {name}")
        try:
            yield
        finally:
            LIBC.setns(own.fileno(), CLONE_NEWNET)


def udp(where, address, port=0):
    """A UDP socket in namespace `where`, bound. Any address "behind" the client or peer will do (AnyIP)."""
    with namespace(where):
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        sock.bind((address, port))
    sock.settimeout(3)
    return sock


def client(address=None, server=None, user="default", password=None, port=0):
    """A TURN client in the client namespace with the lab's credentials; user=None: none."""
    if server is None:
        server = os.environ["RELAY6" if address and ":" in address else "RELAY4"]
    if address is None:
        address = os.environ["CLIENT6" if ":" in server else "CLIENT4"]
    if user == "default":
        user, password = os.environ["LAB_USER"], os.environ["LAB_PASSWORD"]
    sock = udp("client", address, port)
    while not port and endpoint(sock) in CLIENT_ENDPOINTS:  # an allocation from there may live still
        sock.close()
        sock = udp("client", address)
    CLIENT_ENDPOINTS.add(endpoint(sock))
    made = Client(sock, (server, 3478), user, password)
    CLIENTS.append(made)
    return made


def release():
    """Ends the allocations of all clients made so far and closes their sockets."""
    while CLIENTS:
        one = CLIENTS.pop()
        try:
            if one.relayed and one.sock.fileno() >= 0:
                one.refresh(0)
        except (Silence, OSError):
            pass
        one.close()


def endpoint(sock):
    return sock.getsockname()[:2]


def receive(sock, seconds=3):
    """(data, source) or (None, None)."""
    sock.settimeout(seconds)
    try:
        data, source = sock.recvfrom(65536)
        return data, source[:2]
    except TimeoutError:
        return None, None


def wait_for(condition, seconds=10, what="the condition"):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.05)
    return found


def shell(function):
    """Runs a function of lab.sh, e.g. "lab_controlplane_start"."""
    return subprocess.run(["bash", "-c", f'. "$LAB_ROOT/scripts/lab.d/lab.sh"; {function}'], text=True,
                          capture_output=True, check=False, stdin=subprocess.DEVNULL)


def run_in(where, *command, **how):
    return subprocess.run(["ip", "netns", "exec", f"{os.environ['LAB_NAME']}-{where}", *command], text=True,
                          capture_output=True, check=False, **how)


def relayctl(*arguments):
    """The completed process of `relayctl -s SOCKET ...`."""
    return subprocess.run([os.environ["LAB_BIN"] + "/relayctl", "-s", os.environ["LAB_CONTROL"], *arguments],
                          text=True, capture_output=True, check=False, timeout=20)


def status():
    """`relayctl -j status` as a dictionary."""
    return json.loads(relayctl("-j", "status").stdout)


def pid(name):
    """Of dataplane, controlplane or turnserver."""
    return int(pathlib.Path(os.environ["LAB_DIR"], f"{name}.pid").read_text())


def xdp_statistics(process):
    """What the kernel counted for each AF_XDP socket of a process (getsockopt XDP_STATISTICS on a copy of it)."""
    pidfd_open, pidfd_getfd, sol_xdp, xdp_statistics_option = 434, 438, 283, 7
    names = "rx_dropped rx_invalid_descs tx_invalid_descs rx_ring_full rx_fill_ring_empty tx_ring_empty".split()
    handle, out = LIBC.syscall(pidfd_open, process, 0), []
    for entry in sorted(int(n) for n in os.listdir(f"/proc/{process}/fd")):
        copy = LIBC.syscall(pidfd_getfd, handle, entry, 0)
        if copy < 0:
            continue
        values, size = ctypes.create_string_buffer(48), ctypes.c_uint(48)
        if LIBC.getsockopt(copy, sol_xdp, xdp_statistics_option, values, ctypes.byref(size)) == 0:
            out.append(dict(zip(names, struct.unpack("6Q", values.raw))))
        os.close(copy)
    os.close(handle)
    return out


def skip(reason):
    print(reason)
    sys.exit(77)


# ---- frames as they are on the wire ----

class Frames:
    """What passes an interface of a namespace, both ways: (outgoing, parsed packet)."""

    def __init__(self, where, interface):
        with namespace(where):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.sock.bind((interface, 0))

    def next(self, match=lambda packet: True, seconds=3):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                frame, where = self.sock.recvfrom(65536)
            except TimeoutError:
                break
            packet = parse_frame(frame)
            if packet is not None:
                packet["outgoing"] = where[2] == socket.PACKET_OUTGOING
                if match(packet):
                    return packet
        return None

    def close(self):
        self.sock.close()


def parse_frame(frame):
    """A UDP packet's fields, or None. "ip_length" counts the IP header, as rules about amplification do."""
    at, kind = 14, struct.unpack("!H", frame[12:14])[0]
    if kind == 0x8100:
        at, kind = 18, struct.unpack("!H", frame[16:18])[0]
    if kind == 0x0800 and frame[at + 9] == 17:
        header = (frame[at] & 15) * 4
        out = {"version": 4, "tos": frame[at + 1], "ip_length": struct.unpack("!H", frame[at + 2:at + 4])[0],
               "id": struct.unpack("!H", frame[at + 4:at + 6])[0], "df": bool(frame[at + 6] & 0x40),
               "fragment": struct.unpack("!H", frame[at + 6:at + 8])[0] & 0x3FFF, "ttl": frame[at + 8],
               "source": socket.inet_ntop(socket.AF_INET, frame[at + 12:at + 16]),
               "destination": socket.inet_ntop(socket.AF_INET, frame[at + 16:at + 20])}
    elif kind == 0x86DD and frame[at + 6] == 17:
        first, length = struct.unpack("!IH", frame[at:at + 6])
        header = 40
        out = {"version": 6, "tos": first >> 20 & 0xFF, "flow": first & 0xFFFFF, "ip_length": 40 + length,
               "ttl": frame[at + 7], "fragment": 0, "df": True,
               "source": socket.inet_ntop(socket.AF_INET6, frame[at + 8:at + 24]),
               "destination": socket.inet_ntop(socket.AF_INET6, frame[at + 24:at + 40])}
    else:
        return None
    udp_at = at + header
    out["source_port"], out["destination_port"], _, out["checksum"] = struct.unpack("!HHHH", frame[udp_at:udp_at + 8])
    out["data"] = frame[udp_at + 8:at + out["ip_length"]]
    return out


# ---- checks: one line each, all of them run ----

CHECKS = []


def check(title, coturn=None):
    """Registers a check. `coturn`: why Debian's turnserver is known to differ, when it runs as the stand-in."""
    def register(function):
        CHECKS.append((title, function, coturn))
        return function
    return register


def expect(what, seen, wanted):
    """seen must be wanted, or in it when it is a set."""
    if seen not in wanted if isinstance(wanted, (set, frozenset)) else seen != wanted:
        raise AssertionError(f"{what}: expected {wanted}, saw {seen}")


def run_checks(only=""):
    """Runs what @check registered; ends the process. An argument on the command line selects by substring."""
    only = only or (sys.argv[1] if len(sys.argv) > 1 else "")
    failed = 0
    for title, function, differs in CHECKS:
        if only not in title:
            continue
        begin = time.monotonic()
        try:
            function()
            result, detail = "ok", ""
        except Exception as error:  # every check runs, whatever the one before did
            place = traceback.extract_tb(error.__traceback__)
            line = next((f.lineno for f in reversed(place) if f.filename == function.__code__.co_filename), 0)
            detail = f"line {line}: {type(error).__name__ + ': ' if not isinstance(error, AssertionError) else ''}{error}"
            result = "FAIL"
            if differs and coturn_runs():
                result, detail = "differs", f"turnserver: {differs} ({detail})"
            else:
                failed += 1
        release()
        for clean in AFTER_CHECK:
            clean()
        print(f"{result:<8}{title}  {time.monotonic() - begin:.1f} s{'  -- ' + detail if detail else ''}", flush=True)
    print(f"{failed} of {len(CHECKS)} checks failed")
    sys.exit(1 if failed else 0)


coturn_runs = coturn
