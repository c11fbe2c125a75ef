# SPDX-License-Identifier: BSD-3-Clause
"""Searches processes, files and texts for addresses, in every form a program might have them."""
import ctypes
import ipaddress
import os
import pathlib
import re
import stat
import struct
import time

COOKIE = 0x2112A442
CHUNK = 1 << 22
BLOCK = 1 << 16  # most of what is mapped has never been written, and zeros hold no pattern
ZEROS = bytes(BLOCK)
PAGE = os.sysconf("SC_PAGE_SIZE")
MEMMEM = ctypes.CDLL(None).memmem  # finds twice as fast as bytes.find
MEMMEM.restype = ctypes.c_void_p
MEMMEM.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t
PAGEMAP_HAS_CONTENT = 0b11 << 6  # of an entry's last byte: in memory, or in swap


def forms(address):
    """{what it is: bytes} for one address."""
    parsed = ipaddress.ip_address(address)
    packed = parsed.packed
    out = {"network order": packed, "reversed": packed[::-1], "text": str(parsed).encode()}
    if parsed.version == 4:
        cookie = struct.pack("!I", COOKIE)
        xored = bytes(a ^ b for a, b in zip(packed, cookie))
        out.update({"XOR-MAPPED form": xored, "XOR-MAPPED form reversed": xored[::-1],
                    "hexadecimal text": packed.hex().encode()})
    else:
        out.update({"full text": parsed.exploded.encode(), "hexadecimal text": packed.hex().encode(),
                    "32-bit words reversed": b"".join(packed[n:n + 4][::-1] for n in range(0, 16, 4))})
    return out


class Search:
    """Patterns of all addresses, and of other bytes by their names; hits name address, form and place."""

    def __init__(self, addresses, others=None):
        self.names = {pattern: name for name, pattern in (others or {}).items()}
        for address in addresses:
            for form, pattern in forms(address).items():
                self.names[pattern] = f"{address} ({form})"
        self.longest = max(map(len, self.names))

    def in_bytes(self, data, place):
        return [f"{name} {place(at)}" for pattern, name in self.names.items() for at in occurrences(data, pattern)]

    def in_text(self, text, what):
        return self.in_bytes(text if isinstance(text, bytes) else text.encode(), lambda at: f"in {what} at {at}")

    @staticmethod
    def touched(pagemap, at, size):
        """Whether any page there has content. DPDK reserves 128 GiB of addresses that it never touches."""
        entries = os.pread(pagemap.fileno(), size // PAGE * 8, at // PAGE * 8)
        return len(entries) < size // PAGE * 8 or any(byte & PAGEMAP_HAS_CONTENT for byte in set(entries[7::8]))

    def in_memory(self, pid):
        """(hits, bytes searched, regions that cannot be read)."""
        hits, searched, unreadable = [], 0, []
        with open(f"/proc/{pid}/maps") as maps:
            regions = [re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line).groups() for line in maps]
        with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
            for first, last, rights, name in regions:
                begin, end = int(first, 16), int(last, 16)
                tail = b""
                for at in range(begin, end, CHUNK):
                    size = min(CHUNK, end - at)
                    if end - begin > 64 * CHUNK and not self.touched(pagemap, at, size):
                        tail = b""
                        continue
                    try:
                        chunk = os.pread(memory.fileno(), size, at)
                    except (OSError, OverflowError):
                        unreadable.append(f"{first}-{last} {rights} {name or 'anonymous'}")
                        break
                    searched += len(chunk)
                    for data, start in blocks(tail + chunk, at - len(tail), self.longest):
                        hits += self.in_bytes(data, lambda o, s=start, n=name, b=begin, d=data:
                                              f"at {s + o:x} in {n or 'anonymous'}+{s + o - b:x}"
                                              f" [{d[max(0, o - 16):o + 24].hex(' ', 4)}]")
                    tail = chunk[-self.longest + 1:]
        return sorted(set(hits)), searched, unreadable

    def in_files(self, pid, directories, since):
        """Files the process has open, and what changed below the directories since then."""
        paths = {}
        for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(link)
                if stat.S_ISREG(os.stat(link).st_mode):
                    paths[target] = link
            except OSError:
                continue
        for directory in directories:
            for folder, _, names in os.walk(directory):
                for name in names:
                    path = pathlib.Path(folder, name)
                    try:
                        status = path.lstat()
                    except OSError:
                        continue
                    if stat.S_ISREG(status.st_mode) and status.st_mtime >= since and status.st_size < 1 << 28:
                        paths[str(path)] = path
        hits = []
        for name, path in paths.items():
            try:
                hits += self.in_bytes(path.read_bytes(), lambda at, n=name: f"in file {n} at {at}")
            except OSError:
                continue
        return hits, len(paths)


def blocks(data, start, longest):
    """(bytes, where they were) of what is not zero, in pieces that overlap what is around them by the longest pattern."""
    begin = None  # of the piece that is being gathered
    for at in range(0, len(data), BLOCK):
        block = data[at:at + BLOCK]
        if block != ZEROS[:len(block)]:
            begin = at if begin is None else begin
        elif begin is not None:
            yield data[max(0, begin - longest):at + longest], start + max(0, begin - longest)
            begin = None
    if begin is not None:
        yield data[max(0, begin - longest):], start + max(0, begin - longest)


def occurrences(data, pattern, most=8):
    base, out = ctypes.cast(data, ctypes.c_void_p).value, []
    at = 0
    while len(out) < most and (found := MEMMEM(base + at, len(data) - at, pattern, len(pattern))):
        out.append(found - base)
        at = found - base + 1
    return out


def until(condition, seconds):
    """Asks again until the condition holds or the time is over; returns the last answer."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found
