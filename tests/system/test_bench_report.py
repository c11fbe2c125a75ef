#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""perf/run: what scenarios print becomes results, a table and a plot, the same from the same files; a scenario that fails or prints nonsense is told and
does not stop the others, and a damaged result is told by name. Made-up scenarios in a folder of their own; no namespaces, no traffic."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

RUN = pathlib.Path(__file__).resolve().parents[2] / "perf" / "run"
LINES = [
    {"name": "veth", "value": 900000, "unit": "packets/s", "baseline": 300000, "ratio": 3.0, "min": 2.5, "max": 3.25},
    {"name": "veth-p99", "value": 900.0, "unit": "us", "baseline": 2000.0, "ratio": 0.45, "min": 0.4, "max": 0.5},
    {"name": "memif-64", "value": 5e6, "unit": "packets/s", "baseline": 6e6, "ratio": 0.83, "min": 0.8, "max": 0.9,
     "curve": {"10": {"p50_us": 4.0, "p99_us": 9.0}, "90": {"p50_us": 12.0, "p99_us": 300.0}},
     "baseline_curve": {"10": {"p50_us": 3.0, "p99_us": 7.0}, "90": {"p50_us": 9.0, "p99_us": 200.0}}},
]


def scenario(folder, name, body):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def printing(lines):
    return "\n".join(f"echo '{json.dumps(line)}'" for line in lines)


def run(folder, *arguments):
    return subprocess.run([str(RUN), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
                          env=dict(os.environ, SCENARIOS=str(folder / "scenarios"), RESULTS=str(folder / "results")))


def row(text, name):
    return next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scenarios, results = folder / "scenarios", folder / "results"
        scenarios.mkdir()
        scenario(scenarios, "a-broken", "echo half a line; exit 3")
        scenario(scenarios, "b-good", "echo progress\n" + printing(LINES))
        scenario(scenarios, "c-empty", "true")
        scenario(scenarios, "d-nonsense", "echo '{\"name\": \"x\", \"value\": \"fast\", \"unit\": \"\", \"ratio\": 1, \"min\": 1, \"max\": 1}'")
        scenario(scenarios, "e-cut", "echo '{\"name\": \"x\", \"val'")

        done = run(folder)
        assert done.returncode == 1, done
        assert "a-broken: it ended with 3" in done.stdout, done.stdout
        assert "c-empty" in done.stdout and "no figures" in done.stdout, done.stdout
        assert "'value' of figure 'x' is 'fast'" in done.stdout, done.stdout
        assert "FAILED  e-cut: what it printed is no result" in done.stdout, done.stdout
        assert sorted(p.name for p in results.iterdir()) == ["TABLE.md", "b-good.json", "plot.svg"], list(results.iterdir())
        kept = json.loads((results / "b-good.json").read_text())
        assert kept["figures"] == LINES, kept
        assert set(kept["machine"]) == {"cpu", "cores", "kernel", "dpdk", "version", "date"}, kept["machine"]
        assert os.uname().nodename not in (results / "b-good.json").read_text() or len(os.uname().nodename) < 4

        # The summary judges by targets.json: veth wants 2 x, its p99 a fifth.
        judged = {line.split()[0]: line for line in done.stdout.split("== targets")[1].splitlines() if line.strip()}
        assert " met " in judged["veth"] and "MISSED" in judged["veth-p99"] and "not measured" in judged["scale"], judged

        table, plot = (results / "TABLE.md").read_text(), (results / "plot.svg").read_text()
        assert "| 900,000 packets/s | 300,000 | 3.00 | 2.50-3.25 | ≥ 2.00 x | met |" in row(table, "veth"), row(table, "veth")
        assert row(table, "veth-p99").endswith("| MISSED |"), table
        assert "`scale`" in table.split("Not measured:")[1], table
        svg = xml.etree.ElementTree.fromstring(plot)
        texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
        assert "veth" in texts and "memif-64: latency, us" in texts, texts
        assert len(list(svg.iter("{http://www.w3.org/2000/svg}polyline"))) == 4
        assert "prefers-color-scheme: dark" in plot

        # The same files give the same bytes.
        done = run(folder, "--report")
        assert done.returncode == 0, done
        assert (table, plot) == ((results / "TABLE.md").read_text(), (results / "plot.svg").read_text())

        # One scenario by its name; one that is not there.
        assert run(folder, "b-good").returncode == 0
        done = run(folder, "z")
        assert done.returncode == 1 and "no scenario 'z'; there are: a-broken, b-good" in done.stderr, done

        for text, words in (("{", "not JSON"), ("[]", "expected an object"), ('{"machine": {}, "figures": [{"name": "x"}]}', "figure 'x' has no 'value'")):
            (results / "damaged.json").write_text(text)
            done = run(folder, "--report")
            assert done.returncode == 1 and "damaged.json" in done.stderr and words in done.stderr, done
    print("results, table and plot are made, and what is wrong with them is said")


if __name__ == "__main__":
    sys.exit(main())
