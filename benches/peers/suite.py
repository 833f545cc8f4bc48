#!/usr/bin/env python3
"""Speed, memory and error beside OpenCV, scikit-image and OpenPIV at the published settings, in one run.

    make bench
    .bench/peers/bin/python benches/peers/suite.py --out target/bench      # this part alone

Pairs of `shiftmap synth pair --preset real` (1024 x 1024 px). Window 64 step 16, window 128 step 2, and maps with a value
at every pixel (networks on tiles of 256 px). Everybody gets one thread; the tools take turns and the best round counts.
Peers measure at most `--sample` windows of a setting, drawn once: at step 2 all of them would take hours. For the libraries
time is that of the calls alone, images in memory; for shiftmap it is the whole program, and besides "matching": less a run
with hardly any windows, which is start, reading, scene analysis and writing. Ratios "in memory" are those of one prepared
tile in memory, as the libraries have theirs (table "Beside the least work", minutes before in the same run). Peak memory is
that of the process (with Python for the libraries). Errors are mean absolute errors of a component in pixels, over all
cells and over those within 5 px of the fault; a border of 130 px is left out. "wanted" is the ratio that we
aim at.

Writes benchmarks.md and benchmarks.svg.
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import dataclasses
import importlib.metadata
import pathlib
import pickle
import subprocess
import tempfile
import time

import cv2
import matplotlib
import numpy as np
from openpiv.pyprocess import extended_search_area_piv

import windows
from run import BORDER, NEAR, ROOT, Pair, at, cells, distance

matplotlib.use("svg")
import matplotlib.pyplot as plt
import matplotlib.ticker

SEARCH = 10


@dataclasses.dataclass
class Result:
    points: np.ndarray  # (column, row) of window centres
    found: np.ndarray  # (right, down), NaN where there is none
    wall: float
    cpu: float
    peak: float = 0.0  # MB
    windows: int = 0  # measured, not only scored
    less: float = 0.0  # processor seconds of start and scene analysis


def in_child(job):
    """The result of `job` from a process of its own, with that process's peak memory."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            with os.fdopen(write, "wb") as out:
                pickle.dump(job(), out)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as source:
        data = source.read()
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit("a peer failed")
    result = pickle.loads(data)
    result.peak = usage.ru_maxrss / 1024
    return result


def program(pair, method, window, step, *more):
    """One run of shiftmap: (points, found), wall, processor seconds, MB."""
    out = pair.folder / "map.tif"
    command = [pair.program, "displacement", pair.folder / "pre.tif", pair.folder / "post.tif", out, "--overwrite",
               "--quiet", "--threads", 1, "--units", "px", "--method", method, "--window", window, "--step", step,
               "--outliers", "keep", *more]
    command = [str(c) for c in command]
    start = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
    wall = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    return out, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def shiftmap(method, window, step, *more):
    def run(pair, points):
        out, wall, cpu, peak = program(pair, method, window, step, *more)
        centres, bands = cells(pair, out)
        found = np.stack([bands[0], -bands[1]], -1)
        less = program(pair, method, window, 512, *more)[2] if step > 1 else 0.0
        return Result(centres, found.reshape(-1, 2), wall, cpu, peak, len(centres), less)

    return run


def each(window, estimate):
    """A peer that measures one window after the other: `estimate` as in windows.py."""

    def run(pair, corners):
        def job():
            wall, cpu = time.perf_counter(), time.process_time()
            found = np.array([estimate(pair.pre, pair.post, x, y) for x, y in corners], np.float64)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            points = corners + (window - 1) / 2
            return Result(points, found, wall, cpu, 0.0, len(corners))

        return in_child(job)

    return run


def match_template(window):
    return each(window, windows.match_template(window, SEARCH))


def ecc(window):
    return each(window, windows.ecc(window, (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-6)))


def phase_correlate(window):
    return each(window, windows.phase_correlate(window))


def scikit_image(window):
    return each(window, windows.scikit_image(window))


def openpiv(window):
    def estimate(pre, post, x, y):
        # Each window alone, so that the windows are those of the other tools.
        part = np.s_[y : y + window, x : x + window]
        a, b = pre[part], post[part]
        u, v = extended_search_area_piv(a - a.min(), b - b.min(), window_size=window, overlap=0,
                                        search_area_size=window, subpixel_method="gaussian", sig2noise_method=None,
                                        correlation_method="circular", normalized_correlation=True)[:2]
        return float(np.ravel(u)[0]), float(np.ravel(v)[0])

    return each(window, estimate)


def dis(pair, _):
    def job():
        (pre, _), flow = windows.dis_flow(pair.pre, pair.post)
        wall, cpu = time.perf_counter(), time.process_time()
        found = flow()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        j, i = np.mgrid[: pre.shape[0], : pre.shape[1]]
        return Result(np.stack([i, j], -1).reshape(-1, 2).astype(float), found.reshape(-1, 2), wall, cpu, 0.0, i.size)

    return in_child(job)


