# SPDX-License-Identifier: BSD-3-Clause
"""What perf/run makes of the results: a summary against the targets, a table in Markdown, a plot in SVG.

Everything here is a function of the JSON in results/ and of targets.json: the same files give the same bytes. A result is
{"machine": {...}, "figures": [{"name", "value", "unit", "baseline", "ratio", "min", "max", ...}]}; a target is {"name", "of": "ratio" or "value",
"at": "most" or "least", "target", "question"}.
"""
import json
import math
import os
import xml.sax.saxutils

MACHINE = ("cpu", "cores", "kernel", "dpdk", "version", "date")
FIGURE = ("name", "value", "unit", "ratio", "min", "max")
NUMBERS = ("value", "baseline", "ratio", "min", "max")


class Malformed(Exception):
    """A file that is not what it should be; the text says which and why."""


def read_json(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Malformed(f"{path}: not JSON: {error}") from error


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_figure(path, figure):
    if not isinstance(figure, dict):
        raise Malformed(f"{path}: a figure is an object, not {figure!r}")
    for key in FIGURE:
        if key not in figure:
            raise Malformed(f"{path}: figure {figure.get('name', '?')!r} has no {key!r}")
    for key in NUMBERS:
        if figure.get(key) is not None and not number(figure[key]):
            raise Malformed(f"{path}: {key!r} of figure {figure['name']!r} is {figure[key]!r}, expected a number or null")
    if figure["value"] is None:
        raise Malformed(f"{path}: figure {figure['name']!r} has no value")


def check_result(path, result):
    if not isinstance(result, dict) or not isinstance(result.get("machine"), dict) or not isinstance(result.get("figures"), list):
        raise Malformed(f"{path}: expected an object with \"machine\" and \"figures\"")
    if not result["figures"]:
        raise Malformed(f"{path}: it has no figures")
    for figure in result["figures"]:
        check_figure(path, figure)
    return result


def read_results(folder):
    """By scenario, in alphabetical order."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except OSError as error:
        raise Malformed(f"{folder}: {error.strerror}") from error
    return {name[:-len(".json")]: check_result(os.path.join(folder, name), read_json(os.path.join(folder, name))) for name in names}


def read_targets(path):
    targets = read_json(path)
    if not isinstance(targets, list):
        raise Malformed(f"{path}: expected a list")
    for target in targets:
        if not (isinstance(target, dict) and isinstance(target.get("name"), str) and target.get("of") in ("ratio", "value")
                and target.get("at") in ("most", "least") and number(target.get("target")) and isinstance(target.get("question"), str)):
            raise Malformed(f"{path}: expected name, of (ratio, value), at (most, least), target and question in {target!r}")
    return targets


def figures_of(results):
    return {figure["name"]: figure for result in results.values() for figure in result["figures"]}


def verdict(target, figure):
    """True, False, or None: not measured."""
    value = None if figure is None else figure[target["of"]]
    if value is None:
        return None
    return value <= target["target"] if target["at"] == "most" else value >= target["target"]


def short(value):
    if value is None:
        return ""
    if value and abs(value) < 0.0995:
        return f"{value:.3f}"
    if abs(value) < 9.95:
        return f"{value:.2f}"
    if abs(value) < 99.5:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def wanted(target):
    return f"{'≤' if target['at'] == 'most' else '≥'} {short(target['target'])}{' x' if target['of'] == 'ratio' else ''}"


def found(target, figure):
    if figure is None or figure[target["of"]] is None:
        return "not measured"
    return short(figure["ratio"]) + " x" if target["of"] == "ratio" else f"{short(figure['value'])} {figure['unit']}"


WORDS = {True: "met", False: "MISSED", None: "-"}


def summary(results, targets):
    """Lines for a terminal."""
    figures = figures_of(results)
    rows = [(target["name"], wanted(target), found(target, figures.get(target["name"])), WORDS[verdict(target, figures.get(target["name"]))],
             target["question"]) for target in targets]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + "  " + row[4] for row in rows]


# ---- the table ----

def machines(results):
    """One line for each machine and day that results come from, with the scenarios."""
    by_machine = {}
    for name, result in results.items():
        by_machine.setdefault(tuple(str(result["machine"].get(key, "?")) for key in MACHINE), []).append(name)
    return [f"- {cpu}, {cores} cores, Linux {kernel}, DPDK {dpdk}, Blindrelay {version}, {date}: {', '.join(names)}"
            for (cpu, cores, kernel, dpdk, version, date), names in sorted(by_machine.items())]


def table(results, targets):
    by_name = {}
    for target in targets:
        by_name.setdefault(target["name"], []).append(target)
    lines = ["# Results", "", "Made by `perf/run` from the files beside this one; do not edit. Medians of the rounds; the spread is that of the ratio.", "",
             "![ratios against their targets, and latency curves](plot.svg)", ""]
    lines += machines(results)
    for name, result in results.items():
        lines += ["", f"## {name}", "", "| figure | ours | baseline | ratio | spread | target | |", "|---|--:|--:|--:|--:|--:|---|"]
        for figure in result["figures"]:
            mine = by_name.get(figure["name"], [])
            spread = f"{short(figure['min'])}-{short(figure['max'])}" if figure["min"] is not None else ""
            lines.append(f"| `{figure['name']}` | {short(figure['value'])} {figure['unit']} | {short(figure.get('baseline'))} | {short(figure['ratio'])} | {spread} | "
                         f"{', '.join(wanted(t) for t in mine)} | {', '.join(WORDS[verdict(t, figure)] for t in mine)} |")
    figures = figures_of(results)
    missing = [target for target in targets if target["name"] not in figures]
    if missing:
        lines += ["", "Not measured: " + ", ".join(f"`{name}`" for name in sorted({target["name"] for target in missing})) + "."]
    return "\n".join(lines) + "\n"


# ---- the plot ----

WIDTH, LEFT, RIGHT, ROW, TOP = 940, 200, 170, 24, 64
CURVE_HEIGHT = 260
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.soft { fill: #59636e }
.axis { stroke: #d1d9e0; stroke-width: 1 }
.met { fill: #1a7f37; stroke: #1a7f37 } .missed { fill: #bc4c00; stroke: #bc4c00 }
.target { stroke: #1f2328; stroke-width: 2 }
.ours { stroke: #0969da; fill: #0969da } .baseline { stroke: #8250df; fill: #8250df }
.line { fill: none; stroke-width: 2 } .wide { stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
 text { fill: #f0f6fc } .soft { fill: #9198a1 } .axis { stroke: #3d444d } .target { stroke: #f0f6fc }
 .met { fill: #3fb950; stroke: #3fb950 } .missed { fill: #f0883e; stroke: #f0883e }
 .ours { stroke: #4493f8; fill: #4493f8 } .baseline { stroke: #ab7df8; fill: #ab7df8 }
}
"""


def tag(name, text=None, **attributes):
    inside = "".join(f' {key.rstrip("_").replace("_", "-")}="{xml.sax.saxutils.escape(str(value))}"' for key, value in attributes.items())
    return f"<{name}{inside}/>" if text is None else f"<{name}{inside}>{xml.sax.saxutils.escape(text)}</{name}>"


def logarithmic(low, high, left, right):
    a, b = math.log10(low), math.log10(high)
    return lambda value: round(left + (math.log10(value) - a) / (b - a) * (right - left), 1)


def decades(low, high):
    return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) if low <= 10.0 ** e <= high]


