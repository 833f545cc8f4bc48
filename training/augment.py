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
