#!/usr/bin/env python3
"""Accuracy and speed beside OpenCV and scikit-image, on pairs with known truth; prints Markdown.

    make bench-accuracy

or, with a virtual environment of your own:

    python3 -m venv .bench/peers && .bench/peers/bin/pip install -r benches/peers/requirements.txt
    make build && .bench/peers/bin/python benches/peers/run.py --presets real --seeds 1

The pairs come from `shiftmap synth pair --preset low|real|sar --seed 1..3`. Everybody gets one thread. Errors are mean
absolute errors in pixels, east / north, averaged over the seeds: over the cells farther than 100 px from the fault, and
over those within 5 px. A border of 130 px is left out. Windows per second of processor time are of
the correlation alone for the libraries (images in memory) and of the whole program for shiftmap (start, reading, scene
analysis, writing). The table at the end compares `lsm` with findTransformECC on the same windows.
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import pathlib
import re
import subprocess
import tempfile
import time

import cv2
import numpy as np

import windows

cv2.setNumThreads(1)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BORDER, NEAR, FAR = 130, 5, 100
SEARCH = 8


def call(*command):
    subprocess.run([str(c) for c in command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def cpu_seconds(*command):
    """Runs a command and returns the processor time that it took, which other load on the machine hardly changes."""
    command = [str(c) for c in command]
    _, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
    if status != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def raw(path, folder):
    """All bands of a raster as float32 [band, row, column], and its geotransform (x, dx, y, dy)."""
    flat = folder / "flat.bin"
    call("gdal_translate", "-q", "-of", "ENVI", "-ot", "Float32", "-co", "INTERLEAVE=BSQ", path, flat)
    info = subprocess.run(["gdalinfo", path], check=True, capture_output=True, text=True).stdout
    width, height = map(int, re.search(r"Size is (\d+), (\d+)", info).groups())
    pair = lambda key: re.search(key + r" = \(([-0-9.]+),([-0-9.]+)\)", info)
    georeferenced = pair("Origin")
    (x, y), (dx, dy) = (map(float, pair(key).groups()) for key in ("Origin", "Pixel Size")) if georeferenced else ((0, 0), (1, 1))
    return np.fromfile(flat, np.float32).reshape(-1, height, width), (x, dx, y, dy)


def trace(path, folder, georeference):
    """Vertices of the fault in pixel-centre coordinates."""
    table = folder / "trace.csv"
    table.unlink(missing_ok=True)
    call("ogr2ogr", "-f", "CSV", "-lco", "GEOMETRY=AS_WKT", table, path)
    x, dx, y, dy = georeference
    lines = re.findall(r"\(([-0-9. ,]+)\)", table.read_text())
    points = [np.array([[float(v) for v in p.split()[:2]] for p in line.split(",")]) for line in lines]
    return [np.stack([(p[:, 0] - x) / dx - 0.5, (p[:, 1] - y) / dy - 0.5], 1) for p in points]


def distance(points, lines):
    """Distance of every point [n, 2] to the nearest segment."""
    least = np.full(len(points), np.inf)
    for line in lines:
        for a, b in zip(line[:-1], line[1:]):
            ab = b - a
            t = np.clip((points - a) @ ab / max(ab @ ab, 1e-12), 0, 1)
            least = np.minimum(least, np.hypot(*(points - a - t[:, None] * ab).T))
    return least


def at(image, points):
    """Bilinear values at points [n, 2] (column, row)."""
    x, y = points.T
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = x - i, y - j
    g = lambda di, dj: image[j + dj, i + di]
    return (g(0, 0) * (1 - u) + g(1, 0) * u) * (1 - v) + (g(0, 1) * (1 - u) + g(1, 1) * u) * v


class Pair:
    def __init__(self, program, preset, seed, size, folder):
        self.program, self.folder = program, folder
        call(program, "synth", "pair", folder, "--preset", preset, "--seed", seed, "--size", size, "--units", "px",
             "--quiet", "--overwrite")
        self.pre = raw(folder / "pre.tif", folder)[0][0]
        self.post = raw(folder / "post.tif", folder)[0][0]
        self.truth, georeference = raw(folder / "truth.tif", folder)
        self.lines = trace(folder / "trace.gpkg", folder, georeference)
        self.georeference = georeference

    def score(self, points, east, north):
        """MAE east/north far from the fault and near it, and the share of cells with a value."""
        height, width = self.pre.shape
        x, y = points.T
        inside = (x >= BORDER) & (x <= width - 1 - BORDER) & (y >= BORDER) & (y <= height - 1 - BORDER)
        points, east, north = points[inside], east[inside], north[inside]
        away = distance(points, self.lines)
        e, n = np.abs(east - at(self.truth[0], points)), np.abs(north - at(self.truth[1], points))
        found = np.isfinite(e) & np.isfinite(n)
        figures = []
        for zone in (away > FAR, away <= NEAR):
            zone = zone & found
            figures += [e[zone].mean(), n[zone].mean()] if zone.any() else [np.nan, np.nan]
        return np.array(figures + [found.mean()])


def cells(pair, path):
    """Centres of a map's cells in pixels of the pair (column, row) [n, 2], and its bands."""
    bands, (x, dx, y, dy) = raw(path, pair.folder)
    x0, sx, y0, sy = pair.georeference
    j, i = np.mgrid[: bands.shape[1], : bands.shape[2]]
    points = np.stack([(x + (i + 0.5) * dx - x0) / sx - 0.5, (y + (j + 0.5) * dy - y0) / sy - 0.5], -1)
    return points.reshape(-1, 2), bands


