#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# relayctl as a person without a running relay meets it: usage errors say what is wrong and exit 2,
# an unreachable control plane says what to do and exits 3, `config check` names file and line. Needs
# no namespaces.
set -u
cd "$(dirname "$0")/../.." || exit 1
relayctl=${RELAYCTL:-build/bin/relayctl}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
umask 077
failed=0

# expect CODE "words in output" ARGUMENTS...: stdout and stderr together must hold the words.
expect() {
	local code=$1 words=$2 output status
	shift 2
	output=$("$relayctl" "$@" 2>&1 </dev/null)
	status=$?
	if [ $status != "$code" ] || [[ $output != *"$words"* ]]; then
		echo "relayctl $*: expected exit $code and \"$words\", got exit $status and:"
		echo "$output"
		failed=1
	fi
}

[ -x "$relayctl" ] || { echo "$relayctl is not built: make build"; exit 1; }

expect 0 "usage: relayctl" --help
expect 2 "no verb given"
expect 2 "unknown verb: stat" stat
expect 2 "option not understood" --colour status
expect 2 "option not understood" status -s
expect 2 "unexpected word: now" status now
expect 2 "does not take: status" status --wait
expect 2 "does not take: drain" drain -n 3
expect 2 "does not take: drain" drain --check
expect 2 "unexpected word: now" reload now
expect 2 "--deadline wants seconds" drain --deadline soon
expect 2 "--deadline wants seconds" drain --deadline -1
expect 2 "--deadline wants seconds" drain --deadline 4294968
expect 2 "-n wants" top -n x
expect 2 "-d wants" top -d 0
expect 2 "-d wants" top -d nan
expect 2 "guard block|allow|remove PREFIX" guard block
expect 2 "guard block|allow|remove PREFIX" guard 192.0.2.0/24
expect 2 "guard block|allow|remove PREFIX" guard forbid 192.0.2.0/24
expect 2 "guard block|allow|remove PREFIX" guard block 192.0.2.1 192.0.2.2
expect 2 "does not take: guard" guard --wait
for prefix in 192.0.2.1/24 192.0.2.0/33 192.0.2 2001:db8::1/64 example.org 192.0.2.0-192.0.2.9 ""; do
	expect 2 "\"$prefix\" is no prefix; expected" -s "$dir/control.sock" guard block "$prefix"
done
expect 2 "config check FILE" config
expect 2 "config check FILE" config check
expect 2 "config check FILE" config test "$dir/x"
expect 2 "config check FILE" config check a b

expect 3 "is relay-controlplane running" -s "$dir/control.sock" status
for verb in stats top ports workers drain undrain reload guard "guard block 192.0.2.0/24"; do
	expect 3 "no socket at $dir/control.sock" -s "$dir/control.sock" $verb
done
expect 3 "is too long for a socket" -s "$(printf '/%0120d' 0)" status
touch "$dir/file"
expect 3 "nobody listens at" -s "$dir/file" status
expect 0 "relay-controlplane  not reachable" -s "$dir/control.sock" version
expect 0 '"relayctl":' -s "$dir/control.sock" version -j

good=$dir/good.conf
printf '%s\n' '[dataplane]' 'port = af_xdp:eth0' '[address]' 'listen = 192.0.2.1' \
	'[turn]' 'auth = static' 'user = alice:wonderland' >"$good"
expect 0 "$good: ok: relay, 1 port, 1 worker, 1 address, auth static" config check "$good"
expect 0 '"ok": true' -j config check "$good"

sed 's/^port = .*/&\ncolour = red/' "$good" >"$dir/unknown.conf"
expect 1 "$dir/unknown.conf:3: [dataplane] colour: unknown key; expected port, workers" \
	config check "$dir/unknown.conf"
expect 1 '"ok": false' -j config check "$dir/unknown.conf"
sed 's/192.0.2.1/192.0.2.256/' "$good" >"$dir/address.conf"
expect 1 "$dir/address.conf:4: [address] listen: \"192.0.2.256\" is no address" config check "$dir/address.conf"
printf '%s\n' '[peers]' 'allow = 10.0.0.0/33' >>"$good"
expect 1 "$good:9: [peers] allow: \"10.0.0.0/33\" is no range" config check "$good"
sed -i 's/33/8/' "$good"
expect 0 "warning: [peers] allow opens 10.0.0.0-10.255.255.255" config check "$good"
chmod 644 "$good"
expect 1 "$good: holds a secret and everybody may read it" config check "$good"
expect 1 "$dir/none.conf: cannot open: No such file" config check "$dir/none.conf"

# An answer that could not be written is not success.
for verb in --help version; do
	"$relayctl" -s "$dir/control.sock" $verb >/dev/full 2>/dev/null && {
		echo "relayctl $verb >/dev/full: expected a failure"
		failed=1
	}
done
exit $failed
