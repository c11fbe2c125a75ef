#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# The store of tokens on disks and with modes that are not as they should be: the control plane says what is wrong
# and what to do. A tmpfs of 192 KiB in a mount namespace of its own is the disk.
#
#   relayctl token --> control.sock --> relay-controlplane (no dataplane) --> state/ (tmpfs)
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "needs root for a mount namespace"; exit 77; }
[ -n "${INSIDE_MOUNTS:-}" ] || INSIDE_MOUNTS=1 exec unshare -m "$0"

bin=${LAB_BIN:-build/bin}
dir=$(mktemp -d /tmp/tokens-files.XXXXXX)
pid=
finish() {
	if [ -n "$pid" ]; then
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	fi
	umount "$dir/state" 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT

fail() {
	echo "FAILED: $*"
	cat "$dir/log"
	exit 1
}

mkdir "$dir/state" "$dir/run"
mount -t tmpfs -o size=192k,mode=0700 none "$dir/state"
configure() { # AUTH
	(umask 077 && printf '%s\n' "[node]" "name = test" "run = $dir/run" "state = $dir/state" "[dataplane]" "port = ring" \
		"[address]" "listen = 198.51.100.1" "[turn]" "auth = $1" "[tokens]" "spent = 1000" >"$dir/conf")
}
relayctl() { timeout 20 "$bin/relayctl" -s "$dir/run/control.sock" "$@"; }
# Fails by itself, since there is no dataplane.
status_tells() { { relayctl status || true; } | grep -q "$1"; }
serves() { [ -S "$dir/run/control.sock" ]; }
start() {
	"$bin/relay-controlplane" -c "$dir/conf" >"$dir/log" 2>&1 &
	pid=$!
	for _ in {1..200}; do
		! serves || return 0
		kill -0 $pid 2>/dev/null || break
		sleep 0.05
	done
	fail "the control plane does not serve"
}
stop() {
	kill "$pid"
	wait "$pid" || fail "the control plane ended with $?"
	pid=
}
refused() { # WORDS: it does not start, and says them
	local code=0
	timeout 20 "$bin/relay-controlplane" -c "$dir/conf" >"$dir/log" 2>&1 || code=$?
	[ $code = 1 ] || fail "expected exit 1, got $code"
	grep -qF -- "$1" "$dir/log" || fail "does not say: $1"
}

# Without tokens there is no store, and relayctl says what to set.
configure open
start
[ ! -e "$dir/state/tokens" ] || fail "a store without tokens"
! relayctl token keys >"$dir/out" 2>&1 || fail "keys without a store"
grep -q "auth = token" "$dir/out" || fail "does not say what to set: $(cat "$dir/out")"
configure token
! relayctl reload >"$dir/out" 2>&1 || fail "a store opened while it runs"
grep -q "restart" "$dir/out" || fail "does not say restart: $(cat "$dir/out")"
stop

start
[ "$(stat -c '%a %a' "$dir/state/tokens" "$dir/state/tokens/data.mdb" | paste -sd' ')" = "700 700 600 600" ] ||
	fail "modes: $(stat -c '%a %n' "$dir"/state/tokens "$dir"/state/tokens/*)"

# A second one on the same store, with a run folder of its own.
mkdir "$dir/run2"
sed "s,$dir/run,$dir/run2," "$dir/conf" >"$dir/conf2"
chmod 600 "$dir/conf2"
! timeout 20 "$bin/relay-controlplane" -c "$dir/conf2" >"$dir/log2" 2>&1 || fail "two on one store"
grep -q "another relay-controlplane uses it" "$dir/log2" || fail "does not name the other: $(cat "$dir/log2")"

# The disk is full: nothing is changed, it is said, and it goes on when there is room.
relayctl token rotate >/dev/null || fail "rotate"
before=$(relayctl -j token keys)
! dd if=/dev/zero of="$dir/state/filler" bs=1k status=none 2>/dev/null || fail "the disk does not end"
for _ in {1..40}; do
	relayctl token rotate >"$dir/out" 2>&1 || break
	before=$(relayctl -j token keys)
done
grep -q "disk under \[node\] state is full" "$dir/out" || fail "full disk: $(cat "$dir/out")"
[ "$(relayctl -j token keys)" = "$before" ] || fail "a full disk has changed the keys"
status_tells "disk under \[node\] state is full" || fail "status does not tell of the full disk"
rm "$dir/state/filler"
relayctl token rotate >/dev/null || fail "rotate after there is room"
! status_tells "is full" || fail "status still tells of a full disk"
after=$(relayctl -j token keys)
stop

# Keys are the same after all of it; others may not read them.
start
[ "$(relayctl -j token keys)" = "$after" ] || fail "the keys after a restart"
stop
chmod 644 "$dir/state/tokens/data.mdb"
refused "$dir/state/tokens/data.mdb: others than its owner may use it (mode 0644), and it holds keys: chmod 0600"
chmod 600 "$dir/state/tokens/data.mdb"
chmod 755 "$dir/state/tokens"
refused "$dir/state/tokens: others than its owner may use it (mode 0755)"
chmod 700 "$dir/state/tokens"
chown 1234 "$dir/state/tokens/data.mdb"
refused "belongs to user 1234"
chown 0 "$dir/state/tokens/data.mdb"
mv "$dir/state/tokens/data.mdb" "$dir/state/elsewhere"
ln -s "$dir/state/elsewhere" "$dir/state/tokens/data.mdb"
refused "is no regular file"
rm "$dir/state/tokens/data.mdb"
head -c 8192 /dev/zero >"$dir/state/tokens/data.mdb"
chmod 600 "$dir/state/tokens/data.mdb"
refused "cannot be opened"
echo "modes, owners, links, locks, damage and a full disk are told"