def ratio_rows(results, targets):
    """Attainment of each target that was measured: 1 is the target itself, above is better, whatever the direction."""
    figures, rows = figures_of(results), []
    for target in targets:
        figure = figures.get(target["name"])
        if figure is None or not figure[target["of"]] or not target["target"]:
            continue
        values = [figure[target["of"]]]
        if target["of"] == "ratio" and figure["min"] and figure["max"]:
            values += [figure["min"], figure["max"]]
        better = [value / target["target"] if target["at"] == "least" else target["target"] / value for value in values]
        rows.append((target, figure, better[0], min(better), max(better)))
    return rows


def draw_ratios(rows, top):
    low = 10.0 ** math.floor(math.log10(min([0.5] + [row[3] for row in rows])))
    high = 10.0 ** math.ceil(math.log10(max([2.0] + [row[4] for row in rows])))
    x, bottom = logarithmic(low, high, LEFT, WIDTH - RIGHT), top + ROW * len(rows)
    out = [tag("text", "Against the targets: right of the line is better", class_="title", x=16, y=top - 32)]
    for value in decades(low, high):
        out += [tag("line", class_="axis", x1=x(value), x2=x(value), y1=top - 6, y2=bottom),
                tag("text", f"{value:g} x", class_="soft", x=x(value), y=top - 12, text_anchor="middle")]
    for i, (target, figure, middle, worst, best) in enumerate(rows):
        y = top + ROW * i + ROW / 2
        kind = "met" if verdict(target, figure) else "missed"
        out += [tag("text", target["name"], x=LEFT - 12, y=y + 4, text_anchor="end"),
                tag("line", class_=kind, x1=x(worst), x2=x(best), y1=y, y2=y, stroke_width=3),
                tag("circle", class_=kind, cx=x(middle), cy=y, r=5),
                tag("text", found(target, figure), class_="soft", x=WIDTH - RIGHT + 8, y=y + 4)]
    out.append(tag("line", class_="target", x1=x(1), x2=x(1), y1=top - 6, y2=bottom))
    return out, bottom


