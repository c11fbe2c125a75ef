#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# scripts/run as a person starts it: one round in its own lab; and on an interface, here one of a lab's.
#
#   ONCE=1 scripts/run: [client == relay -- peer]     IFACE=r0 scripts/run in a relay namespace <== client
. "$(dirname "$0")/lab.sh"
timeout -k 10 90 env ONCE=1 "$LAB_ROOT/scripts/run" </dev/null || fail "scripts/run ended with $?"

echo "clear errors"
refuses() { # EXPECTED COMMAND...
	local expected=$1 said
	shift
	said=$("$@" 2>&1 </dev/null) && fail "$* succeeded"
	grep -qF -- "$expected" <<<"$said" || fail "$*: expected '$expected', it said: $said"
	echo "$said"
}
refuses "there is no interface nosuch0" env IFACE=nosuch0 "$LAB_ROOT/scripts/run"
refuses "no global address" env IFACE=lo "$LAB_ROOT/scripts/run"
refuses "needs root" setpriv --reuid=65534 --clear-groups env IFACE=lo "$LAB_ROOT/scripts/run"
[ "$RELAY" != coturn ] || exit 0

echo "on an interface"
lab_names
trap lab_exit EXIT
lab_network
lab_spawn served relay env IFACE=r0 RUN_DIR="$LAB_DIR/served" LAB_BIN="$LAB_BIN" "$LAB_ROOT/scripts/run"
lab_wait 30 "scripts/run to serve" grep -q "Ctrl-C ends it" "$LAB_DIR/served.log"
cat "$LAB_DIR/served.log"
user=$(sed -n 's/^ *user *//p' "$LAB_DIR/served.log")
password=$(sed -n 's/^ *password *//p' "$LAB_DIR/served.log")
grep -q "turn:$RELAY4:3478" "$LAB_DIR/served.log" || fail "it does not say how to connect"
lab_in client turnutils_uclient -y -s -c -n 20 -m 2 -u "$user" -w "$password" "$RELAY4" >"$LAB_DIR/uclient.log" 2>&1
uclient_report "$LAB_DIR/uclient.log" 40
pid=$(cat "$LAB_DIR/served.pid")
# A shell starts what is in the background with SIGINT ignored; SIGTERM takes the same way out.
kill -TERM "$pid"
lab_wait 15 "it to end" lab_gone "$pid"
[ ! -e "$LAB_DIR/served/control.sock" ] || fail "it left $LAB_DIR/served"
[ -z "$(ip netns pids "$NS_RELAY")" ] || fail "it left processes"