def settings(net):
    search = ("--search", SEARCH)
    for window, step in ((64, 16), (128, 2)):
        yield f"window {window}, step {step}", window, step, {
            "shiftmap spatial": shiftmap("spatial", window, step, *search),
            "OpenCV matchTemplate + parabola": match_template(window),
            "shiftmap frequency": shiftmap("frequency", window, step),
            "OpenCV phaseCorrelate": phase_correlate(window),
            "scikit-image phase_cross_correlation": scikit_image(window),
            "OpenPIV, Gaussian peak": openpiv(window),
            "shiftmap lsm": shiftmap("lsm", window, step),
            "OpenCV findTransformECC": ecc(window),
        }
    tools = {"shiftmap dense": shiftmap("dense", 33, 1), "OpenCV DIS optical flow": dis}
    if net:
        tools["shiftmap net (flk, tiles of 256 px)"] = shiftmap("net", 33, 1, "--net-tile", 256)
    yield "a value at every pixel", 33, 1, tools


# Ours, theirs, and the ratio of windows a second that is wanted.
RATIOS = [
    ("shiftmap spatial", "OpenCV matchTemplate + parabola", 8),
    ("shiftmap frequency", "OpenCV phaseCorrelate", 2),
    ("shiftmap frequency", "scikit-image phase_cross_correlation", 10),
    ("shiftmap frequency", "OpenPIV, Gaussian peak", None),
    ("shiftmap lsm", "OpenCV findTransformECC", 6),
    ("shiftmap dense", "OpenCV DIS optical flow", None),
]


