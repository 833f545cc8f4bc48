"""Scores methods on sets with known truth that no network was trained on, and prints the tables.

    python training/evaluate.py NAME=SETDIR ... [--models models/*.onnx] [--cache DIR] [--methods all|main|none] [--out FILE]

A set is what `shiftmap synth dataset --content pairs --format shards` writes. Every method runs through the library as
a user would run it (`shiftmap displacement`); its cells are brought to every pixel bilinearly. Scored are the pixels
MARGIN from the border that a cloud does not hide. Columns: mean absolute error of a component over all pixels, and
within 5, 10 and 20 px of a trace and beyond; share of pixels with a value; share of errors within the 68 % and 95 %
interval of the stated sigma (Laplace for networks: 1.139 b and 2.996 b of sigma = sqrt 2 b; Gaussian for the others).
Below each table every network is compared with the hardest classical rival on the pixels where both have a value (in brackets: with
the others, each on its own such pixels). --figure draws error
against distance, and the profile across the largest jump of each set. --trace adds what the methods of TRACED make of the true
trace as their --cut: no rival, as nobody has it, but what knowing the fault would be worth.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import profiles
from native import Native, displacement
from pool import interpolation, stored_images

MARGIN = 64
CLASSICAL = {
    **{f"lsm {w}": dict(METHOD="lsm", WINDOW=w, STEP=4) for w in (16, 32, 64)},
    **{f"frequency {w}": dict(METHOD="frequency", WINDOW=w, STEP=4) for w in (32, 64, 128)},
    **{f"spatial {w}": dict(METHOD="spatial", WINDOW=w, STEP=4) for w in (32, 64)},
    "regularized": dict(METHOD="regularized", WINDOW=9, STEP=1),
    "dense": dict(METHOD="dense", WINDOW=9, STEP=1),
}


# Of |z| of a Laplace distribution of unit variance, at 68 % and 95 %: -ln(1 - p) / sqrt 2.
QUANTILES = (0.8057, 2.1183)
TRACED = ("lsm 32", "lsm 64", "regularized", "dense")
MAIN = ("lsm 32", "frequency 64", "frequency 128", "spatial 64", "regularized", "dense")


def samples(folder, signed=False):
    """Images, their valid pixels, truth, distance to the trace (`signed`: positive on its right), what may be scored, and what is
    known of the images' interpolation."""
    for path in sorted(Path(folder).glob("*/shard-*.npz")):
        shard, records = np.load(path), json.loads(path.with_suffix(".json").read_text())
        arrays = {k: shard[k] for k in shard.files}
        for k in range(len(records)):
            images, valid = stored_images(arrays, records, k)
            truth = np.stack([arrays["dx"][k], arrays["dy"][k]])
            distance = arrays["distance"][k].astype(np.float32)
            seen = (arrays["valid"][k] == 3) & np.isfinite(truth).all(0)
            yield images, valid, truth, distance if signed else np.abs(distance), seen, interpolation(records[k])


