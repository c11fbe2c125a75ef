#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Two people on two hosts, who know each other's contact string and one relay, send each other lines
# and files with relaycall. What arrives is what was sent; what goes wrong is said, with its exit code.
#
#     alice (client) 11.0.0.2 == relay 11.0.0.1:3478 == 11.0.1.2 bob (peer)
. "$(dirname "$0")/lab.sh"
[ "$RELAY" != coturn ] || skip "turnserver knows nothing of the native protocol"
[ -x "$LAB_BIN/relaycall" ] || fail "$LAB_BIN/relaycall is missing: make build"
lab_up

# call WHO ARGUMENTS...: relaycall of alice or bob, where they are.
call() {
	local who=$1 where=client
	shift
	[ "$who" != bob ] || where=peer
	timeout --foreground 60 ip netns exec "$LAB_NAME-$where" "$LAB_BIN/relaycall" --identity "$LAB_DIR/$who.id" "$@"
}

# expect CODE "words" COMMAND...: stdout and stderr together must hold the words.
expect() {
	local code=$1 words=$2 output status=0
	shift 2
	output=$("$@" 2>&1 </dev/null) || status=$?
	[ $status = "$code" ] && [[ $output == *"$words"* ]] ||
		fail "$*: expected exit $code and \"$words\", got exit $status and: $output"
}

# listen OPTION...: bob listens, until unlisten.
listen() {
	: >"$LAB_DIR/bob.log"
	lab_spawn bob peer "$LAB_BIN/relaycall" --identity "$LAB_DIR/bob.id" listen "$@"
	BOB=$LAB_PID
	lab_wait 10 "bob to be registered" grep -q '^registered at' "$LAB_DIR/bob.log"
}

heard() { lab_wait 10 "bob to hear: $1" grep -q -- "$1" "$LAB_DIR/bob.log"; }

# SIGINT, as Ctrl-C sends it; it says that it leaves. (Its code cannot be had here: it is no child.)
unlisten() {
	kill -INT "$BOB"
	lab_wait 10 "bob to leave" lab_gone "$BOB"
	grep -q 'leaving' "$LAB_DIR/bob.log" || fail "bob has not said that it leaves"
}

# A relay that is not there: takes its time, so it is asked meanwhile.
call carol --json id --relay "$RELAY4:3999" >"$LAB_DIR/nowhere.json"
nowhere=$(sed -n 's/.*"contact":"\([^"]*\)".*/\1/p' "$LAB_DIR/nowhere.json")
(
	code=0
	call carol send "$nowhere" --text hello --timeout 4 >"$LAB_DIR/nowhere.log" 2>&1 || code=$?
	echo "exit $code" >>"$LAB_DIR/nowhere.log"
) &
NOWHERE=$!

key=$(lab_ctl -j status | sed -n 's/.*"relay_key": *"\([^"]*\)".*/\1/p')
[ -n "$key" ] || fail "relayctl status tells no relay key"
bob=$(call bob id --relay "$RELAY4" --relay "$RELAY6" --relay-key "$key" 2>/dev/null)
[[ $bob == blindrelay:A* ]] || fail "no contact: $bob"
[ "$(stat -c %a "$LAB_DIR/bob.id")" = 600 ] || fail "the identity is open to others"
[ "$(call bob id)" = "$bob" ] || fail "another contact the second time"
bob6=$(call bob id --relay "$RELAY6") # the key is the other relay's as far as it knows
call bob id --relay "$RELAY4" --relay "$RELAY6" --relay-key "$key" >/dev/null

# ---- nobody there ----

expect 4 "not registered at its relay" call alice send "$bob" --text hello
echo "absent: said so"

# ---- lines ----

mkdir "$LAB_DIR/in"
listen --dir "$LAB_DIR/in"
expect 0 "sent a text, 5 bytes" call alice send "$bob" --text hello
heard ': hello$'
expect 0 "nobody confirms" call alice send "$bob" --text "by address" --by-address
heard ': by address$'
expect 0 "sent a text" call alice send "$bob6" --text "over IPv6"
heard ': over IPv6$'
expect 0 "sent a text" call alice send "$bob" --text "$(printf 'escape \033[31m and bell \007')"
heard 'escape ?\[31m and bell ?$'
echo "lines: by call, by address, over both families"

# ---- files ----

for size in 0 1 1190 1000000; do
	head -c $size /dev/urandom >"$LAB_DIR/file.$size"
	expect 0 "$size bytes" call alice send "$bob" "$LAB_DIR/file.$size"
	heard "file .*/file.$size, $size bytes"
	cmp "$LAB_DIR/file.$size" "$LAB_DIR/in/file.$size" || fail "what arrived is not what was sent"
done
call alice -j send "$bob" "$LAB_DIR/file.1000000" >"$LAB_DIR/sent.json"
grep -q '"result":"sent","bytes":1000000' "$LAB_DIR/sent.json" || fail "no result: $(cat "$LAB_DIR/sent.json")"
hash=$(sed -n 's/.*"blake3":"\([0-9a-f]*\)".*/\1/p' "$LAB_DIR/sent.json")
heard "file .*/file.1000000.1, 1000000 bytes, BLAKE3 $hash"
cmp "$LAB_DIR/file.1000000" "$LAB_DIR/in/file.1000000.1" || fail "the second copy differs"
[ "$(cat "$LAB_DIR"/in/* | wc -c)" = 2001191 ] || fail "something else lies in the folder"
echo "files: 0 bytes to 1 MB, $(cat "$LAB_DIR/sent.json")"

