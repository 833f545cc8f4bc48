"""Joint inversion of InSAR and GNSS (seed 003): a branch of ten convolution layers for interferograms, with the elevation
model as a feature map, one of eleven for GNSS, and four joint layers to east, north and up.

The seed gives these numbers; kernels, widths and strides are ours: 3x3 with ReLU, three layers of each branch with stride 2,
the GNSS branch with dilations of 2 and 4 (its input is zero but at the stations), three joint layers after an enlargement by
2. Widths 16 to 64 (`width` 16). It is given lines of sight, masks, unit vectors, the elevation model and the steps at the
stations, but no classical solution. Loss: mean square error of east, north, up over the scale of the scene.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .insar_gnss import LABELS, score  # noqa: F401  (what train.py asks a model for)

KIND = "insar_gnss"
MULTIPLE = 8
INPUTS = {"insar": 10, "dem": 1, "gnss": 8}
PRESETS = {"cpu": dict(batch=8, budget=900.0), "gpu": dict(batch=64, budget=1500.0), "smoke": dict(batch=4, steps=60)}


def loss(output, truth, done):
    return (output - truth[:, :3]).square().mean((1, 2, 3)).add(1e-6).sqrt().mean()


def layer(a, b, stride=1, dilation=1):
    return nn.Sequential(nn.Conv2d(a, b, 3, stride, dilation, dilation), nn.ReLU(True))


class InsarGnssCnn(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        w = width
        self.insar = nn.Sequential(
            layer(11, w), layer(w, 2 * w, 2), layer(2 * w, 2 * w), layer(2 * w, 3 * w, 2), layer(3 * w, 3 * w),
            layer(3 * w, 4 * w, 2), *[layer(4 * w, 4 * w) for _ in range(4)])
        self.gnss = nn.Sequential(
            layer(4, w), layer(w, 2 * w, 2), layer(2 * w, 2 * w), layer(2 * w, 3 * w, 2), layer(3 * w, 3 * w),
            layer(3 * w, 4 * w, 2), layer(4 * w, 4 * w), layer(4 * w, 4 * w, 1, 2), layer(4 * w, 4 * w, 1, 4),
            layer(4 * w, 4 * w), layer(4 * w, 4 * w))
        self.joint = nn.ModuleList([layer(8 * w, 4 * w), layer(4 * w, 3 * w), layer(3 * w, 2 * w)])
        self.end = nn.Conv2d(2 * w, 3, 3, 1, 1)

    def forward(self, x):
        """[N, 25, H, W], of which the classical and kriged channels are not used."""
        insar = torch.asinh(2 * x[:, :11])
        # A lone station must be seen among its empty neighbours.
        y = torch.cat([self.insar(insar), self.gnss(torch.asinh(8 * x[:, 11:15]))], 1)
        for step in self.joint:
            y = F.interpolate(step(y), scale_factor=2.0, mode="nearest")
        return self.end(y)


class Exported(nn.Module):
    INPUTS, OUTPUTS = list(INPUTS), ["displacement"]

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, insar, dem, gnss):
        return self.net(torch.cat([insar, dem, gnss], 1))
