#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# relaycall as a person without a network meets it: usage errors say what is wrong and exit 2, the
# identity file is made once, kept to its owner, and refused when it is damaged. Needs no namespaces.
set -u
cd "$(dirname "$0")/../.." || exit 1
relaycall=${RELAYCALL:-build/bin/relaycall}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export HOME=$dir/home
unset XDG_CONFIG_HOME
umask 022
failed=0

wrong() {
	echo "$*"
	failed=1
}

# expect CODE "words in output" ARGUMENTS...: stdout and stderr together must hold the words.
expect() {
	local code=$1 words=$2 output status
	shift 2
	output=$(timeout 20 "$relaycall" "$@" 2>&1 </dev/null)
	status=$?
	if [ $status != "$code" ] || [[ $output != *"$words"* ]]; then
		wrong "relaycall $*: expected exit $code and \"$words\", got exit $status and: $output"
	fi
}

[ -x "$relaycall" ] || { echo "$relaycall is not built: make build"; exit 1; }

expect 0 "usage: relaycall" --help
expect 0 "relaycall " --version
expect 2 "no verb given"
expect 2 "unknown verb: cal" cal
expect 2 "option not understood" --colour id
expect 2 "unexpected word: now" id now
expect 2 "unexpected word: now" listen now
expect 2 "does not take: id" id --dir /tmp
expect 2 "does not take: send" send X --relay 192.0.2.1 --text x
expect 2 "does not take: listen" listen --text x
expect 2 "send wants CONTACT" send
expect 2 "either --text LINE or a FILE" send X
expect 2 "either --text LINE or a FILE" send X file --text line
expect 2 "only a line goes by address" send X file --by-address
expect 2 "--timeout wants" send X file --timeout 0
expect 2 "--limit wants" listen --limit 1M
expect 2 "--epoch wants" listen --epoch 1
expect 2 "call wants a CONTACT" call
expect 2 "unexpected word: now" call X now
expect 2 "unexpected word: now" answer now
expect 2 "does not take: call" call X --auto
expect 2 "does not take: call" call X --relay 192.0.2.1
expect 2 "does not take: send" send X file --in a.wav
expect 2 "does not take: answer" answer --timeout 5
expect 2 "--relay-after wants" call X --relay-after 1s
expect 2 "--duration wants" call X --duration 0
expect 2 "a name is empty" call X --in ""
expect 2 "leave --relay-after out" call X --relay-only --relay-after 5
expect 2 "a microphone has no end" call X --hangup-at-end
expect 2 "--device is for" call X --in tone --out none --device hw:0
expect 2 "either --auto or --ask" answer --auto --ask
expect 2 "no terminal to ask at" answer
expect 2 "relaycall: " call X --in tone --out none
for relay in "" 192.0.2.1:0 192.0.2.256 "[::1" -x a_b:1; do
	expect 2 "--relay wants an address" id --relay "$relay"
done
expect 2 "more addresses of a relay than four" id --relay a --relay b --relay c --relay d --relay e
expect 2 "--relay-key wants 32 bytes" id --relay-key AAAA
for contact in blindrelay: blindrelay:AQ "blindrelay:AgAAAAAA"; do
	expect 2 "this is no contact card" send "$contact" --text hello
done
expect 2 'there is no contact "X"' send X --text hello
expect 2 'there is no contact "https://example.org"' send https://example.org --text hello
[ ! -e "$dir/home" ] || wrong "wrong usage has made something"

# ---- the identity ----

