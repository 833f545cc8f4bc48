"""The eight symmetries of the square, applied to images, vectors and standard deviations alike.

Bit 0 mirrors left and right (dx changes sign), bit 1 top and bottom (dy changes sign), bit 2 swaps rows and columns
(dx and dy change places), in the order: swap, then the mirrors.
"""

import numpy as np

# Positions of (right, down) pairs among the channels of `features`; channels 6 and 7 are a pair without signs.
VECTORS = [4, 9, *range(12, 48, 3)]
DEVIATIONS = [6]


def turn(a, symmetry, vectors, pairs):
    """`a` [C, H, W]; the channels `vectors` start signed pairs, `pairs` unsigned ones."""
    if symmetry & 4:
        a = a.transpose(0, 2, 1)
    if symmetry & 1:
        a = a[:, :, ::-1]
    if symmetry & 2:
        a = a[:, ::-1, :]
    a = np.ascontiguousarray(a)
    for c in [*vectors, *pairs]:
        if symmetry & 4:
            a[[c, c + 1]] = a[[c + 1, c]]
    for c in vectors:
        if symmetry & 1:
            a[c] *= -1
        if symmetry & 2:
            a[c + 1] *= -1
    return a


def symmetric(inputs, truth, symmetry, kind):
    """Inputs (`features` or `pair`) and truth (dx, dy, then plain channels) under one symmetry."""
    inputs = turn(inputs, symmetry, VECTORS if kind == "features" else [], DEVIATIONS if kind == "features" else [])
    return inputs, turn(truth, symmetry, [0], [])


def translated(images, rng, largest=1.5, noise=0.2, margin=32):
    """Pairs of one displacement each: `images` [N, H, W] without the outer `margin` pixels, and displaced by up to `largest`
    pixels in the Fourier domain, where what comes in at the sides stays within the margin; both with noise of their own.
    Returns them [N, 2, h, w] and (dx, dy, 500, 0) [N, 4, h, w], as of pairs without a trace."""
    n, height, width = images.shape
    d = rng.uniform(-largest, largest, (2, n, 1, 1))
    wx, wy = np.fft.rfftfreq(width)[None, None, :], np.fft.fftfreq(height)[None, :, None]
    moved = np.fft.irfft2(np.fft.rfft2(images) * np.exp(-2j * np.pi * (wx * d[0] + wy * d[1])), (height, width))
    inside = np.s_[:, margin : height - margin, margin : width - margin]
    pairs = np.stack([images[inside], moved[inside]], 1)
    level = noise * rng.random((n, 1, 1, 1)) * pairs.std((1, 2, 3), keepdims=True)
    pairs = pairs + level * rng.standard_normal(pairs.shape)
    truth = np.zeros((n, 4, *pairs.shape[2:]), np.float32)
    truth[:, :2], truth[:, 2] = d.transpose(1, 0, 2, 3), 500
    return pairs.astype(np.float32), truth
