#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`relayctl reload` while ten clients talk: what can change changes without a lost packet in either direction, what cannot
is named, and a file with a mistake changes nothing.

    10 clients == numbered ChannelData, 20 ms ==> relay-dataplane --> peer   (both directions, not an echo)
                       blindrelay.conf is replaced, relayctl reload, SIGHUP, restarts of either daemon
"""
# sanitizers
import json
import os
import pathlib
import re
import signal
import time

import lab
import short_lifetimes
from lab import expect
from steady_traffic import Traffic
from turn_client import *  # noqa: F403

lab.enter(relay_ports="50000-50999", workers=2, turn_lines="user = bob:builder")
if lab.coturn():
    lab.skip("turnserver does not reload")
CLIENTS = 10
CONFIG = pathlib.Path(lab.LAB_CONFIG)
LOG = pathlib.Path(lab.LAB_DIR, "controlplane.log")


def replace(text):
    """As editors and configuration management do: another file under the same name."""
    temporary = CONFIG.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    os.replace(temporary, CONFIG)


def change(pattern, replacement):
    text, count = re.subn(pattern, replacement, CONFIG.read_text(), flags=re.M)
    assert count == 1, f"{pattern}: {count} matches"
    replace(text)


def reload(*arguments, code=0):
    """What `relayctl -j reload` says of each key: {"turn user": ["relay-dataplane"]}, [] being applied."""
    done = lab.relayctl("-j", "reload", *arguments)
    expect(f"exit code of reload ({done.stderr})", done.returncode, code)
    answer = json.loads(done.stdout)
    expect("ok", answer["ok"], code == 0)
    for one in answer["changes"]:
        expect(f"{one['key']} applied", one["applied"], not one["needs_restart"] and "--check" not in arguments)
    return answer["error"] if code else {f"{c['section']} {c['key']}": c["needs_restart"] for c in answer["changes"]}


def allocate(number, **how):
    client = lab.client(address=f"11.0.2.{number}", **how)
    return client, client.allocate()


def talks(number, client):
    """Data goes both ways through an allocation."""
    peer = lab.udp("peer", lab.PEER4)
    expect("ChannelBind", client.bind(0x4000 + number, lab.endpoint(peer)).code, 0)
    client.send_channel(0x4000 + number, b"there")
    expect("to the peer", lab.receive(peer), (b"there", client.relayed[0]))
    peer.sendto(b"back", client.relayed[0])
    expect("to the client", client.receive()[2], b"back")
    peer.close()


pairs = []
for n in range(1, CLIENTS + 1):
    peer = lab.udp("peer", lab.PEER4)
    peer.setblocking(False)
    client, response = allocate(n)
    expect("Allocate", response.code, 0)
    expect("ChannelBind", client.bind(0x4000, lab.endpoint(peer)).code, 0)
    pairs.append((client, peer))
# Without traffic of their own: the sockets of the others belong to it.
quiet = [allocate(40 + n) for n in range(3)]
expect("Allocates", [response.code for _, response in quiet], [0, 0, 0])
quiet = [client for client, _ in quiet]
bob, response = allocate(50, user="bob", password="builder")
expect("bob's Allocate", response.code, 0)

traffic = Traffic(pairs)
lab.wait_for(lambda: traffic.sent > 20, 10, "traffic")

# ---- nothing, a look, mistakes ----

expect("an unchanged file", reload(), {})
expect("its text", lab.relayctl("reload").stdout, "nothing changed\n")
good = CONFIG.read_text()

change(r"^relay-ports = .*", "relay-ports = 52000-52999")
expect("--check", reload("--check"), {"address relay-ports": []})
expect("--check once more", reload("--check"), {"address relay-ports": []})
expect("status after --check", lab.status()["relay_ports_total"], 2000)

replace(good + "[turn]\nquota = many\n")
line = len(CONFIG.read_text().splitlines())
refused = lab.relayctl("reload")
expect("exit code of a mistake", refused.returncode, 1)
if not refused.stderr.startswith(f'{CONFIG}:{line}: [turn] quota: "many" is not usable; expected a number'):
    raise AssertionError(f"a mistake is told as {refused.stderr}")
replace(good.replace("relay-ports = 50000-50999", "relay-ports = 3000-4000") + "[turn]\nquota = 7\n")
expect("a contradiction", "3000-4000 holds port (3478)" in reload(code=1), True)
replace(good)
CONFIG.chmod(0o644)
expect("open to everybody", "everybody may read it" in reload(code=1), True)
CONFIG.chmod(0o600)
os.chown(CONFIG, 65534, 65534)
expect("somebody else's file", "must be readable by that user" in reload(code=1), True)
CONFIG.unlink()
expect("no file", "cannot open: No such file" in reload(code=1), True)
os.mkfifo(CONFIG, 0o600)
expect("a pipe", "is no regular file" in reload(code=1), True)
CONFIG.unlink()
replace(good)
expect("after all that", reload(), {})
expect("ports in force", lab.status()["relay_ports_total"], 2000)
expect("an old client's Refresh", quiet[0].refresh(700).code, 0)
print("a file with a mistake, or none, changes nothing")

# ---- everything that can change at once, with the traffic running ----

before = traffic.sent
change(r"^relay-ports = .*", "relay-ports = 60000-60099")
change(r"^idle = sleep", "idle = poll")
change(r"^user = bob:builder\n", "user = carol:singer\nchannels = rfc5766\nmax-lifetime = 900\nquota = 16\n"
       "prefix-quota = 300\n[peers]\ndeny = 11.0.1.3\n")
applied = reload()
expect("applied", applied, {key: [] for key in (
    "dataplane idle", "address relay-ports", "turn user", "turn channels", "turn max-lifetime", "turn quota",
    "turn prefix-quota", "peers deny")})
expect("once more", reload(), {})
expect("ports in force", lab.status()["relay_ports_total"], 200)
lab.wait_for(lambda: traffic.sent > before + 50, 10, "traffic after the reload")

fresh, response = allocate(100)
expect("a new Allocate", response.code, 0)
expect("its port", 60000 <= fresh.relayed[0][1] <= 60099, True)
talks(1, fresh)
expect("a channel that rfc5766 allows", fresh.bind(0x7000, (lab.PEER4, 9)).code, 0)
expect("a denied peer", fresh.permit((lab.PEER4B, 9)).code, 403)
expect("the longest lifetime", fresh.refresh(3600).number(LIFETIME), 900)
expect("carol's Allocate", allocate(101, user="carol", password="singer")[1].code, 0)
expect("bob's Allocate", allocate(102, user="bob", password="builder")[1].code, 401)
expect("Refresh of bob's allocation", bob.refresh(600).code, 401)
more = [allocate(110 + n)[1].code for n in range(3)]
expect("alice's quota of 16, 14 of them live", more, [0, 0, 486])
for number, client in enumerate(quiet):
    expect(f"Refresh of old client {number}", client.refresh(700).code, 0)
    expect("its port", 50000 <= client.relayed[0][1] <= 50999, True)
talks(6, quiet[1])
# Two clients of the relay, one with a port of before, one with a port of now.
fresh.permit((lab.RELAY4, 1))
quiet[0].permit((lab.RELAY4, 1))
fresh.send(quiet[0].relayed[0], b"hairpin")
expect("from the new range to the old one", quiet[0].receive(), ("data", fresh.relayed[0], b"hairpin"))
print(f"applied {len(applied)} keys, ports of both ranges are served")

# ---- the guard ----


def guard():
    """Rules by prefix, and a limit."""
    shown = json.loads(lab.relayctl("-j", "guard").stdout)
    return {rule["prefix"]: rule["rule"] for rule in shown["rules"]}, shown["limits"]["punts"]


def silent(address):
    one = lab.client(address=address, user=None)
    try:
        one.exchange(build(BINDING), seconds=0.5, repeat=False)
    except Silence:
        return True
    return False


expect("no rule, the default limit", guard(), ({}, 2000))
lab.relayctl("guard", "block", "11.0.2.201")
replace(CONFIG.read_text() + "[guard]\nblock = 11.0.2.200/31\nallow = 11.0.2.201\npunts = 1500\n")
expect("guard", reload(), {"guard block": [], "guard allow": [], "guard punts": []})
expect("what the file says counts", guard(), ({"11.0.2.200/31": "block", "11.0.2.201/32": "allow"}, 1500))
expect("a blocked client hears nothing", silent("11.0.2.200"), True)
expect("an allowed one does", silent("11.0.2.201"), False)
lab.relayctl("guard", "block", "11.0.2.210")
change(r"^block = 11.0.2.200/31\nallow = 11.0.2.201\n", "block = 11.0.2.220\n")
expect("guard", reload(), {"guard block": [], "guard allow": []})
expect("rules of relayctl stay", guard(), ({"11.0.2.210/32": "block", "11.0.2.220/32": "block"}, 1500))
expect("who is not blocked any more", silent("11.0.2.200"), False)
lab.relayctl("guard", "remove", "11.0.2.210")

# ---- what needs a restart ----

change(r"^workers = 2", "workers = 1")
change(r"^max-lifetime = 900", "max-lifetime = 1200")
text = lab.relayctl("reload").stdout
expect("text", [" ".join(line.split()) for line in text.splitlines()],
       ["[dataplane] workers needs restart of relay-dataplane", "[turn] max-lifetime applied"])
expect("it still does", reload(), {"dataplane workers": ["relay-dataplane"]})
change(r"^listen = 11.0.0.1\n", "")
expect("listen", reload(), {"dataplane workers": ["relay-dataplane"],
                            "address listen": ["relay-dataplane", "relay-controlplane"]})
change(r"^\[address\]\n", "[address]\nlisten = 11.0.0.1\n")
change(r"^workers = 1", "workers = 2")
expect("put back", reload(), {})
print("what needs a restart is named, and its old value stays in force")

# ---- SIGHUP ----


def hup():
    lines = LOG.read_text().count("\n")
    os.kill(lab.pid("controlplane"), signal.SIGHUP)
    lab.wait_for(lambda: LOG.read_text().count("\n") > lines, 10, "a line about SIGHUP")
    return LOG.read_text().splitlines()[-1]


change(r"^quota = 16", "quota = 40")
expect("SIGHUP", hup(), "relay-controlplane: configuration reloaded; applied: [turn] quota")
expect("again", hup(), "relay-controlplane: configuration reloaded; nothing changed")
change(r"^quota = 40", "quota = forty")
expect("with a mistake", "not reloaded, nothing has changed: " in hup(), True)
change(r"^quota = forty", "quota = 40")
traffic.finish()

# ---- the control plane starts with another file than the dataplane has: the dataplane is told ----

change(r"^relay-ports = .*", "relay-ports = 61000-61099")
change(r"^workers = 2", "workers = 1")
change(r"^block = 11.0.2.220\npunts = 1500\n", "block = 11.0.2.230\n")
lab.shell("lab_controlplane_stop TERM")
short_lifetimes.start_control_plane()
expect("what the dataplane was started with", reload("--check"), {"dataplane workers": ["relay-dataplane"]})
fresh, response = allocate(150)
expect("Allocate", response.code, 0)
expect("its port", 61000 <= fresh.relayed[0][1] <= 61099, True)
talks(2, fresh)
expect("the guard", guard(), ({"11.0.2.230/32": "block"}, 2000))
expect("the oldest ones", quiet[2].refresh(700).code, 0)
talks(3, quiet[2])
print("both agree after a restart of the control plane")

# ---- as the service unit confines it: two capabilities, and a file system that it cannot write ----

lab.shell("lab_controlplane_stop TERM")
lab.shell("""lab_spawn controlplane relay unshare -m bash -c '
    mount --make-rprivate / && mount --bind "$LAB_DIR/run" "$LAB_DIR/run" && mount -o remount,bind,ro / &&
    exec setpriv --bounding-set=-all,+net_admin,+setpcap --inh-caps=-all --no-new-privs \\
        "$LAB_BIN/relay-controlplane" -c "$LAB_CONFIG"'""")
lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the confined control plane to serve")
change(r"^quota = 40", "quota = 41")
expect("confined", reload(), {"turn quota": [], "dataplane workers": ["relay-dataplane"]})
expect("confined, by SIGHUP", hup(), "relay-controlplane: configuration reloaded; needs restart of relay-dataplane: "
       "[dataplane] workers")
with open(f"/proc/{lab.pid('controlplane')}/status", encoding="ascii") as file:
    state = dict(line.split(":", 1) for line in file.read().splitlines())
expect("its capabilities", (int(state["CapEff"], 16), int(state["CapBnd"], 16), state["Seccomp"].strip()), (0x1000, 0, "2"))
print("confined as by its unit it reloads as well")

# ---- reload without a dataplane, which then starts ----

instance = lab.pid("dataplane")
lab.shell("lab_stop dataplane TERM")
lab.wait_for(lambda: lab.status()["state"] == "unreachable", 10, "the control plane to notice")
change(r"^relay-ports = .*", "relay-ports = 62000-62099")
done = json.loads(lab.relayctl("-j", "reload").stdout)
expect("told later", done["dataplane_told_later"], True)
change(r"^relay-ports = .*", "relay-ports = 49152-49999")  # what it will read itself, and the control plane has not
change(r"^block = 11.0.2.230", "block = 11.0.2.231")
lab.shell("lab_dataplane_start")
lab.wait_for(lambda: lab.status()["state"] == "serving", 20, "the relay to serve")
expect("another dataplane", lab.pid("dataplane") != instance, True)
fresh = lab.wait_for(lambda: (lambda made: made[0] if made[1].code == 0 else None)(allocate(151 + int(time.monotonic()) % 100)), 20,
                     "an allocation")
expect("the control plane's range", 62000 <= fresh.relayed[0][1] <= 62099, True)
talks(4, fresh)
expect("its guard", guard()[0], {"11.0.2.230/32": "block"})
expect("then the file's", reload(), {"address relay-ports": [], "guard block": []})
expect("the file's guard", guard()[0], {"11.0.2.231/32": "block"})
fresh, response = allocate(9)
expect("its range", 49152 <= fresh.relayed[0][1] <= 49999, True)
talks(5, fresh)
print("both agree after a restart of the dataplane")