expect 1 "names no relay yet: relaycall id --relay" id
identity=$dir/home/.config/blindrelay/identity
[ "$(stat -c %a "$identity")" = 600 ] || wrong "the identity has mode $(stat -c %a "$identity")"
[ "$(stat -c %a "$dir/home/.config/blindrelay")" = 700 ] || wrong "the identity's folder is open to others"
expect 2 "no relay is known" listen
seeds=$(grep seed "$identity")
contact=$("$relaycall" id --relay 192.0.2.1 --relay '[2001:db8::1]:5000')
[ "$seeds" = "$(grep seed "$identity")" ] || wrong "noting a relay has changed the identity"
[ "$(stat -c %a "$identity")" = 600 ] || wrong "the identity has mode $(stat -c %a "$identity") after a change"
[ "$("$relaycall" id)" = "$contact" ] || wrong "the contact changes by itself"
[[ $("$relaycall" -j id) == *"\"contact\":\"$contact\""*"\"relays\":[{\"addresses\":[\"192.0.2.1:3478\",\"[2001:db8::1]:5000\"]}]"* ]] || wrong "id -j: $("$relaycall" -j id)"
XDG_CONFIG_HOME=$dir/xdg "$relaycall" id --relay 192.0.2.1 >/dev/null 2>&1
[ -e "$dir/xdg/blindrelay/identity" ] || wrong "XDG_CONFIG_HOME is not looked at"
expect 0 "blindrelay:" --identity "$dir/other" id --relay relay.example.org
[ "$("$relaycall" --identity "$dir/other" id)" != "$contact" ] || wrong "two identities are one"
chmod 640 "$identity"
expect 1 "can be read by others: chmod 600" id
chmod 600 "$identity"
for line in "identity-seed = AAAA" "colour = red" "relay = 1.2.3.4.5" "[section]"; do
	{ cat "$identity"; echo "$line"; } >"$dir/damaged"
	chmod 600 "$dir/damaged"
	# A section alone is no error of its own; what is in it would be.
	[ "$line" != "[section]" ] || echo "relay = a" >>"$dir/damaged"
	expect 1 "not understood" --identity "$dir/damaged" id
done
grep -v delivery-seed "$identity" >"$dir/damaged"
expect 1 "lacks its delivery-seed" --identity "$dir/damaged" id
expect 1 "cannot read" --identity "$dir/damaged/below" id
expect 1 "cannot write" --identity /proc/identity id
expect 1 "is not a file" --identity "$dir" id

# One wrong character, anywhere.
wrong_contact=${contact:0:40}$([ "${contact:40:1}" = A ] && echo B || echo A)${contact:41}
expect 2 "this is no contact card, or not a whole one" send "$wrong_contact" --text hello
expect 2 "this is no contact card, or not a whole one" send "${contact%?}" --text hello

# ---- files ----

expect 1 "cannot read $dir/nothing" send "$contact" "$dir/nothing"
expect 1 "is not a file" send "$contact" "$dir"
expect 1 "is no folder" listen --dir "$dir/nothing"
expect 1 "is no folder" listen --dir "$identity"
expect 2 "do not go by address" send "$contact" --by-address --text "$(head -c 2000 /dev/zero | tr '\0' x)"
# Names are looked up where there is no network.
if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then
	nowhere=$("$relaycall" --identity "$dir/other" id --relay no-such-host.invalid)
	output=$(unshare -n timeout 20 "$relaycall" --identity "$dir/other" send "$nowhere" --text x 2>&1)
	[ $? = 3 ] && [[ $output == *"cannot be found: no-such-host.invalid"* ]] || wrong "an unknown name: $output"
fi

# ---- sound ----

for in in "$dir/nothing.wav" "$identity" "$dir"; do
	expect 1 "$in" call "$contact" --in "$in" --out none
done
expect 1 "$dir/nowhere/out.wav" call "$contact" --in tone --out "$dir/nowhere/out.wav"
expect 1 "cannot write $dir/nowhere/stats" call "$contact" --in tone --out none --stats "$dir/nowhere/stats"
expect 1 "$dir/nothing.wav" answer --auto --in "$dir/nothing.wav" --out none

# ---- tokens ----

expect 2 "token request COUNT FILE" token
expect 2 "token request COUNT FILE" token take a b
expect 2 "wants a number from 1 to 64" token request 65 "$dir/request"
expect 0 "relayctl token issue" token request 3 "$dir/request"
[ "$(stat -c %a "$dir/request.pending")" = 600 ] || wrong "what is kept of a request is open to others"
expect 1 "was not answered yet" token request 3 "$dir/request"
expect 1 "cannot read" token take "$dir/request" "$dir/answer" "$dir/tokens"
echo nonsense >"$dir/answer"
expect 1 "is no answer to this request" token take "$dir/request" "$dir/answer" "$dir/tokens"
[ -e "$dir/request.pending" ] || wrong "a wrong answer has taken the request away"
expect 1 "cannot read" token count "$dir/tokens"
expect 1 "is no file of tokens" token count "$dir/answer"

# ---- output that cannot be written ----

"$relaycall" id >/dev/full 2>"$dir/log"
[ $? = 1 ] && grep -q "cannot write the answer" "$dir/log" || wrong "a full disk: $(cat "$dir/log")"
exit $failed
