# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What the shell tests of this folder share: the lab itself (scripts/lab.d/lab.sh), and reading the
# reports of coturn's tools, whose exit code alone proves nothing.
set -euo pipefail
# turnutils_uclient binds channel numbers of RFC 5766, up to 0x7FFF.
: "${LAB_TURN_LINES:=channels = rfc5766}"
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lab.d/lab.sh"

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

# Echo server on both addresses of the peer, port 3480.
peer_echo() {
	lab_spawn echo peer turnutils_peer -p 3480 -L "$PEER4" -L "$PEER6"
	lab_wait 5 "turnutils_peer" peer_echo_listens
}

peer_echo_listens() { [ "$(lab_in peer ss -Hlun "sport = :3480" | wc -l)" -ge 2 ]; }

# uclient EXPECTED ARGUMENTS...: runs turnutils_uclient in the client namespace (credentials are
# added), and fails unless exactly EXPECTED messages were sent and all came back.
uclient() {
	local expected=$1 log=$LAB_DIR/uclient.log
	shift
	local credentials=(-u "$LAB_USER" -w "$LAB_PASSWORD")
	[ "$LAB_AUTH" = static ] || credentials=()
	timeout --foreground 60 ip netns exec "$NS_CLIENT" turnutils_uclient "${credentials[@]}" "$@" >"$log" 2>&1 ||
		fail "turnutils_uclient $* ended with $?"
	uclient_report "$log" "$expected"
}

uclient_report() {
	local total sent received lost
	total=$(sed -n 's/.*start_mclient: tot_send_msgs=\([0-9]*\), tot_recv_msgs=\([0-9]*\)$/\1 \2/p' "$1" | tail -n 1)
	read -r sent received <<<"$total" || true
	lost=$(sed -n 's/.*Total lost packets \([0-9]*\) .*/\1/p' "$1" | tail -n 1)
	echo "sent ${sent:-?}, received ${received:-?}, lost ${lost:-?}; $(grep -o 'Average round trip delay.*' "$1" | tail -n 1)"
	[ "${sent:-}" = "$2" ] || fail "expected $2 messages sent"
	[ "${received:-}" = "$2" ] || fail "expected $2 messages back"
	[ "${lost:-}" = 0 ] || fail "messages were lost"
}

# What is not the relay's reaches the kernel: ping over both families, TCP, UDP to another port.
host_answers() {
	local address
	for address in $RELAY4 $RELAY6; do
		lab_in client ping -q -c 2 -i 0.2 -W 2 "$address" >/dev/null || fail "no answer to ping from $address"
		rm -f "$LAB_DIR/host-$address.log" # the last one's "ready" is not this one's
		lab_in relay timeout 10 /usr/bin/python3 -c '
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
tcp = socket.create_server((sys.argv[1], 2223), family=family)
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.bind((sys.argv[1], 2223))
print("ready", flush=True)
one, _ = tcp.accept()
one.sendall(one.recv(100).upper())
data, source = udp.recvfrom(100)
udp.sendto(data.upper(), source)' "$address" >"$LAB_DIR/host-$address.log" 2>&1 &
		lab_wait 5 "a server in the relay's kernel" grep -q ready "$LAB_DIR/host-$address.log"
		lab_in client timeout 10 /usr/bin/python3 -c '
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
tcp = socket.create_connection((sys.argv[1], 2223), 5)
tcp.sendall(b"by tcp")
assert tcp.recv(100) == b"BY TCP"
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.settimeout(5)
udp.sendto(b"by udp", (sys.argv[1], 2223))
assert udp.recv(100) == b"BY UDP"' "$address" || fail "TCP or UDP to the relay's kernel at $address"
		wait $! || fail "the server in the relay's kernel at $address"
	done
	echo "the host answers: ping, TCP and UDP over both families"
}