def shiftmap(pair, method, window, step, *more):
    out = pair.folder / "map.tif"
    seconds = cpu_seconds(
        pair.program, "displacement", pair.folder / "pre.tif", pair.folder / "post.tif", out, "--overwrite", "--quiet",
        "--threads", 1, "--units", "px", "--method", method, "--window", window, "--step", step, *more)
    points, bands = cells(pair, out)
    return points, bands[0].ravel(), bands[1].ravel(), seconds


def slide(pair, window, step, margin, estimate):
    """(dx, dy) of `estimate` (windows.py) for every window that lies `margin` inside the image."""
    height, width = pair.pre.shape
    corners = [
        (x, y)
        for y in range(margin, height - window - margin + 1, step)
        for x in range(margin, width - window - margin + 1, step)
    ]
    start = time.process_time()
    found = np.array([estimate(pair.pre, pair.post, x, y) for x, y in corners], np.float64)
    seconds = time.process_time() - start
    points = np.array(corners, np.float64) + (window - 1) / 2
    return points, found[:, 0], -found[:, 1], seconds


def match_template(pair, window, step, search=SEARCH):
    return slide(pair, window, step, search, windows.match_template(window, search, at_edge=lambda dx, dy: (dx, dy)))


TWENTY = (cv2.TERM_CRITERIA_COUNT, 20, 0)


def ecc(pair, window, step, criteria=TWENTY, margin=4):
    return slide(pair, window, step, margin, windows.ecc(window, criteria, margin))


def phase_correlate(pair, window, step):
    return slide(pair, window, step, 0, windows.phase_correlate(window))


def scikit_image(pair, window, step):
    return slide(pair, window, step, 0, windows.scikit_image(window))


def dis(pair):
    (pre, _), flow = windows.dis_flow(pair.pre, pair.post)
    start = time.process_time()
    found = flow()
    seconds = time.process_time() - start
    j, i = np.mgrid[: pre.shape[0], : pre.shape[1]]
    points = np.stack([i, j], -1).reshape(-1, 2).astype(np.float64)
    return points, found[..., 0].ravel(), -found[..., 1].ravel(), seconds


RUNS = [
    ("shiftmap lsm", 33, 8, lambda p: shiftmap(p, "lsm", 33, 8)),
    ("shiftmap lsm", 65, 8, lambda p: shiftmap(p, "lsm", 65, 8)),
    ("shiftmap spatial", 64, 8, lambda p: shiftmap(p, "spatial", 64, 8)),
    ("shiftmap frequency", 64, 8, lambda p: shiftmap(p, "frequency", 64, 8)),
    ("shiftmap dense", 33, 1, lambda p: shiftmap(p, "dense", 33, 1)),
    ("shiftmap regularized", 9, 1, lambda p: shiftmap(p, "regularized", 9, 1)),
    ("shiftmap net", 9, 1, lambda p: shiftmap(p, "net", 9, 1)),
    ("OpenCV DIS optical flow", 16, 1, lambda p: dis(p)),
    ("OpenCV matchTemplate + parabola", 64, 16, lambda p: match_template(p, 64, 16)),
    ("OpenCV findTransformECC", 32, 16, lambda p: ecc(p, 32, 16)),
    ("OpenCV findTransformECC", 64, 16, lambda p: ecc(p, 64, 16)),
    ("OpenCV phaseCorrelate", 64, 16, lambda p: phase_correlate(p, 64, 16)),
    ("scikit-image phase_cross_correlation", 64, 16, lambda p: scikit_image(p, 64, 16)),
]


