# SPDX-License-Identifier: BSD-3-Clause
"""What an attacker's host sends: whole frames with any source address. And what arrives at a victim, in IP bytes."""
import ctypes
import ipaddress
import socket
import struct

import lab


def mac(where, interface):
    return bytes.fromhex(lab.run_in(where, "cat", f"/sys/class/net/{interface}/address").stdout.strip().replace(":", ""))


def ones_sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packet(source, destination, payload):
    """IP and UDP headers with right checksums around the payload. Endpoints: (address, port)."""
    one, other = (ipaddress.ip_address(end[0]).packed for end in (source, destination))
    udp = struct.pack("!HHHH", source[1], destination[1], 8 + len(payload), 0) + payload
    checksum = ~ones_sum(one + other + struct.pack("!HH", 17, len(udp)) + udp) & 0xFFFF or 0xFFFF
    udp = udp[:6] + struct.pack("!H", checksum) + udp[8:]
    if len(one) == 16:
        return struct.pack("!IHBB", 0x60000000, len(udp), 17, 64) + one + other + udp
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0x4000, 64, 17, 0) + one + other
    return header[:10] + struct.pack("!H", ~ones_sum(header) & 0xFFFF) + header[12:] + udp


class Spoofer:
    """Sends from an interface of a namespace to the relay's end of its wire."""

    def __init__(self, where="client", interface="c0", relay_interface="r0"):
        self.ethernet = mac("relay", relay_interface) + mac(where, interface)
        with lab.namespace(where):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.sock.bind((interface, 0))

    def send(self, source, destination, payload):
        kind = b"\x86\xdd" if ":" in source[0] else b"\x08\x00"
        self.sock.send(self.ethernet + kind + packet(source, destination, payload))


class Arrivals:
    """Counts what the relay sends out to a namespace."""

    def __init__(self, where="client", interface="c0"):
        with lab.namespace(where):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.sock.bind((interface, 0))
        self.sock.setblocking(False)

    def take(self, address):
        """Packets for that address since the last time."""
        out = []
        while True:
            try:
                frame, where = self.sock.recvfrom(65536)
            except BlockingIOError:
                return out
            parsed = lab.parse_frame(frame)
            if parsed and where[2] != socket.PACKET_OUTGOING and parsed["destination"] == address:
                out.append(parsed)


class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_size", ctypes.c_uint32), ("iov", ctypes.c_void_p), ("iov_count", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_size", ctypes.c_size_t), ("flags", ctypes.c_int)]


class mmsghdr(ctypes.Structure):
    _fields_ = [("header", msghdr), ("length", ctypes.c_uint)]


class Flood:
    """One payload from 65,536 sources per round, 12.x.y.z, x another one in each round; hundreds of thousands a second. UDP without
    checksum, which IPv4 allows; of the IP header's, what x adds the identification takes away."""
    SOURCES = 1 << 16

    def __init__(self, spoofer, destination, payload):
        first = spoofer.ethernet + b"\x08\0" + packet(("12.0.0.0", 1024), destination, payload)
        self.stride = len(first)
        self.frames = bytearray(first * self.SOURCES)
        low = range(self.SOURCES)
        total = ~int.from_bytes(first[24:26], "big") & 0xFFFF
        checksums = [~((n + total & 0xFFFF) + (n + total >> 16)) & 0xFFFF for n in low]
        self.column(28, [n >> 8 for n in low])
        self.column(29, [n & 0xFF for n in low])
        self.column(24, [n >> 8 for n in checksums])
        self.column(25, [n & 0xFF for n in checksums])
        self.column(40, [0] * self.SOURCES)
        self.column(41, [0] * self.SOURCES)
        self.sock, self.round = spoofer.sock, 0
        base = ctypes.addressof((ctypes.c_char * len(self.frames)).from_buffer(self.frames))
        self.vectors = (iovec * self.SOURCES)(*((base + n * self.stride, self.stride) for n in low))
        at, size = ctypes.addressof(self.vectors), ctypes.sizeof(iovec)
        self.messages = (mmsghdr * self.SOURCES)(*(((None, 0, at + n * size, 1), 0) for n in low))

    def column(self, at, values):
        self.frames[at::self.stride] = bytes(values)

    def next_sources(self):
        self.round += 1
        self.column(27, [self.round & 0xFF] * self.SOURCES)  # x
        identification = (1 - self.round) % 0xFFFF    # the sum is one's complement
        self.column(18, [identification >> 8] * self.SOURCES)
        self.column(19, [identification & 0xFF] * self.SOURCES)

    def send(self, first, count):
        """count frames from number `first` of the round on; how many went out."""
        out = lab.LIBC.sendmmsg(self.sock.fileno(), ctypes.byref(self.messages, first * ctypes.sizeof(mmsghdr)), count, 0)
        return max(out, 0)


class Outgoing(Arrivals):
    """Payloads that leave a namespace from an address."""

    def __init__(self, where, interface, address):
        super().__init__(where, interface)
        self.address = address

    def take(self):
        out = []
        while True:
            try:
                frame, where = self.sock.recvfrom(65536)
            except BlockingIOError:
                return out
            parsed = lab.parse_frame(frame)
            if parsed and where[2] == socket.PACKET_OUTGOING and parsed["source"] == self.address and parsed["data"]:
                out.append(parsed["data"])
