#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Packet buffers after a burst that went round all of them many times: a driver's ring holds thousands of
# frames that were freed while they were warm, and each still carries its packet. While packets come, the
# search finds them; two seconds of silence later there is none, with either kind of kernel port.
#
#    far f0 == numbered datagrams ==> r0 relay
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../system/lab.sh"
[ "$(id -u)" = 0 ] || skip "namespaces need root"

NAME=brbuffers$$
LAB_NAME=$NAME
LAB_DIR=$(mktemp -d)
PID=
SENDER=

tidy() {
	[ -z "$SENDER" ] || kill -KILL "$SENDER" 2>/dev/null || true
	[ -z "$PID" ] || kill -TERM "$PID" 2>/dev/null || true
	[ -z "$PID" ] || lab_wait 10 "relay-dataplane to end" lab_gone "$PID" || true
	ip netns del "$NAME-relay" 2>/dev/null || true
	ip netns del "$NAME-far" 2>/dev/null || true
	rm -rf "$LAB_DIR"
}
trap tidy EXIT
trap 'exit 1' INT TERM HUP

lab_namespace relay
lab_namespace far
lab_wire relay r0 far f0
ip -n "$NAME-relay" address add 11.0.0.1/24 dev r0
ip -n "$NAME-far" address add 11.0.0.2/24 dev f0

# Sends until it is killed: bursts with short pauses, so that buffers are taken from caches and rings alike.
cat >"$LAB_DIR/send.py" <<'PY'
import itertools, socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in itertools.count():
    # Of a channel that nobody has bound: what is no datagram of the relay's would end in the XDP program.
    body = b"\x7fNUMBERED-DATAGRAM%08d" % (i % 10**8) + bytes(80)
    s.sendto(struct.pack("!HH", 0x4000, len(body)) + body, ("11.0.0.1", 3478))
    if i % 500 == 0:
        time.sleep(0.002)
PY

# How many numbered datagrams are in the memory of process $1?
found() {
	/usr/bin/python3 - "$1" <<'PY'
import re, sys
count = 0
with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory:
    for line in maps:
        fields = line.split()
        begin, end = (int(x, 16) for x in fields[0].split("-"))
        if "r" not in fields[1] or fields[-1] in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
            continue
        for at in range(begin, end, 1 << 24):
            try:
                memory.seek(at)
                data = memory.read(min(1 << 24, end - at))
            except OSError:
                continue
            count += len(re.findall(rb"NUMBERED-DATAGRAM\d{8}", data))
print(count)
PY
}

none_left() { [ "$(found "$PID")" = 0 ]; }
serves() { grep -q "serving UDP" "$LAB_DIR/dataplane.log"; }

for port in af_xdp af_packet; do
	printf '[node]\nname = buffers\nrun = %s/run\n[dataplane]\nport = %s:r0\nidle = sleep\nmemory = 256\n[address]\nlisten = 11.0.0.1\n[turn]\nauth = open\n' \
		"$LAB_DIR" $port >"$LAB_DIR/relay.conf"
	rm -f "$LAB_DIR/dataplane.log"
	lab_spawn dataplane relay "$LAB_BIN/relay-dataplane" -c "$LAB_DIR/relay.conf"
	PID=$LAB_PID
	lab_wait 20 "relay-dataplane to serve" serves
	lab_spawn sender far /usr/bin/python3 "$LAB_DIR/send.py"
	SENDER=$LAB_PID
	sleep 3 # traffic, many times the 8191 buffers
	living=$(found "$PID")
	kill -KILL "$SENDER"
	wait "$SENDER" 2>/dev/null || true
	SENDER=
	[ "$living" -gt 0 ] || fail "$port: the search finds nothing while packets come, so it proves nothing"
	lab_wait 15 "the buffers to be wiped" none_left || fail "$port: $(found "$PID") datagrams are left in buffers"
	echo "$port: $living datagrams in memory while they came, none afterwards"
	kill -TERM "$PID"
	lab_wait 10 "relay-dataplane to end" lab_gone "$PID"
	PID=
done
