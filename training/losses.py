"""Losses. `truth` [N, 4, H, W]: dx, dy, distance to the nearest trace in pixels, 1 where the ground is not seen."""

import torch
from torch.nn import functional as F


def weights(truth, near=5.0, reach=8.0):
    """Pixels within `reach` of a trace count `near` times: they are few and carry much of the error. Hidden ones count
    little: there is nothing to measure there, but the scale has to say so."""
    w = torch.where(truth[:, 2:3] < reach, near, 1.0)
    w = torch.where(truth[:, 3:4] > 0.5, 0.1 * w, w)
    return w / w.mean()


def robust(output, truth, done):
    """Displacement and log scale. First the square root of the error, so that hopeless pixels do not lead, then the
    error itself for the last 30 %; and the Laplace likelihood of the scale, which does not reach the displacement."""
    d, s = output
    e = (d - truth[:, :2]).abs()
    w = weights(truth)
    loss = 0.5 * ((e + 0.01).sqrt() - 0.1) if done < 0.7 else e
    scale = e.detach() * torch.exp(-s) + s
    return (w * loss).mean() + 0.02 * (torch.where(truth[:, 3:4] > 0.5, 0.1, 1.0) * scale).mean()


def multiscale(outputs, truth, factors, kind="l1"):
    """Predictions from fine to coarse, each against the truth averaged to its size; `factors` weigh them."""
    total = 0.0
    for d, factor in zip(outputs, factors):
        k = truth.shape[-1] // d.shape[-1]
        t = F.avg_pool2d(truth[:, :2], k) if k > 1 else truth[:, :2]
        e = d - t
        total = total + factor * (e.abs().mean() if kind == "l1" else (e.square().sum(1) + 1e-12).sqrt().mean())
    return total


def mae(output, truth):
    """Mean absolute error of a component: over all pixels and within 5 px of a trace (NaN without one)."""
    d = output[0] if isinstance(output, (tuple, list)) else output
    if d.ndim == 2:
        truth = truth[:, :, None, None]
        d = d[:, :, None, None]
    e = (d - truth[:, :2]).abs()
    near = (truth[:, 2:3] < 5).expand_as(e)
    return e.mean().item(), e[near].mean().item() if near.any() else float("nan")
