#!/usr/bin/env python3
"""DIC Challenge, sample 15: a steep gradient of known displacement; table of every method and OpenCV DIS, in Markdown.

    python3 benches/peers/dic.py [--data ../shared/data/dic] [--models models/flk.onnx ...]

The two pairs (K50, the steeper, and K150) and the truth are those of the 2-D DIC Challenge (Reu et al. 2018, Experimental Mechanics
58:1067). Rows move by v(row), the same for all columns: -9.57 px at the top, 0 at the bottom. Errors are mean absolute ones
of the row component in pixels at the cells of a map with step 4: over all rows, and where v changes by more than 0.5 % of
a pixel per row. A border of 70 px is left out; cells without a value are counted in `valid`. Mean of the other component:
`across`. Everybody gets one thread.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2
import numpy as np

from run import ROOT, call, cpu_seconds, raw

BORDER, STEP, STEEP = 70, 4, 0.005
RUNS = [
    *((f"lsm {w}", ("--method", "lsm", "--window", w)) for w in (17, 33, 65)),
    ("lsm 33, affine", ("--method", "lsm", "--window", 33, "--shape", "affine")),
    *((f"spatial {w}", ("--method", "spatial", "--window", w)) for w in (32, 64)),
    *((f"frequency {w}", ("--method", "frequency", "--window", w)) for w in (32, 64, 128)),
    ("regularized", ("--method", "regularized", "--window", 9)),
    ("dense", ("--method", "dense", "--window", 9)),
]


def score(rows, along, across, truth):
    """Over all rows, where it is steep, of the other component; share with a value."""
    # The table gives v at the rows of the deformed image: content at row R came from row R - v(R) of the reference.
    deformed = np.arange(len(truth))
    v = np.interp(rows, deformed - truth, truth)
    steep = np.abs(np.interp(rows, deformed - truth, np.gradient(truth))) > STEEP
    error = np.abs(along - v[:, None])
    some = lambda a: float(np.nanmean(a)) if np.isfinite(a).any() else np.nan
    return some(error), some(error[steep]), some(np.abs(across)), float(np.isfinite(error).mean())


def ours(program, pre, post, folder, options):
    out = folder / "map.tif"
    seconds = cpu_seconds(program, "displacement", pre, post, out, "--units", "px", "--step", STEP, "--search", 14, "--threads", 1,
                          "--quiet", "--overwrite", *options)
    bands, (x, dx, y, dy) = raw(out, folder)
    rows, columns = abs(y) + abs(dy) * (np.arange(bands.shape[1]) + 0.5) - 0.5, x + dx * (np.arange(bands.shape[2]) + 0.5) - 0.5
    return rows, columns, -bands[1], bands[0], seconds


def dis(pre, post, folder, *_):
    a, b = (raw(p, folder)[0][0].astype(np.uint8) for p in (pre, post))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)
    before = os.times()
    found = flow.calc(a, b, None)
    after = os.times()
    return np.arange(a.shape[0]), np.arange(a.shape[1]), found[..., 1], found[..., 0], after.user - before.user


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/shiftmap"))
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data/dic")
    parser.add_argument("--models", nargs="*", default=[str(ROOT / "models/flk.onnx")])
    args = parser.parse_args()
    table = args.data / "dic-challenge_s15_truth.csv"
    if not table.exists():
        print(f"DIC Challenge sample 15: skipped, {table} is not there")
        return
    truth = np.loadtxt(table, delimiter=",", skiprows=1)[:, 1:].T
    runs = [(n, lambda *a, o=o: ours(args.program, *a, o)) for n, o in RUNS]
    runs += [(pathlib.Path(m).stem, lambda *a, m=m: ours(args.program, *a, ("--method", "net", "--model", m, "--window", 9)))
             for m in args.models]
    runs.append((f"OpenCV {cv2.__version__} DIS", dis))
    print("| method | K50 | steep | K150 | steep | across | valid | s |\n|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, run in runs:
            figures, spent = [], 0.0
            for pair, v in zip(("K50", "K150"), truth):
                images = [args.data / f"dic-challenge_s15_{part}.tif" for part in ("reference", pair)]
                rows, columns, along, across, seconds = run(*images, folder)
                spent += seconds
                keep = (rows >= BORDER) & (rows <= len(v) - 1 - BORDER)
                wide = (columns >= BORDER) & (columns <= columns[-1] - BORDER)
                figures.append(score(rows[keep], along[np.ix_(keep, wide)], across[np.ix_(keep, wide)], v))
            (a, b, c, e), (d, f, g, h) = figures
            print(f"| {name} | {a:.4f} | {b:.4f} | {d:.4f} | {f:.4f} | {(c + g) / 2:.4f} | {50 * (e + h):.1f} % | {spent / 2:.1f} |",
                  flush=True)


if __name__ == "__main__":
    main()