# ---- another address in the middle of a file; the control plane is killed meanwhile ----

head -c 30000000 /dev/urandom >"$LAB_DIR/large"
call alice send "$bob" "$LAB_DIR/large" >"$LAB_DIR/large.log" 2>&1 &
LARGE=$!
part_grows() { [ "$(cat "$LAB_DIR"/in/.relaycall-* 2>/dev/null | wc -c)" -gt "$1" ]; }
lab_wait 10 "the file to begin" part_grows 1000000
lab_controlplane_stop KILL
ip -n "$NS_CLIENT" route change default via "$RELAY4" src "$CLIENT4B"
ip -n "$NS_CLIENT" address delete "$CLIENT4/24" dev c0
ip -n "$NS_CLIENT" address add "$CLIENT4B/24" dev c0 2>/dev/null || true
ip -n "$NS_CLIENT" route replace default via "$RELAY4" src "$CLIENT4B"
lab_controlplane_start
wait $LARGE || fail "the file was not sent: $(cat "$LAB_DIR/large.log")"
cmp "$LAB_DIR/large" "$LAB_DIR/in/large" || fail "what arrived is not what was sent"
echo "moved meanwhile: $(cat "$LAB_DIR/large.log")"

# ---- Ctrl-C while a file is sent ----

lab_wait 20 "the control plane" lab_ctl status
: >"$LAB_DIR/cut.log"
lab_spawn cut client "$LAB_BIN/relaycall" --identity "$LAB_DIR/alice.id" -j send "$bob" "$LAB_DIR/large"
CUT=$LAB_PID
lab_wait 10 "the file to begin" part_grows 1000000
kill -INT "$CUT"
lab_wait 10 "alice to end" lab_gone "$CUT"
grep -q 'interrupted; [1-9][0-9]* of 30000000 bytes had arrived' "$LAB_DIR/cut.log" || fail "Ctrl-C: $(cat "$LAB_DIR/cut.log")"
heard 'has broken off after'
[ -z "$(find "$LAB_DIR/in" -name '.relaycall*')" ] || fail "an unfinished file was left behind"
unlisten

# ---- what bob does not want ----

listen # without a folder
expect 4 "has declined" call alice send "$bob" "$LAB_DIR/file.1"
unlisten
listen --dir "$LAB_DIR/in" --limit 1000
expect 4 "has declined" call alice send "$bob" "$LAB_DIR/file.1190"
expect 0 "1 bytes" call alice send "$bob" "$LAB_DIR/file.1"
unlisten
expect 4 "not registered at its relay" call alice send "$bob" --text hello
echo "declined, and gone: said so"

# ---- asked ----

mkfifo "$LAB_DIR/answers"
call bob listen --ask --once <"$LAB_DIR/answers" >"$LAB_DIR/bob.log" 2>&1 &
BOB=$!
exec 5>"$LAB_DIR/answers"
lab_wait 10 "bob to be registered" grep -q '^registered at' "$LAB_DIR/bob.log"
echo n >&5
expect 4 "has declined" call alice send "$bob" --text first &
first=$!
lab_wait 10 "the question" grep -q 'text of 5 bytes. Accept' "$LAB_DIR/bob.log"
echo no >&5
wait $first || exit 1
expect 0 "sent a text" call alice send "$bob" --text second! &
second=$!
lab_wait 10 "the question" grep -q 'text of 7 bytes. Accept' "$LAB_DIR/bob.log"
echo yes >&5
wait $second || exit 1
wait $BOB || fail "bob ended with $?"
heard ': second!$'
exec 5>&-
echo "asked: no and yes"

# ---- the wrong relay, and none ----

wrong=$(call dora id --relay "$RELAY4" --relay-key "$(head -c 32 /dev/zero | base64)" 2>/dev/null)
expect 3 "its key is not the one that is expected" call alice send "$wrong" --text hello
wait $NOWHERE
grep -q '^exit 3$' "$LAB_DIR/nowhere.log" && grep -q "no answer from relay $RELAY4:3999" "$LAB_DIR/nowhere.log" ||
	fail "a relay that is not there: $(cat "$LAB_DIR/nowhere.log")"
echo "wrong relay and no relay: said so"

# ---- a program of somebody else's, built with what was installed ----

DESTDIR=$LAB_DIR/root PREFIX=/usr "$LAB_ROOT/scripts/install-files" >"$LAB_DIR/install.log" || fail "$(cat "$LAB_DIR/install.log")"
# shellcheck disable=SC2046
gcc -std=gnu17 -o "$LAB_DIR/hello" "$LAB_ROOT/endpoint/example/hello.c" -Wl,-rpath,"$LAB_DIR/root/usr/lib" \
	$(PKG_CONFIG_PATH=$LAB_DIR/root/usr/lib/pkgconfig pkg-config --define-variable=prefix="$LAB_DIR/root/usr" --cflags --libs endpoint)
lab_spawn hello peer "$LAB_DIR/hello" "$RELAY4:3478"
HELLO=$LAB_PID
lab_wait 10 "its contact" grep -q '^blindrelay:' "$LAB_DIR/hello.log"
expect 0 "they say: yes?" lab_in client timeout 20 "$LAB_DIR/hello" "$RELAY4:3478" "$(grep -m 1 '^blindrelay:' "$LAB_DIR/hello.log")"
lab_wait 10 "the other to end" lab_gone "$HELLO"
grep -q '^heard: hello$' "$LAB_DIR/hello.log" || fail "it heard: $(cat "$LAB_DIR/hello.log")"
echo "the example: $(grep heard "$LAB_DIR/hello.log")"