def drawn(pair, window, step, sample):
    """Corners of windows to be measured by peers: all that lie inside, or a sample with half of it near the fault."""
    height, width = pair.pre.shape
    edge = SEARCH + 2
    xs = np.arange(edge, width - window - edge + 1, step)
    ys = np.arange(edge, height - window - edge + 1, step)
    corners = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    if len(corners) <= sample:
        return corners
    random = np.random.default_rng(20_260)
    near = distance(corners + (window - 1) / 2, pair.lines) <= NEAR
    some = lambda of, n: random.permutation(np.flatnonzero(of))[:n]
    # Errors over all cells come from an even sample; those near the fault from a sample of their own.
    return corners[np.concatenate([some(np.ones(len(corners), bool), sample // 2), some(near, sample // 2)])]


def error(pair, result, near_only, even):
    height, width = pair.pre.shape
    points, found = result.points[:even], result.found[:even]
    if near_only:
        points, found = result.points, result.found
    x, y = points.T
    keep = (x >= BORDER) & (x <= width - 1 - BORDER) & (y >= BORDER) & (y <= height - 1 - BORDER)
    if near_only:
        keep &= distance(points, pair.lines) <= NEAR
    points, found = points[keep], found[keep]
    truth = np.stack([at(pair.truth[0], points), -at(pair.truth[1], points)], -1)
    return np.nanmean(np.abs(found - truth))


def in_memory(floors):
    """Windows a second of one prepared tile, {(method, window, step): {column `gaps`, "" without it: rate}}."""
    found, header = {}, []
    for line in floors.read_text().splitlines() if floors else []:
        words = [word.strip() for word in line.strip("|").split("|")]
        if words[0] == "method":
            header = words
        elif len(words) == len(header) and words[1].isdigit() and "share" in header:
            row = dict(zip(header, words))
            if row.get("search", f"±{SEARCH}") == f"±{SEARCH}":
                key = (row["method"], int(row["window"]), int(row["step"]))
                found.setdefault(key, {})[row.get("gaps", "")] = float(row["windows/s"])
    return found


def network_runs(pair):
    """Whether ONNX Runtime and the network are there."""
    command = [pair.program, "displacement", pair.folder / "pre.tif", pair.folder / "post.tif", pair.folder / "map.tif",
               "--overwrite", "--quiet", "--method", "net", "--window", 33, "--region", 0, 0, 64, 64]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        print(f"without the network: {done.stderr.strip()}")
    return done.returncode == 0


def versions(executable):
    first = subprocess.run([executable, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    names = {"opencv-python-headless": "OpenCV", "scikit-image": "scikit-image", "OpenPIV": "OpenPIV", "numpy": "numpy"}
    return ", ".join([first] + [f"{text} {importlib.metadata.version(name)}" for name, text in names.items()])


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown processor"


def draw(rows, path):
    """One panel for each setting; a tool looks the same in all of them."""
    plt.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "shiftmap", "font.size": 9})
    names = list(dict.fromkeys(row["setting"] for row in rows))
    tools = sorted(dict.fromkeys(row["tool"] for row in rows), key=lambda tool: not tool.startswith("shiftmap"))
    own = [tool for tool in tools if tool.startswith("shiftmap")]
    looks = {}
    for tool in tools:
        mine = tool in own
        k = own.index(tool) if mine else tools.index(tool) - len(own)
        colour = plt.cm.viridis(k / max(1, len(own) - 1) * 0.85) if mine else plt.cm.gray(0.25 + 0.1 * k)
        looks[tool] = {"color": colour, "marker": "oD^vp"[k % 5] if mine else "sPX*hd8<"[k % 8], "ms": 8 if mine else 7}
    figure, axes = plt.subplots(1, len(names), figsize=(4.4 * len(names), 4.6), layout="constrained", squeeze=False)
    for axis, name in zip(axes[0], names):
        for row in (r for r in rows if r["setting"] == name):
            axis.plot(row["rate"], row["mae"], ls="", **looks[row["tool"]])
        axis.set(xscale="log", yscale="log", title=name, xlabel="windows per second of one core")
        axis.margins(x=0.15, y=0.15)
        for line, form in ((axis.xaxis, "{:,.0f}"), (axis.yaxis, "{:g}")):
            line.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 3) if line is axis.xaxis else (1, 2, 5)))
            line.set_minor_locator(matplotlib.ticker.LogLocator(subs=range(2, 10)))
            line.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda v, _, form=form: form.format(v)))
            line.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axis.grid(alpha=0.3, which="major")
    axes[0][0].set_ylabel("mean absolute error, px")
    handles = [plt.Line2D([], [], ls="", label=tool, **looks[tool]) for tool in tools]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/shiftmap"))
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target/bench")
    parser.add_argument("--floors", type=pathlib.Path, help="Markdown of `cargo bench --bench ratios` to go with it")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=4000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    memory = in_memory(args.floors)
    rows, lines = [], [
        "# Benchmarks",
        "",
        "A copy of what `make bench` writes to `target/bench/`. One thread each, one run, the tools in turns, best of "
        f"{args.rounds} rounds; pair of `shiftmap synth pair --preset real --size {args.size} --seed 1`.",
        "",
        f"{versions(args.program)}; {processor()}",
        "",
        *__doc__.strip().splitlines()[5:-2],
    ]
    with tempfile.TemporaryDirectory() as name:
        pair = Pair(args.program, "real", 1, args.size, pathlib.Path(name))
        net = network_runs(pair)
        for setting, window, step, tools in settings(net):
            corners = drawn(pair, window, step, args.sample)
            best, less = {}, {}
            # What a short run takes besides matching is most of it: its difference needs more rounds.
            for _ in range({16: 3 * args.rounds, 2: max(1, args.rounds - 1)}.get(step, args.rounds)):
                for tool, run in tools.items():
                    result = run(pair, corners)
                    less[tool] = min(result.less, less.get(tool, result.less))
                    if tool not in best or result.cpu < best[tool].cpu:
                        best[tool] = result
            lines += ["", f"## {setting[0].upper()}{setting[1:]}", "",
                      "| tool | windows | windows/s | Mpx/s | matching only | CPU s | wall s | peak MB | MAE | MAE <= 5 px | no value |",
                      "|---|---|---|---|---|---|---|---|---|---|---|"]
            for tool, r in best.items():
                own = tool.startswith("shiftmap")
                even = None if own or r.windows > args.sample or len(corners) < args.sample else args.sample // 2
                mae, near = error(pair, r, False, even), error(pair, r, True, even)
                matching = r.cpu - less[tool]
                matched = r.windows / matching if own and step > 1 and matching > 0 else np.nan
                row = {"setting": setting, "tool": tool, "rate": r.windows / r.cpu, "matching": matched, "mae": mae,
                       "near": near}
                rows.append(row)
                text = lambda v, form: "" if np.isnan(v) else format(v, form)
                lines.append(f"| {tool} | {r.windows:,} | {row['rate']:,.0f} | {row['rate'] * step**2 / 1e6:.3g} | {text(matched, ',.0f')} | {r.cpu:.2f} "
                             f"| {r.wall:.2f} | {r.peak:.0f} | {mae:.4f} | {near:.3f} "
                             f"| {100 * np.isnan(r.found[:, 0]).mean():.1f} % |")
                print(lines[-1], flush=True)
            lines += ["", "| ratio of windows/s | whole program | matching only | in memory | wanted | MAE, ratio |",
                      "|---|---|---|---|---|---|"]
            of = {row["tool"]: row for row in rows if row["setting"] == setting}
            for ours, theirs, wanted in RATIOS:
                if ours in of and theirs in of:
                    a, b = of[ours], of[theirs]
                    only = a["matching"] / b["rate"]
                    tile = [f"{rate / b['rate']:.1f}" + {"some": " with gaps", "none": " without gaps"}.get(gaps, "")
                            for gaps, rate in memory.get((ours.split()[1], window, step), {}).items()]
                    lines.append(f"| {ours} / {theirs} | {a['rate'] / b['rate']:.1f} | {'' if np.isnan(only) else f'{only:.1f}'} "
                                 f"| {', '.join(tile)} | {wanted or ''} | {a['mae'] / b['mae']:.2f} |")
                    print(lines[-1], flush=True)
    if args.floors:
        lines += ["", "## Beside the least work", "",
                  "Matching of one prepared tile in memory beside the transforms, the whole-pixel search, and the interpolation "
                  "that the method cannot do without, in the same run (`cargo bench --bench ratios`).",
                  args.floors.read_text().rstrip()]
    lines += ["", "![Windows per second and error](benchmarks.svg)", ""]
    (args.out / "benchmarks.md").write_text("\n".join(lines))
    draw(rows, args.out / "benchmarks.svg")
    print(f"\n{args.out / 'benchmarks.md'}")


if __name__ == "__main__":
    main()
