#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# The box stays a box: what is not the relay's UDP reaches the kernel, before, while and after the relay runs.
# Next hops change while it runs and no packet of a flow gets lost for good.
#
#   client -- ping, TCP, other UDP --> relay's kernel       client == ChannelData ==> relay --> peer (new MAC)
. "$(dirname "$0")/lab.sh"
lab_up
peer_echo
host_answers
uclient 100 -c -n 50 -m 2 -l 172 -e "$PEER4" "$RELAY4"

echo "a TCP connection that was open when the relay stops and starts lives on"
lab_spawn tcp-server relay /usr/bin/python3 -c '
import socket
server = socket.create_server(("11.0.0.1", 2222))
while True:
    one, _ = server.accept()
    while data := one.recv(100):
        one.sendall(data.upper())'
lab_wait 5 "the TCP server" lab_in relay sh -c 'ss -Hltn "sport = :2222" | grep -q .'
mkfifo "$LAB_DIR/talk"
lab_in client /usr/bin/python3 -c '
import socket, sys
one = socket.create_connection(("11.0.0.1", 2222), 5)
for line in open(sys.argv[1]):
    one.sendall(line.encode())
    print(one.recv(100).decode(), end="", flush=True)' "$LAB_DIR/talk" >"$LAB_DIR/heard" &
exec 9>"$LAB_DIR/talk"
heard() { grep -qx "$1" "$LAB_DIR/heard"; }
echo one >&9
lab_wait 5 "an answer before" heard ONE
if [ "$RELAY" != coturn ]; then
	lab_stop controlplane
	lab_stop dataplane
	echo two >&9
	lab_wait 5 "an answer without a relay" heard TWO
	host_answers
	lab_relay_start
fi
echo three >&9
lab_wait 5 "an answer with the relay back" heard THREE
exec 9>&-
host_answers
uclient 100 -c -n 50 -m 2 -l 172 -e "$PEER4" "$RELAY4"

echo "the peer gets another MAC address while it runs"
ip -n "$NS_PEER" link set p0 address 02:00:00:00:77:01
lab_in peer ping -q -c 1 -W 2 11.0.1.1 >/dev/null || fail "the peer cannot ping the relay with its new MAC"
uclient 100 -c -n 50 -m 2 -l 172 -e "$PEER4" "$RELAY4"

echo "a peer behind a router that is announced while it runs"
ip -n "$NS_PEER" address add 11.0.9.1/32 dev lo
ip -n "$NS_RELAY" route add 11.0.9.0/24 via "$PEER4B"
lab_spawn echo9 peer turnutils_peer -p 3481 -L 11.0.9.1
lab_wait 5 "turnutils_peer" lab_in peer sh -c 'ss -Hlun "sport = :3481" | grep -q .'
uclient 100 -c -r 3481 -n 50 -m 2 -l 172 -e 11.0.9.1 "$RELAY4"
