"""Table of root mean square error and mSSIM of each component against the largest displacement of the event.

    shiftmap synth insar SET --count 200 --split 0,0,1 --arrays solutions,inputs --source mixed --slip mixed --seed 1000
    python training/insar_gnss_evaluate.py SET [--models models/insar-gnss.onnx ...] [--figure curves.png] [--json FILE]

Methods: nothing at all (zero), stations alone (kriged), `wls` and `sistem` of shiftmap combine, networks. All of them get the
same events, and the same pixels count: all, also those without an interferogram. RMSE in millimetres over all pixels of the
events of a bin; mSSIM (Wang et al. 2004, windows of 11 x 11 px, range that of the true component) is the mean over events.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from insar_pool import read

COMPONENTS = ("east", "north", "up")
# Largest displacement, millimetres.
BINS = (1, 10, 30, 100, 300, 1e9)
INPUTS = {"insar": slice(0, 10), "dem": slice(10, 11), "gnss": slice(11, 19), "classical": slice(19, 25)}


def ssim(estimate, truth):
    """Mean structural similarity of two fields; NaN where the truth is level."""
    k = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    k /= k.sum()

    def blur(v):
        v = np.apply_along_axis(np.convolve, 0, v, k, "valid")
        return np.apply_along_axis(np.convolve, 1, v, k, "valid")

    size = np.ptp(truth)
    if size == 0:
        return np.nan
    c1, c2 = (0.01 * size) ** 2, (0.03 * size) ** 2
    mx, my = blur(truth), blur(estimate)
    xx, yy, xy = blur(truth * truth) - mx * mx, blur(estimate * estimate) - my * my, blur(truth * estimate) - mx * my
    return float(np.mean((2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2))))


def padded(x, multiple):
    """Reflected at the lower and right edge to a multiple, as `shiftmap combine` does."""
    h, w = x.shape[-2:]
    return np.pad(x, [(0, 0), (0, 0), (0, -h % multiple), (0, -w % multiple)], "reflect")


class Network:
    """A model file: the inputs of one event to displacement over scale, and sigma over scale (or nothing)."""

    def __init__(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = [i.name for i in self.session.get_inputs()]
        card = self.session.get_modelmeta().custom_metadata_map
        self.multiple = int(card["shiftmap.multiple"])

    def __call__(self, x):
        h, w = x.shape[-2:]
        x = padded(x[None].astype(np.float32), self.multiple)
        out = self.session.run(None, {n: x[:, INPUTS[n]] for n in self.names})
        out = [o[0, :, :h, :w].astype(np.float64) for o in out]
        return out[0], (np.sqrt(2) * np.exp(out[1]) if len(out) > 1 else None)


def evaluate(paths, models):
    """For every event: largest displacement (mm), and for each method the sums of squares, mSSIM and z-scores."""
    networks = {Path(m).stem: Network(m) for m in models}
    rows = []
    for path in paths:
        inputs, truth, scale = read(path)
        with np.load(path) as shard:
            sistem = shard["sistem"] if "sistem" in shard else None
        for k in range(len(truth)):
            t, s = truth[k].astype(np.float64), float(scale[k])
            x = inputs[k].astype(np.float64)
            answers = {"zero": (0 * t, None), "stations": (x[15:18] * s, None),
                       "wls": (x[19:22] * s, np.exp(x[22:25]) * s)}
            if sistem is not None:
                answers["sistem"] = (sistem[k, :3].astype(np.float64), sistem[k, 3:].astype(np.float64))
            for name, network in networks.items():
                u, sigma = network(inputs[k])
                answers[name] = (u * s, None if sigma is None else sigma * s)
            row = dict(largest=1e3 * float(np.sqrt((t**2).sum(0)).max()), pixels=t[0].size, methods={})
            for name, (u, sigma) in answers.items():
                e = u - t
                z = None if sigma is None else [[float(np.mean(np.abs(e[c]) < k * sigma[c])) for c in range(3)] for k in (1, 2)]
                row["methods"][name] = dict(square=[float((1e6 * e[c] ** 2).sum()) for c in range(3)],
                                            ssim=[ssim(u[c], t[c]) for c in range(3)], z=z)
            rows.append(row)
    return rows


def table(rows):
    """(bin, method) -> RMSE and mSSIM of the components; and the number of events of each bin."""
    out, counts = {}, {}
    for low, high in [*zip(BINS, BINS[1:]), (BINS[0], BINS[-1])]:
        members = [r for r in rows if low <= r["largest"] < high]
        counts[low, high] = len(members)
        for name in rows[0]["methods"]:
            of = [r["methods"][name] for r in members]
            if not of:
                continue
            pixels = sum(r["pixels"] for r in members)
            rmse = [float(np.sqrt(sum(m["square"][c] for m in of) / pixels)) for c in range(3)]
            out[(low, high), name] = rmse, [float(np.mean([m["ssim"][c] for m in of])) for c in range(3)]
    return out, counts


def label(low, high):
    if (low, high) == (BINS[0], BINS[-1]):
        return "all"
    return f"{low:g} to {high:g}" if high < 1e9 else f"above {low:g}"


def markdown(values, counts, methods):
    lines = ["| largest displacement, mm | events | | " + " | ".join(methods) + " |", "|---|---|---|" + "---|" * len(methods)]
    for (low, high), n in counts.items():
        for c, component in enumerate(COMPONENTS):
            cells = []
            best = [min((values[(low, high), m][0][c] for m in methods if ((low, high), m) in values), default=0),
                    max((values[(low, high), m][1][c] for m in methods if ((low, high), m) in values), default=0)]
            for m in methods:
                if ((low, high), m) not in values:
                    cells.append("-")
                    continue
                rmse, similarity = (v[c] for v in values[(low, high), m])
                bold = ["**" if rmse == best[0] else "", "**" if similarity == best[1] else ""]
                cells.append(f"{bold[0]}{rmse:.2f}{bold[0]} / {bold[1]}{similarity:.3f}{bold[1]}")
            first = f"{label(low, high)} | {n}" if c == 0 else " |"
            lines.append(f"| {first} | {component} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(values, counts, methods, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    bins = [b for b in counts if b != (BINS[0], BINS[-1]) and counts[b]]
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), sharex=True, layout="constrained")
    for c, component in enumerate(COMPONENTS):
        for m in methods:
            style = dict(marker="o", ms=4, lw=2.2 if m not in ("zero", "stations", "wls", "sistem") else 1.2)
            axes[0, c].plot([values[b, m][0][c] for b in bins], label=m, **style)
            axes[1, c].plot([values[b, m][1][c] for b in bins], label=m, **style)
        axes[0, c].set(title=component, yscale="log")
        axes[1, c].set(ylim=(0, 1), xlabel="largest displacement, mm")
        axes[1, c].set_xticks(range(len(bins)), [label(*b) for b in bins], rotation=20)
        for row in axes:
            row[c].grid(alpha=0.3)
    axes[0, 0].set_ylabel("RMSE, mm")
    axes[1, 0].set_ylabel("mSSIM")
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--figure")
    parser.add_argument("--json")
    args = parser.parse_args()
    paths = sorted(Path(args.set).glob("*/*.npz"))
    if not paths:
        raise SystemExit(f"{args.set}: no shards")
    rows = evaluate(paths, args.models)
    values, counts = table(rows)
    methods = list(rows[0]["methods"])
    print(markdown(values, counts, methods))
    for m in methods:
        z = [r["methods"][m]["z"] for r in rows]
        if z[0] is not None:
            share = np.mean(z, 0)
            print(f"{m}: share of errors within one sigma " + ", ".join(f"{v:.2f}" for v in share[0]) + ", within two " +
                  ", ".join(f"{v:.2f}" for v in share[1]))
    worse = [f"{label(*b)} {COMPONENTS[c]} {('RMSE', 'mSSIM')[k]}: {m} before {n}" for n in methods[4:] for b in counts
             for c in range(3) for k in range(2) for m in ("zero", "stations", "wls", "sistem") if (b, n) in values and
             (1 - 2 * k) * (values[b, n][k][c] - values[b, m][k][c]) >= 0]
    if methods[4:]:
        print("where a network is not first:", "; ".join(worse) if worse else "nowhere")
    if args.figure:
        draw(values, counts, methods, args.figure)
    if args.json:
        Path(args.json).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
