"""Pools: the training pairs with the front end's channels computed once, as arrays that are mapped, not read.

    python training/pool.py SETDIR POOLDIR [--images | --front-end dense-2] [--search 6] [--threads 1] [--after MODEL.onnx --prefix b-]

SETDIR is what `shiftmap synth dataset --format shards` writes. POOLDIR gets, for each shard of N pairs of H x W:
  NAME.features.npy  float16 [N, 48, H, W]  src/net/features.rs
  NAME.pair.npy      float16 [N, 2, H, W]   both images, (v - median) / sigma of the scene, within +-10
  NAME.truth.npy     float16 [N, 4, H, W]   dx and dy MINUS channels 4 and 5; |distance to the trace| (at most 500);
                                            1 where a cloud hides the ground or a pixel is not valid
and pool.json, which names the front end. With --images, for networks that see the images alone, there are no features and the truth
is the whole displacement. With --after the features are those of a second pass: about what that network found in a
first one. A stopped run goes on when it is repeated. The network input `pair` is normalised
as its card says (models/README.md).
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from native import Native


# Of new pools.
FRONT_END = "dense-2"


def normalised(image, valid, logarithm=False):
    """`scene` (or `scene-log`) of models/README.md; invalid pixels are zero."""
    image = image.astype(np.float32)
    seen = image[valid] if valid.any() else np.zeros(1, np.float32)
    if logarithm:
        positive = seen[seen > 0]
        floor = (np.median(positive) if positive.size else 1.0) / 1000
        image, seen = np.log(np.maximum(image, floor)), np.log(np.maximum(seen, floor))
    low, middle, high = np.quantile(seen, [0.1587, 0.5, 0.8413])
    spread = (high - low) / 2 or seen.std() or 1.0
    return np.where(valid, np.clip((image - middle) / spread, -10, 10), 0).astype(np.float32)


def stored_images(shard, records, k):
    """Pre and post in their own units and their valid pixels; `valid` has bits 1 (pre), 2 (post), 4 (hidden)."""
    scale, offset = records[k]["stored"]
    valid = shard["valid"][k]
    images = [shard[name][k].astype(np.float32) / scale + offset for name in ("pre", "post")]
    return images, [(valid & 1) > 0, (valid & 2) > 0]


def interpolation(record):
    """What `displacement` knows of the images: those of complex ones, detected without aliasing, are band-limited."""
    return "band-limited" if (record.get("radar") or {}).get("mode") == "low-passed" else "auto"


def session(model):
    """A network on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options)


def ran(net, f):
    """The displacement that a network finds from features [48, H, W]."""
    given = {"features": f[None]}
    if "evidence" in [i.name for i in net.get_inputs()]:
        import torch

        from models.flk import evidence

        given["evidence"] = evidence(torch.from_numpy(given["features"])).numpy()
    return net.run(None, given)[0][0]


def convert(path, out, front_end, search, logarithm, prefix="", after=None):
    name = prefix + path.name.removesuffix(".npz")
    done = out / f"{name}.truth.npy"
    if done.exists():
        return
    shard, records = np.load(path), json.loads(path.with_suffix(".json").read_text())
    native, net = Native() if front_end else None, session(after) if after else None
    n, h, w = shard["pre"].shape
    features = np.empty((n, 48, h, w), np.float16) if front_end else None
    pair, truth = np.empty((n, 2, h, w), np.float16), np.empty((n, 4, h, w), np.float16)
    for k in range(n):
        images, valid = stored_images(shard, records, k)
        whole = np.stack([shard["dx"][k], shard["dy"][k]])
        if front_end:
            how = dict(search=search, front_end=front_end, interpolation=interpolation(records[k]))
            f = native.features(*images, *valid, **how)
            if net:
                f = native.features(*images, *valid, start=ran(net, f), **how)
            features[k] = f
            whole = whole - f[4:6]
        for i in range(2):
            pair[k, i] = normalised(images[i], valid[i], logarithm)
        truth[k, :2] = whole
        truth[k, 2] = np.minimum(np.abs(shard["distance"][k].astype(np.float32)), 500)
        truth[k, 3] = (shard["valid"][k] != 3) | ~np.isfinite(shard["dx"][k])
        truth[k] = np.nan_to_num(truth[k])
    if front_end:
        np.save(out / f"{name}.features.npy", features)
    np.save(out / f"{name}.pair.npy", pair)
    np.save(out / f"{name}.part.npy", truth)
    (out / f"{name}.part.npy").rename(done)


