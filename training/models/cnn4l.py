"""CNN4L (seed 002, JGR Machine Learning 2024): one displacement for a pair of windows of 16 or 32 px.

Four convolutional layers and a fully connected end, after the seed's description: 3x3 convolutions with ReLU to 32, 64,
64, 128 channels, 2x2 maximum pooling after the second and third (and, for 32 px, the first), then 128 hidden units and
the two components. The seed's channel counts could not be read; these are ours (paper's width of this definition: 32).
Loss: mean absolute error of both components. Trained with windows that a fault cuts and without (`-smooth`); the
displacement is the one at the window's centre, so near a fault the network has to tell the centre's side from the
other: the point of the paper.
"""

import torch
from torch import nn

KIND = "windows"
PRESETS = {"cpu": dict(batch=128, budget=1800.0), "gpu": dict(batch=1024, budget=600.0), "smoke": dict(batch=16, steps=200)}


def loss(output, truth, done):
    return (output - truth[:, :2]).abs().mean()


class CNN4L(nn.Module):
    def __init__(self, width=32, window=32, smooth=False):
        """`smooth`: trained without discontinuities."""
        super().__init__()
        self.window, self.smooth = window, smooth
        w = width
        one = lambda a, b: [nn.Conv2d(a, b, 3, 1, 1), nn.ReLU(True)]
        pool = lambda use: [nn.MaxPool2d(2)] if use else []
        self.body = nn.Sequential(
            *one(2, w), *pool(window == 32), *one(w, 2 * w), *pool(True), *one(2 * w, 2 * w), *pool(True),
            *one(2 * w, 4 * w))
        side = window // (8 if window == 32 else 4)
        self.end = nn.Sequential(nn.Linear(4 * w * side * side, 4 * w), nn.ReLU(True), nn.Linear(4 * w, 2))

    def forward(self, x):
        """[N, 2, w, w] -> [N, 2]; every image of a window gets zero mean and unit deviation first."""
        x = x - x.mean((2, 3), keepdim=True)
        x = x / (x.square().mean((2, 3), keepdim=True) + 1e-4).sqrt()
        return self.end(torch.flatten(self.body(x), 1))
