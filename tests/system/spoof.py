# SPDX-License-Identifier: BSD-3-Clause
"""What an attacker's host sends: whole frames with any source address. And what arrives at a victim, in IP bytes."""
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