def speed(pair):
    """Windows per second of shiftmap lsm and findTransformECC on 32 px windows every 8 px: best of three turns."""
    eps = cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS

    def matching():
        # The same run with hardly any windows: start, scene analysis, reading, filters.
        *rest, whole = shiftmap(pair, "lsm", 32, 8)
        return *rest, whole - shiftmap(pair, "lsm", 32, 512)[-1]

    jobs = {
        "shiftmap lsm, matching only": matching,
        "shiftmap lsm, whole program": lambda: shiftmap(pair, "lsm", 32, 8),
        "shiftmap lsm, whole program, a window every 2 px": lambda: shiftmap(pair, "lsm", 32, 2),
        "findTransformECC, 20 iterations": lambda: ecc(pair, 32, 8),
        "findTransformECC, until the correlation gains less than 1e-6": lambda: ecc(pair, 32, 8, (eps, 20, 1e-6)),
        "findTransformECC, until the correlation gains less than 1e-3": lambda: ecc(pair, 32, 8, (eps, 20, 1e-3)),
    }
    best = dict.fromkeys(jobs, 0.0)
    for _ in range(3):
        for name, job in jobs.items():
            points, *_, seconds = job()
            best[name] = max(best[name], len(points) / seconds)
    return best


def correlation_speed(pair, search=10):
    """Windows per second of shiftmap spatial and matchTemplate: 64 px windows every 16 px, best of three turns."""
    more = ("--search", search, "--outliers", "keep")

    def matching():
        *rest, whole = shiftmap(pair, "spatial", 64, 16, *more)
        return *rest, whole - shiftmap(pair, "spatial", 64, 512, *more)[-1]

    jobs = {
        "shiftmap spatial, matching only": matching,
        "shiftmap spatial, whole program": lambda: shiftmap(pair, "spatial", 64, 16, *more),
        "OpenCV matchTemplate + parabola": lambda: match_template(pair, 64, 16, search),
    }
    best = dict.fromkeys(jobs, 0.0)
    for _ in range(3):
        for name, job in jobs.items():
            points, *_, seconds = job()
            best[name] = max(best[name], len(points) / seconds)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/shiftmap"))
    parser.add_argument("--presets", nargs="+", default=["low", "sar", "real"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--size", type=int, default=1024)
    args = parser.parse_args()
    print(f"OpenCV {cv2.__version__}, numpy {np.__version__}; seeds {args.seeds}, {args.size} px, one thread\n")
    print("| pair | tool | window | step | MAE > 100 px | MAE <= 5 px | valid | windows/s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for preset in args.presets:
            pairs = []
            for seed in args.seeds:
                folder = pathlib.Path(name) / f"{preset}{seed}"
                folder.mkdir()
                pairs.append(Pair(args.program, preset, seed, args.size, folder))
            for tool, window, step, run in RUNS:
                figures, rate = [], 0.0
                for pair in pairs:
                    points, east, north, seconds = run(pair)
                    figures.append(pair.score(points, east, north))
                    rate = max(rate, len(points) / seconds)
                fe, fn, ne, nn, valid = np.nanmean(figures, axis=0)
                print(f"| {preset} | {tool} | {window} | {step} | {fe:.4f} / {fn:.4f} | {ne:.3f} / {nn:.3f} "
                      f"| {100 * valid:.1f} % | {rate:,.0f} |", flush=True)
        tables = [
            (f"32 px windows on the {args.presets[-1]} pair", speed(pairs[0])),
            (f"64 px windows every 16 px, search 10 px, on the {args.presets[-1]} pair", correlation_speed(pairs[0])),
        ]
    for title, rates in tables:
        print(f"\n{title}:\n\n| what | windows/s | ratio |\n|---|---|---|")
        ours = next(iter(rates.values()))
        for name, rate in rates.items():
            print(f"| {name} | {rate:,.0f} | {rate / ours:.2f} |")


if __name__ == "__main__":
    main()
