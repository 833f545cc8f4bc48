"""How much of the jump across a fault each method carries over to the wrong side, at one window size; prints Markdown.

    python training/fault_bias.py NAME=SETDIR ... [--models models/cnn4l-16.onnx ...] [--window 16] [--limit 6]

A set is what `shiftmap synth dataset --content pairs --format shards` writes (held_out.py makes those of models/README.md).
With e the error at a pixel and j the displacement of the other side minus that of its own, the bias is sum e·j / sum j²:
0 where every pixel moves with its own side, 0.5 where both sides are averaged. All methods give a value at every pixel
(step 1: nothing is interpolated across the jump). Near faults it is this that a network trained on windows with
discontinuities is after (Montagnon et al. 2024).
"""

import argparse
import sys
from itertools import islice
from pathlib import Path

import numpy as np

from evaluate import samples
from native import Native, displacement

EDGES = (0, 1, 2, 4, 8)
# Pixels beyond the trace at which the other side's displacement is read; jumps below LEAST pixels say little, and those above
# MOST no window network has learned.
BEYOND, LEAST, MOST, MARGIN = 3.0, 0.2, 1.5, 24


def jumps(truth, signed):
    """Displacement of the other side minus that of the pixel's own [2, H, W], NaN where no trace is near."""
    h, w = signed.shape
    gy, gx = np.gradient(signed)
    length = np.hypot(gx, gy)
    y, x = np.mgrid[0:h, 0:w]
    far = np.abs(signed) + BEYOND
    with np.errstate(invalid="ignore", divide="ignore"):
        u, v = (np.nan_to_num(np.rint(p - np.sign(signed) * far * g / length)) for p, g in ((x, gx), (y, gy)))
    inside = (u >= 0) & (u < w) & (v >= 0) & (v < h)
    u, v = np.clip(u, 0, w - 1).astype(int), np.clip(v, 0, h - 1).astype(int)
    # Where traces bend or meet, the way across leads elsewhere.
    across = inside & (np.abs(length - 1) < 0.3) & (np.abs(signed[v, u] + np.sign(signed) * BEYOND) < 1)
    return np.where(across, truth[:, v, u] - truth, np.nan)


class Bias:
    def __init__(self):
        self.over, self.under, self.error, self.count = (np.zeros(len(EDGES) - 1) for _ in range(4))

    def add(self, found, truth, jump, distance, use):
        for k, (low, high) in enumerate(zip(EDGES, EDGES[1:])):
            part = use & (distance >= low) & (distance < high)
            e, j = (found - truth)[:, part], jump[:, part]
            self.over[k] += (e * j).sum()
            self.under[k] += (j * j).sum()
            self.error[k] += np.abs(e).mean(0).sum()
            self.count[k] += part.sum()

    def row(self):
        with np.errstate(invalid="ignore", divide="ignore"):
            bins = self.over / self.under
        return [*bins, self.over.sum() / self.under.sum(), self.error.sum() / self.count.sum()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--search", type=int, default=6)
    parser.add_argument("--limit", type=int, default=6)
    args = parser.parse_args()
    native = Native()
    common = dict(WINDOW=args.window, STEP=1, SEARCH=args.search, THREADS=1, MIN_VALID=0.5)
    methods = {f"`{m}` {args.window}": dict(METHOD=m, **common) for m in ("spatial", "frequency", "lsm")}
    methods |= {Path(m).stem: dict(METHOD="net", MODEL=m, STEP=1, SEARCH=args.search, THREADS=1) for m in args.models}
    labels = [f"{a}-{b} px" for a, b in zip(EDGES, EDGES[1:])]
    print("| set | method | " + " | ".join(labels) + f" | all below {EDGES[-1]} px | error, px |\n|" + "---|" * (len(labels) + 4))
    for entry in args.sets:
        name, folder = entry.split("=", 1)
        if not Path(folder).is_dir():
            print(f"{name}: skipped, {folder} is not there (held_out.py makes it)", file=sys.stderr)
            continue
        scores = {m: Bias() for m in methods}
        for images, valid, truth, signed, seen, how in islice(samples(folder, signed=True), args.limit):
            # Without a trace the distance is infinite, which has no slope.
            signed = np.clip(signed, -500, 500)
            jump, distance = jumps(truth, signed), np.abs(signed)
            size = np.hypot(*jump)
            near = seen & (size >= LEAST) & (size <= MOST)
            near[:MARGIN], near[-MARGIN:], near[:, :MARGIN], near[:, -MARGIN:] = False, False, False, False
            if not near.any():
                continue
            found, use = {}, near
            for method, options in methods.items():
                (dx, dy, *_), x, y = displacement(native, *images, *valid, {"INTERPOLATION": how, **options})
                whole = np.full(truth.shape, np.nan, np.float32)
                # The centres of even windows lie between pixels, half a pixel to the right and below.
                rows, columns = np.floor(y).astype(int), np.floor(x).astype(int)
                whole[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = dx, dy
                found[method] = whole
                use = use & np.isfinite(whole).all(0)
            for method, score in scores.items():
                score.add(found[method], truth, jump, distance, use)
        for method, score in scores.items():
            print(f"| {name} | {method} | " + " | ".join(f"{v:.3f}" for v in score.row()) + " |", flush=True)


if __name__ == "__main__":
    main()