def scored(seen):
    """`seen` without the border."""
    use = np.zeros_like(seen)
    use[MARGIN:-MARGIN, MARGIN:-MARGIN] = seen[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return use


def spread(planes, x, y, shape):
    """Cells at every pixel, NaN outside their hull."""
    h, w = shape
    out = []
    for p in planes:
        if len(x) == w and len(y) == h:
            out.append(p)
            continue
        u, v = (np.arange(w) - x[0]) / (x[1] - x[0]), (np.arange(h) - y[0]) / (y[1] - y[0])
        inside = ((v >= 0) & (v <= len(y) - 1))[:, None] & ((u >= 0) & (u <= len(x) - 1))[None]
        i, j = np.clip(u.astype(int), 0, len(x) - 2), np.clip(v.astype(int), 0, len(y) - 2)
        a, b = np.clip(u - i, 0, 1)[None], np.clip(v - j, 0, 1)[:, None]
        at = lambda dj, di: p[np.ix_(j + dj, i + di)]
        q = (1 - b) * ((1 - a) * at(0, 0) + a * at(0, 1)) + b * ((1 - a) * at(1, 0) + a * at(1, 1))
        out.append(np.where(inside, q, np.nan))
    return np.stack(out)


def network(model):
    """Options of a network; one for windows gives one value each, at the step of the other window methods."""
    return dict(METHOD="net", MODEL=str(model), WINDOW=9, STEP=4 if "cnn4l" in Path(model).stem else 1)


def trace(distance, path):
    """Writes the lines where a signed distance changes its sign as `path` (GeoJSON, pixels right and up); whether there are any."""
    from contourpy import contour_generator
    near = np.ma.masked_where(np.abs(distance) >= 3, distance)
    lines = [line + 0.5 for line in contour_generator(z=near).lines(0.0) if len(line) > 3]
    geometry = dict(type="MultiLineString", coordinates=[[[x, -y] for x, y in line.tolist()] for line in lines])
    Path(path).write_text(json.dumps(dict(type="Feature", properties={}, geometry=geometry)))
    return bool(lines)


def cached(path, native, compute):
    """What `compute` gives, kept at `path` until the library is built anew."""
    if path.exists() and path.stat().st_mtime >= native.built:
        return np.load(path).astype(np.float32)
    found = compute()
    np.save(path, found.astype(np.float16))
    return found


def run(native, sample, options, shape, search):
    images, valid, *_, how = sample
    options = {"SEARCH": search, "THREADS": 1, "INTERPOLATION": how, **options}
    planes, x, y = displacement(native, *images, *valid, options)
    return spread(planes, x, y, shape).astype(np.float32)


class Score:
    """Sums over the samples of a set."""

    BINS = (("all", 0, 1e9), ("<5", 0, 5), ("<10", 0, 10), ("<20", 0, 20), (">=20", 20, 1e9))

    def __init__(self):
        self.sums, self.counts = np.zeros((5, 2)), np.zeros(5)
        self.within, self.stated, self.valid, self.pixels = np.zeros(2), 0, 0, 0

    def add(self, found, truth, distance, use, laplace):
        ok = use & np.isfinite(found[:2]).all(0)
        self.valid, self.pixels = self.valid + ok.sum(), self.pixels + use.sum()
        error = np.abs(found[:2] - truth)
        for k, (_, low, high) in enumerate(self.BINS):
            part = ok & (distance >= low) & (distance < high)
            self.sums[k] += error[:, part].sum(1)
            self.counts[k] += part.sum()
        sigma = found[2:4]
        known = ok[None] & np.isfinite(sigma) & (sigma > 0)
        z = error[known] / sigma[known]
        limits = QUANTILES if laplace else (0.9945, 1.96)
        self.within += [(z < limit).sum() for limit in limits]
        self.stated += z.size

    def row(self):
        each = self.sums / np.maximum(self.counts, 1)[:, None]
        row = {name: float(each[k].mean()) if self.counts[k] else None for k, (name, *_) in enumerate(self.BINS)}
        row |= dict(dx=float(each[0, 0]), dy=float(each[0, 1]), valid=float(self.valid / max(self.pixels, 1)))
        if self.stated:
            row |= dict(p68=float(self.within[0] / self.stated), p95=float(self.within[1] / self.stated))
        return row


def table(name, rows):
    columns = ["all", "dx", "dy", "<5", "<10", "<20", ">=20", "valid", "p68", "p95"]
    lines = [f"### {name}", "", "| method | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for method, row in rows.items():
        text = lambda c: "-" if row.get(c) is None else f"{row[c]:.2f}" if c in ("valid", "p68", "p95") else f"{row[c]:.4f}"
        lines.append(f"| {method} | " + " | ".join(text(c) for c in columns) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--cache", default="evaluation")
    parser.add_argument("--methods", choices=["all", "main", "none"], default="all")
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--search", type=float, default=6, help="up to 5 px networks get no first field from correlation")
    parser.add_argument("--limit", type=int, default=1000, help="samples of each set")
    parser.add_argument("--trace", action="store_true", help="also with the true trace given")
    parser.add_argument("--out")
    parser.add_argument("--figure", help="PNG")
    args = parser.parse_args()
    native, cache = Native(), Path(args.cache)
    cache.mkdir(parents=True, exist_ok=True)
    result, text, figures = {}, [], {}
    for entry in args.sets:
        name, folder = entry.split("=", 1)
        methods = {} if args.methods == "none" else {k: (v, False) for k, v in CLASSICAL.items()}
        if args.methods == "main":
            methods = {k: methods[k] for k in MAIN}
        for model in args.models:
            options = network(model)
            if args.passes > 1:
                options["NET_PASSES"] = args.passes
            methods[Path(model).stem] = (options, True)
        traced = {f"{m}, trace given": m for m in TRACED if args.trace and m in methods}
        scores = {"zero": Score(), **{m: Score() for m in (*methods, *traced)}}
        # Of each network on the pixels where a classical method has a value.
        shared = {(n, m): (Score(), Score()) for n, (_, net) in methods.items() if net
                  for m, (_, other) in methods.items() if not other}
        figures[name] = ({m: profiles.ByDistance() for m in ("zero", *methods)}, profiles.Profile())
        for k, (*sample, signed, seen, how) in enumerate(samples(folder, signed=True)):
            if k >= args.limit:
                break
            distance, truth = np.abs(signed), sample[2]
            sample = (*sample, distance, seen, how)
            use = scored(seen)
            scores["zero"].add(np.concatenate([0 * truth, np.full_like(truth, np.nan)]), truth, distance, use, False)
            found = {}
            for method, (options, net) in methods.items():
                path = cache / f"{name}-{k}-{method.replace(' ', '-')}.npy"
                compute = lambda: run(native, sample, options, seen.shape, args.search)
                found[method] = compute() if net else cached(path, native, compute)
                scores[method].add(found[method], truth, distance, use, net)
                figures[name][0][method].add(found[method], truth, distance, use)
            for method, of in traced.items():
                path = cache / f"{name}-{k}-{of.replace(' ', '-')}-trace.npy"

                def compute():
                    line = cache / f"{name}-{k}-trace.geojson"
                    given = {"CUT": str(line.resolve())} if trace(signed, line) else {}
                    return run(native, sample, {**CLASSICAL[of], **given}, seen.shape, args.search)

                scores[method].add(cached(path, native, compute), truth, distance, use, False)
            figures[name][1].offer(sample, found, use)
            for (n, m), (a, b) in shared.items():
                both = use & np.isfinite(found[m][:2]).all(0) & np.isfinite(found[n][:2]).all(0)
                a.add(found[n], truth, distance, both, True)
                b.add(found[m], truth, distance, both, False)
        rows = {m: s.row() for m, s in scores.items()}
        result[name] = rows
        text.append(table(name, rows))
        for n in {n for n, _ in shared}:
            for column in ("all", "<5"):
                pairs = {m: (a.row()[column], b.row()[column]) for (q, m), (a, b) in shared.items() if q == n}
                pairs = {m: v for m, v in pairs.items() if v[0] is not None and scores[m].row()["valid"] > 0.5}
                if pairs:
                    ratio = lambda m: pairs[m][0] / pairs[m][1]
                    worst = max(pairs, key=ratio)
                    a, b = pairs[worst]
                    others = ", ".join(f"{m} {ratio(m):.2f}" for m in sorted(pairs, key=ratio, reverse=True) if m != worst)
                    text.append(f"\n{n}, {column}: {a:.4f} where the hardest rival, {worst}, has {b:.4f}: {a / b:.2f} of it"
                                + (f" ({others})" if others else ""))
        print("\n".join(text[-1 - 2 * len({n for n, _ in shared}):]), "\n", flush=True)
    if args.figure:
        profiles.draw(args.figure, figures)
    if args.out:
        Path(args.out).write_text("\n".join(text) + "\n")
        Path(args.out).with_suffix(".json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
