#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# scripts/run as a person starts it: one round in its own lab; and on an interface, here one of a lab's.
#
#   ONCE=1 scripts/run: [client == relay -- peer]     IFACE=r0 scripts/run in a relay namespace <== client
. "$(dirname "$0")/lab.sh"
shown=$(timeout -k 10 120 env ONCE=1 "$LAB_ROOT/scripts/run" </dev/null | tee /dev/stderr) || fail "scripts/run ended with $?"
if [ "$RELAY" != coturn ]; then
	grep -Eq 'by handle [1-9][0-9]* of [0-9]+; [1-9][0-9]* leases, [1-9][0-9]* handles' <<<"$shown" || fail "no registration and no call by handle is shown"
	grep -Eq '^relaycall: +sent [1-9]' <<<"$shown" || fail "relaycall has sent nothing"
	[ "$(grep -c 'as it should be' <<<"$shown")" = 2 ] || fail "two calls, one direct and one by the relay, are not shown"
	grep -q 'path: from relay to direct' <<<"$shown" || fail "no switch from the relay to a direct path is shown"
fi

echo "Ctrl-C in the middle"
/usr/bin/python3 - "$LAB_ROOT/scripts/run" <<'PYTHON' || fail "Ctrl-C left something, or it ended badly"
import os
import pty
import re
import sys

before = os.listdir("/run/netns")
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown, pressed = b"", 0
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:  # the terminal is gone with its last process
        break
    shown += data
    # In the view of the traffic, and in the calls that follow.
    if pressed == 0 and b"call by handle" in shown and b"Ctrl-C ends it" in shown or pressed == 1 and b"it rings" in shown:
        os.write(terminal, b"\x03")
        pressed += 1
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.write(shown.decode(errors="replace"))
# Named after the process that made them; those of tests beside this one are alive.
left = [name for name in os.listdir("/run/netns") if name not in before and (owner := re.match(r"brlab(\d+)-", name))
        and not os.path.exists(f"/proc/{owner[1]}")]
print(f"exit code {code}, namespaces left: {left}")
sys.exit(code != 0 or left != [] or pressed != 2)
PYTHON

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
