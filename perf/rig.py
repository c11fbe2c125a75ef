# SPDX-License-Identifier: BSD-3-Clause
"""The bench for memif scenarios: a device under test behind one memif port, and the packet generator at its other end.

    packet_load (core 0)  == memif ==  relay-dataplane (worker core 1; main lcore core 0), relay-controlplane (core 0)
                                       relay0, the exception TAP, has the relay's address and routes
    packet_load (core 0)  == memif ==  dpdk-testpmd, 5tswap, one port in a loop (forwarding core 1)

Everything lives in a network namespace and a directory of its own and is removed at the end, whatever happens. Hugepages that are missing are
reserved, and given back at the end.
"""
import contextlib
import glob
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BIN = os.path.join(ROOT, "build", "bin")
PACKET_LOAD = os.path.join(ROOT, "build", "perf", "packet_load")
HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB"
GENERATOR_MAC = "02:00:00:00:00:02"
RELAY_MAC = "02:00:00:00:00:01"  # what testpmd is told; the relay has its own
ADDRESS, REALM, USER, PASSWORD = "11.0.0.1", "bench.blindrelay", "alice", "wonderland"
RELAY_MEMORY, GENERATOR_MEMORY, TESTPMD_MEMORY = 512, 256, 256  # MiB
START_SECONDS = 30
PRIORITY = -20
WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")  # nothing polls on when this process is killed


def say(text):
    print(text, flush=True)


def fail(text):
    raise SystemExit(f"{os.path.basename(sys.argv[0])}: {text}")


def wait_for(what, condition, seconds=START_SECONDS, process=None):
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            fail(f"{what}: the process ended with {process.returncode}")
        if time.monotonic() > deadline:
            fail(f"gave up waiting for {what}")
        time.sleep(0.02)


def command(*words, check=True):
    out = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if check and out.returncode != 0:
        fail(f"{' '.join(words)}: {out.stderr.strip()}")
    return out.stdout


def json_lines(*words, **environment):
    """What a program prints that is JSON, a line each."""
    out = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, env=dict(os.environ, **environment))
    if out.returncode != 0:
        fail(f"{' '.join(words)} failed with {out.returncode}\n{out.stderr}")
    return [json.loads(line) for line in out.stdout.splitlines() if line.startswith("{")]


def read_text(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def read_number(path):
    return int(read_text(path))


def write_number(path, number):
    with open(path, "w", encoding="ascii") as f:
        f.write(str(number))


@contextlib.contextmanager
def hugepages(mib):
    """Free 2 MiB pages for that much; what had to be added is given back."""
    missing = (mib + 1) // 2 - read_number(f"{HUGEPAGES}/free_hugepages")
    before = read_number(f"{HUGEPAGES}/nr_hugepages")
    try:
        if missing > 0:
            write_number(f"{HUGEPAGES}/nr_hugepages", before + missing)
            got = read_number(f"{HUGEPAGES}/free_hugepages") * 2
            if got < mib:
                fail(f"{mib} MiB of 2 MiB hugepages are needed, {got} are free and the kernel gives no more; free memory, "
                     f"or reserve them early: sysctl vm.nr_hugepages={before + missing}")
        yield
    finally:
        if missing > 0:
            write_number(f"{HUGEPAGES}/nr_hugepages", before)


def prefer(pid):
    """Gives the session of that process precedence over the others of the machine, where the kernel groups threads by session."""
    with contextlib.suppress(OSError):
        write_number(f"/proc/{pid}/autogroup", PRIORITY)


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def sweep():
    """Removes namespaces and directories of runs that were killed."""
    for path in glob.glob("/run/netns/brperf*") + glob.glob(os.path.join(tempfile.gettempdir(), "brperf*.*")):
        name = os.path.basename(path)
        owner = name[len("brperf"):].split(".")[0]
        if not owner.isdigit() or os.path.exists(f"/proc/{owner}"):
            continue
        if path.startswith("/run/netns/"):
            command("ip", "netns", "delete", name, check=False)
        else:
            shutil.rmtree(path, ignore_errors=True)


class Rig:
    """The namespace and the directory. A context manager; devices are made by relay() and testpmd()."""

    def __init__(self, memory=RELAY_MEMORY):
        self.memory = memory
        self.namespace = f"brperf{os.getpid()}"
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        if os.geteuid() != 0:
            fail("namespaces need root")
        for program in (PACKET_LOAD, os.path.join(BIN, "relay-dataplane"), os.path.join(BIN, "relay-controlplane")):
            if not os.access(program, os.X_OK):
                fail(f"{program} is missing: make build perf-programs")
        if (os.cpu_count() or 1) < 2:
            fail("two cores are needed: one for the generator, one for what it measures")
        with self.stack:
            # SIGTERM unwinds like Ctrl-C.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            self.stack.enter_context(hugepages(max(self.memory, TESTPMD_MEMORY) + GENERATOR_MEMORY))
            sweep()
            self.directory = tempfile.mkdtemp(prefix=f"{self.namespace}.")
            self.stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            command("ip", "netns", "add", self.namespace)
            self.stack.callback(command, "ip", "netns", "delete", self.namespace, check=False)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *what):
        self.stack.close()

    def path(self, name):
        return os.path.join(self.directory, name)

    def inside(self, *words, **keywords):
        return subprocess.Popen(WITH_US + ("ip", "netns", "exec", self.namespace) + words, stdin=subprocess.PIPE, stdout=keywords.get("log"),
                                stderr=subprocess.STDOUT, start_new_session=True)

    def ip(self, *words):
        command("ip", "-n", self.namespace, *words)

    def relay(self, **keywords):
        return Relay(self, **keywords)

    def testpmd(self, **keywords):
        return Testpmd(self, **keywords)


