#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Starting relay-controlplane: what it says to mistakes, to a service manager and to signals, and what it
# has taken away from itself once it runs. The dataplane is played by fake_dataplane.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
BIN=${LAB_BIN:-build/bin}
NAMESPACE=br$$-start
DIR=$(mktemp -d)
pids=()

finish() {
	local code=$?
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
	ip netns del "$NAMESPACE" 2>/dev/null || true
	[ $code -eq 0 ] || tail -n 20 "$DIR"/*.log "$DIR/notified" || true
	rm -rf "$DIR"
}
trap finish EXIT

fail() {
	echo "FAILED: $*"
	exit 1
}

until_true() { # WHAT COMMAND...
	local what=$1 deadline=$((SECONDS + 15))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $deadline ] || fail "$what"
		sleep 0.05
	done
	echo "ok: $what"
}

expect_exit() { # CODE TEXT ARGUMENTS...
	local expected=$1 text=$2 code=0
	shift 2
	"$BIN/relay-controlplane" "$@" >"$DIR/once.log" 2>&1 || code=$?
	[ $code -eq "$expected" ] || fail "relay-controlplane $* ended with $code, not $expected"
	grep -q -- "$text" "$DIR/once.log" || fail "relay-controlplane $* does not say '$text'"
	echo "ok: relay-controlplane $*: $expected, $text"
}

# Options and configuration.
expect_exit 0 "usage: relay-controlplane" --help
expect_exit 0 "relay-controlplane [0-9]" --version
expect_exit 2 "usage: relay-controlplane"
expect_exit 2 "usage: relay-controlplane" --nonsense
expect_exit 2 "usage: relay-controlplane" -c "$DIR/relay.conf" more
expect_exit 1 "$DIR/relay.conf" -c "$DIR/relay.conf"
printf '[node]\nrun = %s/run\nstate = %s/node\n[dataplane]\nport = af_xdp:r0\n[address]\nlisten = 10.9.0.1\n[turn]\nauth = open\n' "$DIR" "$DIR" >"$DIR/relay.conf"
{ cat "$DIR/relay.conf"; echo "colour = blue"; } >"$DIR/wrong.conf"
expect_exit 1 "wrong.conf:10:.*colour" -c "$DIR/wrong.conf"

# Something that listens for what a service manager is told.
cat >"$DIR/notify.py" <<'EOF'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode(), flush=True)
EOF
/usr/bin/python3 "$DIR/notify.py" "$DIR/notify" >"$DIR/notified" 2>&1 &
pids+=($!)
until_true "somebody listens for notifications" [ -S "$DIR/notify" ]

ip netns add "$NAMESPACE"
start() {
	NOTIFY_SOCKET=$DIR/notify ip netns exec "$NAMESPACE" "$BIN/relay-controlplane" -c "$DIR/relay.conf" 2>>"$DIR/control.log" 7>&- &
	CONTROL=$!
	pids+=("$CONTROL")
}
start
notified() { grep -q -- "$1" "$DIR/notified"; }
# Without a dataplane it says so, and does not keep the system from starting.
until_true "READY without a dataplane" notified READY=1
notified "STATUS=waiting for the dataplane: relay-dataplane is not running" || fail "no STATUS"
"$BIN/relayctl" -s "$DIR/run/control.sock" version | grep -q relay-controlplane
{ "$BIN/relayctl" -s "$DIR/run/control.sock" status 2>&1 || true; } | grep -q "relay-dataplane is not running" ||
	fail "relayctl status does not say what is missing"
echo "ok: relayctl is answered without a dataplane"

# Its key was made, for nobody else.
[ "$(stat -c '%a %s' "$DIR/node" "$DIR/node/node.key" | sed '1s/ .*//')" = "700"$'\n'"600 32" ] || fail "$(ls -la "$DIR/node")"
! grep -q "no registrations" "$DIR/control.log" || fail "$(cat "$DIR/control.log")"
echo "ok: node.key was made, mode 0600, in a folder of mode 0700"

# A second one is refused, and the first goes on.
expect_exit 1 "another relay-controlplane is running" -c "$DIR/relay.conf"

# The dataplane comes.
mkfifo "$DIR/commands"
/usr/bin/python3 tests/system/fake_dataplane.py "$DIR/run/dataplane.sock" "$DIR/state" r0 <"$DIR/commands" >"$DIR/fake.log" 2>&1 &
pids+=($!)
exec 7>"$DIR/commands"
until_true "STATUS when it serves" notified STATUS=serving

# What it can still do.
has() { grep -q "^$1:[[:space:]]*$2\$" "/proc/$CONTROL/status" || fail "$1: $(grep "^$1" "/proc/$CONTROL/status")"; }
has CapEff 0000000000001000
has CapPrm 0000000000001000
has CapBnd 0000000000000000
has NoNewPrivs 1
has Seccomp 2
grep -q "Max core file size *0 *0" "/proc/$CONTROL/limits" || fail "core dumps are possible"
# Under AddressSanitizer mlockall does nothing.
grep -q '^VmLck:.*[1-9]' "/proc/$CONTROL/status" || grep -q __asan_init "$BIN/relay-controlplane" ||
	fail "its memory may be swapped"
for descriptor in "/proc/$CONTROL/fd"/*; do
	case $(readlink "$descriptor") in
	/*/control.log | socket:* | pipe:* | anon_inode:* | /dev/*) ;;
	*) fail "open: $(readlink "$descriptor")" ;;
	esac
done
echo "ok: one capability, no dumps, no swap, no files"

kill -HUP "$CONTROL"
until_true "SIGHUP takes the configuration over" grep -q "configuration reloaded; nothing changed" "$DIR/control.log"
until_true "the service manager is told so" notified RELOADING=1
kill -INT "$CONTROL"
code=0
wait "$CONTROL" || code=$?
[ $code -eq 0 ] || fail "ended with $code"
notified STOPPING=1 || until_true "STOPPING" notified STOPPING=1
[ ! -e "$DIR/run/control.sock" ] || fail "control.sock is left"
echo "ok: SIGINT ends it cleanly"

# The same key again; a key that others may read is none, and neither is a folder nobody can make; TURN goes on.
key=$(sha256sum <"$DIR/node/node.key")
starts_and_says() { # WHAT TEXT
	: >"$DIR/notified"
	: >"$DIR/control.log"
	start
	until_true "$1" notified STATUS=serving
	grep -q -- "$2" "$DIR/control.log" || fail "it does not say '$2'"
	kill -INT "$CONTROL"
	wait "$CONTROL" || fail "ended with $?"
}
starts_and_says "it serves again" "connected to relay-dataplane"
! grep -q "no registrations" "$DIR/control.log" || fail "$(cat "$DIR/control.log")"
[ "$key" = "$(sha256sum <"$DIR/node/node.key")" ] || fail "another key"
chmod 644 "$DIR/node/node.key"
starts_and_says "it serves TURN with a key of mode 0644" "no registrations: .*node.key has mode 0644, expected 0600"
sed -i "s,^state = .*,state = $DIR/missing/node," "$DIR/relay.conf"
starts_and_says "it serves TURN without a folder for the key" "no registrations: cannot make $DIR/missing/node (\[node\] state): No such file or directory"
