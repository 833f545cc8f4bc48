"""Events of `shiftmap synth insar --format shards --arrays inputs`, in memory as float16.

A sample is the inputs of a network of the kind insar_gnss, one after the other (25 channels), and six planes: true east,
north, up over the scale of the scene, and the classical solution.
"""

from pathlib import Path

import numpy as np

try:
    import torch
except ImportError:
    # Tables and mirrors do without it.
    torch = None

NAMES = ("input_insar", "input_dem", "input_gnss", "input_classical")
# Channels with an east and a north component: unit vectors, stations, kriged, classical.
EAST = (4, 7, 11, 15, 19)


def mirrored(x, t, east_west, north_south):
    """The event seen in a mirror: [N, C, H, W] arrays (PyTorch or NumPy) with rows from north to south. Components change
    their sign, lines of sight do not; the satellites change sides, and with that their places."""
    if east_west:
        x, t = flip(x, 3), flip(t, 3)
        # Standard deviations (classical, 22 to 24) have no sign.
        for k in EAST:
            x[:, k] = -x[:, k]
        x[:, :10] = x[:, [1, 0, 3, 2, 7, 8, 9, 4, 5, 6]]
        t[:, 0::3] = -t[:, 0::3]
    if north_south:
        x, t = flip(x, 2), flip(t, 2)
        for k in EAST:
            x[:, k + 1] = -x[:, k + 1]
        t[:, 1::3] = -t[:, 1::3]
    return x, t


def flip(v, axis):
    return np.flip(v, axis).copy() if isinstance(v, np.ndarray) else torch.flip(v, (axis,))


def read(path):
    """Inputs, truth and scale of a shard."""
    with np.load(path) as shard:
        inputs = np.concatenate([shard[n] for n in NAMES], 1)
        return inputs, shard["truth"], shard["scale"]


class InsarPool:
    """`folder` holds train/ and validation/."""

    def __init__(self, folder, seed, limit=None):
        paths = sorted(Path(folder, "train").glob("*.npz"))[:limit]
        if not paths:
            raise SystemExit(f"{folder}: no shards in train/")
        self.events = [self.planes(p) for p in paths]
        self.held = [self.planes(p) for p in sorted(Path(folder, "validation").glob("*.npz"))]
        self.random = np.random.default_rng(seed)
        self.sizes = [len(x) for x, _ in self.events]

    @staticmethod
    def planes(path):
        x, truth, scale = read(path)
        return x, (truth / scale[:, None, None, None]).astype(np.float16)

    @staticmethod
    def tensors(x, t):
        x, t = torch.from_numpy(x.astype(np.float32)), torch.from_numpy(t.astype(np.float32))
        return x, torch.cat([t, x[:, 19:22]], 1)

    def batch(self, n):
        at = self.random.integers(0, sum(self.sizes), n)
        ends = np.cumsum(self.sizes)
        shard = np.searchsorted(ends, at, side="right")
        picked = [(s, i - (ends[s] - self.sizes[s])) for s, i in zip(shard, at)]
        x, t = (np.stack([self.events[s][k][i] for s, i in picked]) for k in range(2))
        east_west, north_south = self.random.integers(0, 2, 2)
        return mirrored(*self.tensors(x, t), east_west, north_south)

    def validation(self, n=16):
        for x, t in self.held:
            for k in range(0, len(x), n):
                yield self.tensors(x[k:k + n], t[k:k + n])

    def look(self):
        """Nothing arrives later."""