class Device:
    """What is measured. A context manager: started on entry, ended on exit."""
    name = ""
    mac = RELAY_MAC

    def __init__(self, rig, queues=1):
        self.rig = rig
        self.queues = queues
        self.processes = {}
        self.socket = rig.path("memif.sock")

    def spawn(self, name, *words):
        with open(self.rig.path(f"{name}.log"), "ab") as log:
            self.processes[name] = self.rig.inside(*words, log=log)
        return self.processes[name]

    def prefer_workers(self, process):
        """Whatever else the machine does, the forwarding thread goes first, as the generator does on its core."""
        def workers():
            tasks = os.listdir(f"/proc/{process.pid}/task")
            return [task for task in tasks if "-worker" in read_text(f"/proc/{process.pid}/task/{task}/comm")]
        wait_for("forwarding threads", workers, process=process)
        prefer(process.pid)
        for task in workers():
            os.setpriority(os.PRIO_PROCESS, int(task), PRIORITY)

    def last_words(self):
        text = ""
        for name in self.processes:
            with open(self.rig.path(f"{name}.log"), encoding="utf-8", errors="replace") as log:
                text += f"---- {name}\n" + "".join(log.readlines()[-15:])
        return text

    def __enter__(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
        try:
            self.start()
        except BaseException:
            sys.stderr.write(self.last_words())
            self.stop()
            raise
        return self

    def __exit__(self, *what):
        if what[0] not in (None, SystemExit, KeyboardInterrupt):
            sys.stderr.write(self.last_words())
        self.stop()

    def stop(self):
        for process in reversed(list(self.processes.values())):
            end(process)
        self.processes = {}

    def start(self):
        raise NotImplementedError

    def generator_options(self):
        return []

    def load(self, *arguments, priority=("nice", "-n", str(PRIORITY)), on_line=None):
        """Runs the generator; returns its JSON lines. on_line(figure) is called as each arrives."""
        words = [*WITH_US, *priority, PACKET_LOAD, "--socket", self.socket, "--relay-mac", self.mac, "--server", f"{ADDRESS}:3478", "--core", "0",
                 "--queues", str(self.queues), "--memory", str(GENERATOR_MEMORY), "--login", f"{USER}:{PASSWORD}", *self.generator_options(), *arguments]
        figures = []
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                prefer(process.pid)
                for line in process.stdout:
                    if line.startswith("{"):
                        figures.append(json.loads(line))
                        if on_line:
                            on_line(figures[-1])
                    if os.environ.get("VERBOSE"):
                        sys.stderr.write(line)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            sys.stderr.write(self.last_words())
            fail(f"the generator failed with {process.returncode} against {self.name}")
        for name, device in self.processes.items():
            if device.poll() is not None:
                sys.stderr.write(self.last_words())
                fail(f"{name} ended by itself with {device.returncode}")
        return figures


class Relay(Device):
    """relay-dataplane and relay-controlplane. Further lines of sections: dataplane=, address=, turn=, guard=."""
    name = "relay"

    def __init__(self, rig, queues=1, idle="poll", **lines):
        super().__init__(rig, queues)
        self.idle, self.lines = idle, lines
        self.control = rig.path("run/control.sock")

    def configure(self):
        sections = {
            "node": ["name = bench", f"state = {self.rig.path('state')}", f"run = {self.rig.path('run')}"],
            "dataplane": [f"port = memif:{self.socket},id=0,role=server,queues={self.queues},kernel=relay0", f"workers = {self.queues}", "cores = 0,1",
                          f"idle = {self.idle}", "hugepages = yes", f"memory = {self.rig.memory}"],
            "address": [f"listen = {ADDRESS}"],
            "turn": [f"realm = {REALM}", "auth = static", f"user = {USER}:{PASSWORD}", "quota = 0", "prefix-quota = 0"],
        }
        for section, more in self.lines.items():
            sections.setdefault(section, []).extend(more)
        for name in ("state", "run"):
            os.makedirs(self.rig.path(name), exist_ok=True)
        path = self.rig.path("blindrelay.conf")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            for section, lines in sections.items():
                f.write(f"[{section}]\n" + "".join(line + "\n" for line in lines))
        return path

    def start(self):
        config = self.configure()
        for name in ("dataplane.sock", "control.sock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.rig.path(f"run/{name}"))
        dataplane = self.spawn("dataplane", os.path.join(BIN, "relay-dataplane"), "-c", config)
        wait_for("the dataplane's socket", lambda: os.path.exists(self.rig.path("run/dataplane.sock")), process=dataplane)
        # Behind the port are two routers, one towards the clients (and everybody else), one towards the peers; both are the generator.
        self.rig.ip("address", "add", f"{ADDRESS}/24", "dev", "relay0")
        self.rig.ip("link", "set", "relay0", "up")
        for host in ("11.0.0.2", "11.0.0.3"):
            self.rig.ip("neighbour", "replace", host, "lladdr", GENERATOR_MAC, "dev", "relay0", "nud", "permanent")
        self.rig.ip("route", "replace", "default", "via", "11.0.0.2")
        self.rig.ip("route", "replace", "12.0.0.0/8", "via", "11.0.0.3")
        controlplane = self.spawn("controlplane", "taskset", "-c", "0", os.path.join(BIN, "relay-controlplane"), "-c", config)
        wait_for("the control plane", self.serving, process=controlplane)
        self.mac = command("ip", "-n", self.rig.namespace, "-o", "link", "show", "relay0").split("link/ether ")[1].split()[0]
        self.prefer_workers(dataplane)

    def ctl(self, *words):
        return command(os.path.join(BIN, "relayctl"), "-s", self.control, *words, check=False)

    def serving(self):
        return '"serving"' in self.ctl("-j", "status")

    def resident(self):
        """KiB of memory of both processes, hugepages included."""
        total = {}
        for name, process in self.processes.items():
            with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
                fields = dict(line.split(":", 1) for line in f)
            total[name] = sum(int(fields[key].split()[0]) for key in ("VmRSS", "HugetlbPages"))
        return total


class Testpmd(Device):
    """DPDK's own forwarder, swapping addresses and ports: what a packet costs when nothing is decided about it."""
    name = "testpmd"

    def __init__(self, rig, queues=1, mode="5tswap", burst=64):
        super().__init__(rig, queues)
        self.mode, self.burst = mode, burst

    def start(self):
        if shutil.which("dpdk-testpmd") is None:
            fail("dpdk-testpmd is missing: apt-get install dpdk-dev")
        process = self.spawn("testpmd", "dpdk-testpmd", "--no-pci", "--in-memory", "--no-telemetry", "-m", str(TESTPMD_MEMORY), "-l", "0,1", "--main-lcore", "0",
                             f"--vdev=net_memif0,role=server,id=0,socket={self.socket},socket-abstract=no,bsize=2048,rsize=10",
                             "--", f"--forward-mode={self.mode}", "--port-topology=loop", "--nb-cores=1", f"--burst={self.burst}", "--auto-start",
                             f"--rxq={self.queues}", f"--txq={self.queues}", "--total-num-mbufs=16384")
        wait_for("testpmd's socket", lambda: os.path.exists(self.socket), process=process)
        self.prefer_workers(process)

    def generator_options(self):
        return ["--reflector"]


def median(values):
    return statistics.median(values)


def result(name, unit, ours, theirs, **more):
    """The line that perf/run keeps: medians, and the ratio's spread over the rounds."""
    ratios = [a / b for a, b in zip(ours, theirs) if b]
    line = {"name": name, "value": round(median(ours), 3), "unit": unit, "baseline": round(median(theirs), 3) if theirs else None,
            "ratio": round(median(ratios), 3) if ratios else None, "min": round(min(ratios), 3) if ratios else None,
            "max": round(max(ratios), 3) if ratios else None, **more}
    say(json.dumps(line))
    return line


def limit(figures):
    """What ended a search: the device, which lost packets or left its ring full, or the generator, which did not reach the rate."""
    failed = [f for f in figures if f.get("trial") == "search" and (f["lost"] or f["generator_limit"])]
    return "generator" if failed and not any(f["lost"] for f in failed) else "device"


ROUNDS = int(os.environ.get("ROUNDS", "5"))


def path(mappings, memory, rounds, *way):
    """One run of perf/path.c: a dictionary per measurement."""
    with hugepages(memory):
        out = command(os.path.join(ROOT, "build", "perf", "path"), "--in-memory", "--no-pci", "--no-telemetry", "--log-level=3", "-l", "1",
                      "-m", str(memory), "--", str(mappings), str(ROUNDS), str(rounds), *way)
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def path_stages(figures):
    names = [n for n in figures[0] if n not in ("way", "table", "mappings", "cycles")]
    return {n: median([f[n] for f in figures if n in f]) for n in names}


def path_native(way, sizes):
    """Data by handle or by address, beside ChannelData between the same two ends, in the same process."""
    for name, (mappings, memory, rounds) in sizes.items():
        figures = path(mappings, memory, rounds, way)
        ours = [f for f in figures if f["way"] == way]
        cycles, channel = [f["cycles"] for f in ours], [f["cycles"] for f in figures if f["way"] == "client_to_peer"]
        say(f"{name:4} {way:8} {median(cycles):6.1f}  channel {median(channel):6.1f}")
        result(f"{way}-{name}", "cycles/packet", cycles, channel, baseline_is="client to peer by channel", stages=path_stages(ours), limit="core")