def build(folder, out, front_end=FRONT_END, search=6, threads=1, logarithm=False, prefix="", after=None):
    """Adds a set of pairs to a pool; sets of one pool need different prefixes and one front end."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    card = out / "pool.json"
    before = json.loads(card.read_text())["front_end"] if card.exists() else None
    if before != front_end and any(out.glob("*.truth.npy")):
        raise SystemExit(f"{out} holds features of the front end {before}, not {front_end}: take another folder")
    card.write_text(json.dumps(dict(front_end=front_end)))
    shards = sorted(Path(folder).glob("*/shard-*.npz"))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda p: convert(p, out, front_end, search, logarithm, prefix, after), shards))


class Pool:
    """Random crops of a pool. A batch is (inputs, truth): torch tensors, float32, symmetries applied to vectors too."""

    def __init__(self, folder, kind, seed, crop, hold_out=0):
        """`kind`: `features` or `pair`. The last `hold_out` shards are left for validation."""
        self.kind, self.crop, self.rng, self.folder = kind, crop, np.random.default_rng(seed), Path(folder)
        self.front_end = json.loads((self.folder / "pool.json").read_text())["front_end"]
        self.hold_out = hold_out
        self.opened = {}
        self.look()

    def look(self):
        """A pool may still be growing: takes what is complete."""
        names = sorted(p.name.removesuffix(".truth.npy") for p in self.folder.glob("*.truth.npy"))
        if not names:
            raise SystemExit(f"no shards in {self.folder}: run training/pool.py first")
        # Shards end in their number; fixed numbers are held out, so that a growing pool never mixes the two.
        held = [n for n in names if int(n.split("-")[-1]) < self.hold_out]
        self.held, self.names = held, [n for n in names if n not in held] or held

    def shard(self, name):
        if name not in self.opened:
            load = lambda what: np.load(self.folder / f"{name}.{what}.npy", mmap_mode="r")
            less = load("features") if self.kind == "pair" and self.front_end else None
            self.opened[name] = (load(self.kind), less, load("truth"))
        return self.opened[name]

    def cut(self, name, k, y, x, size, symmetry):
        inputs, features, truth = self.shard(name)
        part = np.s_[k, :, y : y + size, x : x + size]
        a, t = inputs[part].astype(np.float32), truth[part].astype(np.float32)
        if features is not None:
            # Networks that get images alone learn the whole displacement.
            t[:2] += features[k, 4:6, y : y + size, x : x + size]
        from augment import symmetric
        return symmetric(a, t, symmetry, self.kind)

    def batch(self, n):
        import torch

        items = []
        for _ in range(n):
            name = self.names[self.rng.integers(len(self.names))]
            count, _, h, w = self.shard(name)[0].shape
            # Half of the crops are drawn near a trace where there is one.
            k = int(self.rng.integers(count))
            y, x = self.rng.integers(h - self.crop + 1), self.rng.integers(w - self.crop + 1)
            if self.rng.random() < 0.5:
                for _ in range(4):
                    middle = self.shard(name)[2][k, 2, y + self.crop // 2, x + self.crop // 2]
                    if middle < self.crop / 2:
                        break
                    y, x = self.rng.integers(h - self.crop + 1), self.rng.integers(w - self.crop + 1)
            items.append(self.cut(name, k, y, x, self.crop, int(self.rng.integers(8))))
        a, t = (np.stack(v) for v in zip(*items))
        return torch.from_numpy(a), torch.from_numpy(t)

    def validation(self, size=256, step=5):
        """Fixed crops of the held-out shards, one at a time; `step` is coprime with the cycle of classes."""
        import torch

        for name in self.held:
            count, _, h, w = self.shard(name)[0].shape
            side = min(size, h, w)
            for k in range(0, count, step):
                a, t = self.cut(name, k, (h - side) // 2, (w - side) // 2, side, 0)
                yield torch.from_numpy(a[None]), torch.from_numpy(t[None])


class WindowPool:
    """Windows as `shiftmap synth dataset --content windows` writes them: all of them in memory, scaled by their set's
    own spread. `window` of 16 is the middle of 32; `smooth` leaves those out that a discontinuity cuts. Else those are drawn
    up to 13 times as often, the more so the larger the jump: small ones hardly show in the mean."""

    def __init__(self, folder, seed, window, smooth, hold_out):
        import torch

        self.rng = np.random.default_rng(seed)
        parts, jumps, shards = ([], []), [], sorted(Path(folder).rglob("shard-*.npz"))
        for path in shards:
            z = np.load(path)
            side = z["pre"].shape[-1]
            edge = (side - window) // 2
            middle = np.s_[:, edge : edge + window, edge : edge + window]
            pair = np.stack([z["pre"][middle], z["post"][middle]], 1)
            pair -= pair.mean((2, 3), keepdims=True)
            pair /= pair.std((1, 2, 3), keepdims=True) + 1e-6
            cut = z["discontinuous"].astype(np.float32)
            held = int(path.stem.split("-")[-1]) < hold_out
            # dx, dy, distance (below 5: cut), not hidden
            truth = np.concatenate([z["shift"], np.stack([np.where(cut > 0, 0, 500), 0 * cut], 1)], 1).astype(np.float32)
            take = np.ones(len(cut), bool) if held or not smooth else cut == 0
            parts[held].append((pair[take].astype(np.float16), truth[take]))
            if not held:
                # That of a line beyond the window's middle part is not seen.
                inside = z["line"][:, 2] < 0.5 * window
                jumps.append((inside * np.hypot(*(z["other"] - z["shift"]).T))[take])
        self.until = np.cumsum(1 + 12 * np.minimum(np.concatenate(jumps), 1))
        self.train, self.held = (tuple(np.concatenate(v) for v in zip(*p)) for p in parts)
        self.torch = torch

    def look(self):
        pass

    def batch(self, n):
        k = np.searchsorted(self.until, self.rng.random(n) * self.until[-1], side="right")
        a, t = self.train[0][k].astype(np.float32), self.train[1][k]
        symmetry = int(self.rng.integers(8))
        if symmetry & 4:
            a, t = a.transpose(0, 1, 3, 2), t[:, [1, 0, 2, 3]]
        if symmetry & 1:
            a, t = a[..., ::-1], t * np.float32([-1, 1, 1, 1])
        if symmetry & 2:
            a, t = a[..., ::-1, :], t * np.float32([1, -1, 1, 1])
        if self.rng.random() < 0.5:
            a = -a
        return self.torch.from_numpy(np.ascontiguousarray(a)), self.torch.from_numpy(np.ascontiguousarray(t))

    def validation(self):
        for k in range(0, len(self.held[0]), 500):
            a, t = self.held[0][k : k + 500].astype(np.float32), self.held[1][k : k + 500]
            yield self.torch.from_numpy(a), self.torch.from_numpy(t)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("pool")
    parser.add_argument("--front-end", default=FRONT_END)
    parser.add_argument("--images", action="store_true", help="without features: for networks that see the images alone")
    parser.add_argument("--search", type=float, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prefix", default="", help="before the names of the shards")
    parser.add_argument("--after", metavar="MODEL.onnx", help="features of a second pass, about what this network finds first")
    parser.add_argument("--logarithm", action="store_true", help="normalise the images' logarithms (radar)")
    args = parser.parse_args()
    build(args.set, args.pool, None if args.images else args.front_end, args.search, args.threads, args.logarithm, args.prefix, args.after)