def curves(results):
    """Figures with "curve": {percent of the rate: {"p50_us", "p99_us"}}, and "baseline_curve"."""
    return [figure for result in results.values() for figure in result["figures"] if isinstance(figure.get("curve"), dict)]


def draw_curve(figure, left, right, top):
    series = [(kind, quantile, {int(p): q[quantile] for p, q in figure.get(key, {}).items() if q.get(quantile)})
              for key, kind in (("curve", "ours"), ("baseline_curve", "baseline")) for quantile in ("p50_us", "p99_us")]
    values = [value for _, _, points in series for value in points.values()]
    if not values:
        return []
    low, high = 10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values)) + 1e-9)
    bottom = top + CURVE_HEIGHT - 80
    y, percents = logarithmic(low, max(high, low * 10), bottom, top), sorted({p for _, _, points in series for p in points})

    def x(percent):
        return round(left + 44 + percent / 100 * (right - left - 60), 1)
    out = [tag("text", f"{figure['name']}: latency, us", class_="title", x=left, y=top - 14)]
    for value in decades(low, max(high, low * 10)):
        out += [tag("line", class_="axis", x1=x(0), x2=x(100), y1=y(value), y2=y(value)),
                tag("text", f"{value:g}", class_="soft", x=left + 36, y=y(value) + 4, text_anchor="end")]
    for percent in percents:
        out.append(tag("text", f"{percent} %", class_="soft", x=x(percent), y=bottom + 18, text_anchor="middle"))
    for kind, quantile, points in series:
        wide = " wide" if quantile == "p99_us" else ""
        out.append(tag("polyline", class_=f"line {kind}{wide}", style="fill:none", points=" ".join(f"{x(p)},{y(v)}" for p, v in sorted(points.items()))))
    out.append(tag("text", "of the loss-free rate; p50 whole, p99 broken; ours blue, baseline violet", class_="soft", x=left, y=bottom + 36))
    return out


def plot(results, targets):
    rows, top, body = ratio_rows(results, targets), TOP, []
    if rows:
        body, top = draw_ratios(rows, top)
        top += TOP
    for i, figure in enumerate(curves(results)):
        side = i % 2
        body += draw_curve(figure, 16 + side * WIDTH // 2, WIDTH // 2 + side * WIDTH // 2 - 8, top)
        top += CURVE_HEIGHT if side else 0
    if len(curves(results)) % 2:
        top += CURVE_HEIGHT
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" role="img">'
    return "\n".join([head, tag("title", "Blindrelay: results of perf/run"), f"<style>{STYLE}</style>", *body, "</svg>"]) + "\n"


# ---- calls between networks ----

def matrix(result):
    """Figures with "table": {"delay_ms", "lines", "summary", "repetitions"}."""
    lines = ["# Calls between networks", "", "Made by `make matrix` from matrix.json; do not edit. D: direct, and the ms after the callee's answer until both ends had sent a frame",
             "that way; R: by the relay, and the ms until both had heard the first frame from it. tests/system/call_matrix.py says what each pair should be.", "",
             *machines({"matrix": result})]
    for figure in result["figures"]:
        if isinstance(figure.get("table"), dict):
            its = figure["table"]
            lines += ["", f"## {its['delay_ms']} ms a wire", "", *its["lines"], "", f"{its['summary']}; {its['repetitions']} tried again because of a time."]
    return "\n".join(lines) + "\n"


def write(folder, targets):
    """Draws all from what lies in folder. Returns the results."""
    results = read_results(folder)
    texts = {"TABLE.md": table(results, targets), "plot.svg": plot(results, targets)}
    if "matrix" in results:
        texts["MATRIX.md"] = matrix(results["matrix"])
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    return results
