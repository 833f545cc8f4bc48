"""Displacement in three dimensions from interferograms and GNSS: our network for `shiftmap combine --method net`.

It chooses, for each pixel and component, a mixture of three proposals (weighted least squares, kriged stations, nothing)
and adds a correction of its own; so it begins as the classical solution. A U-net of five levels (3x3 convolutions,
LeakyReLU 0.1; 32, 50, 73, 91, 91 channels) on half the resolution: inputs are averaged over 2 x 2 pixels, lines of sight with
their masks and also as misfits to the classical solution; the output is at full resolution (sub-pixel convolution).

Loss, of each event and component: root mean square error over that of the classical solution, so that events of all sizes
count alike; a third of 1 - mSSIM; and the Laplace likelihood of the scale, which does not reach the displacement.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

KIND = "insar_gnss"
MULTIPLE = 32
DECAY = 1e-4
INPUTS = {"insar": 10, "dem": 1, "gnss": 8, "classical": 6}
PRESETS = {"cpu": dict(batch=8, budget=1800.0), "gpu": dict(batch=64, budget=1500.0), "smoke": dict(batch=4, steps=60)}
LABELS = ("RMSE over that of weighted least squares", "1 - mSSIM", "held-out events")


def loss(output, truth, done):
    """`truth`: true east, north, up / scale, then the classical solution."""
    u, s = output
    t, classical = truth[:, :3], truth[:, 3:6]
    error = u - t
    ratio = relative(error, classical - t)
    structure = 1 - ssim(u, t)
    scale = error.detach().abs() * torch.exp(-s) + s
    return ratio.mean() + 0.3 * structure.mean() + 0.02 * scale.mean()


def relative(error, classical):
    """Root mean square error of each event and component over that of the classical solution."""
    mean = lambda v: v.square().mean((2, 3))
    reference = mean(classical)
    # A component that happens to be right in the classical solution must not lead.
    reference = reference + 0.05 * reference.mean(1, keepdim=True) + 1e-8
    return ((mean(error) + 1e-10) / reference).sqrt()


def ssim(a, b):
    """Mean structural similarity (Wang et al. 2004) of each event and component, range that of `b`."""
    n = a.shape[1]
    k = torch.arange(11, dtype=a.dtype, device=a.device) - 5
    k = torch.exp(-0.5 * (k / 1.5) ** 2)
    k = (k / k.sum()).expand(n, 1, 1, 11)
    blur = lambda v: F.conv2d(F.conv2d(v, k, groups=n), k.transpose(2, 3), groups=n)
    size = (b.amax((2, 3), keepdim=True) - b.amin((2, 3), keepdim=True)).clamp(min=1e-6)
    # On one range, so that float32 is enough.
    a, b = a / size, b / size
    ma, mb = blur(a), blur(b)
    va, vb, vab = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    c1, c2 = 1e-4, 9e-4
    value = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    return value.mean((2, 3))


def score(output, truth):
    """Sums over held-out events: root mean square error relative to the classical solution, 1 - mSSIM."""
    u = output[0] if isinstance(output, tuple) else output
    t, classical = truth[:, :3], truth[:, 3:6]
    return relative(u - t, classical - t).mean().item(), (1 - ssim(u, t)).mean().item()


def calibration(net, events):
    """What the logarithm of the scale lacks for 95 % of the errors to lie within 1.96 sigma; sigma is sqrt(2) b."""
    with torch.no_grad():
        answers = [(net(x), t) for x, t in events]
        z = torch.cat([((u - t[:, :3]).abs() / (2**0.5 * s.exp())).flatten() for (u, s), t in answers])
    return math.log(z.kthvalue(int(0.95 * len(z))).values.item() / 1.96)


def conv(a, b, stride=1):
    return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.LeakyReLU(0.1, True))


class Block(nn.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.first, self.second = conv(a, b, stride), nn.Conv2d(b, b, 3, 1, 1)

    def forward(self, x):
        y = self.first(x)
        return F.leaky_relu(y + 0.5 * self.second(y), 0.1)


class InsarGnss(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        w = [width, width * 11 // 7, width * 16 // 7, width * 20 // 7, width * 20 // 7]
        self.down = nn.ModuleList([Block(27 + 3, w[0])] + [Block(a, b, 2) for a, b in zip(w, w[1:])])
        self.up = nn.ModuleList([Block(a + b, b) for a, b in zip(w[:0:-1], w[-2::-1])])
        # Sub-pixel convolution: for each component weights of three proposals, correction, log scale; four pixels each.
        self.head = nn.Conv2d(w[0], 15 * 4, 3, 1, 1)
        with torch.no_grad():
            self.head.weight *= 0.1
            self.head.bias.zero_()
            # It begins with the classical solution, mostly.
            self.head.bias[:12] = 2.0

    def forward(self, x):
        """[N, 25, H, W]: the four inputs one after the other."""
        los, mask, units = x[:, 0:2], x[:, 2:4], x[:, 4:10]
        classical, kriged = x[:, 19:22], x[:, 15:18]
        predicted = torch.stack([(units[:, 3 * k:3 * k + 3] * classical).sum(1) for k in range(2)], 1)
        misfit = (los - predicted) * mask
        half = lambda v: F.avg_pool2d(v, 2)
        seen = half(mask)
        of_seen = lambda v: half(v * mask) / (seen + 1e-3)
        y = torch.cat([squash(of_seen(los)), squash(of_seen(misfit)), seen, half(units), half(x[:, 10:11]),
                       squash(4 * half(x[:, 11:14])), 4 * half(x[:, 14:15]), squash(half(x[:, 15:18])), half(x[:, 18:19]),
                       squash(half(classical)), 0.5 * half(x[:, 22:25]).clamp(-8, 8),
                       squash(half(classical - kriged))], 1)
        skips = []
        for block in self.down:
            y = block(y)
            skips.append(y)
        for block, skip in zip(self.up, skips[-2::-1]):
            y = block(torch.cat([skip, F.interpolate(y, scale_factor=2.0, mode="nearest")], 1))
        y = F.pixel_shuffle(self.head(y), 2)
        # Three components each: least squares, kriging, nothing.
        weights = torch.softmax(torch.stack([y[:, 0:3], y[:, 3:6], y[:, 6:9]], 1), 1)
        displacement = weights[:, 0] * classical + weights[:, 1] * kriged + y[:, 9:12]
        return displacement, y[:, 12:15] - 2.0


def squash(v):
    """Large values keep their order, small ones their size."""
    return torch.asinh(2 * v)


class Exported(nn.Module):
    INPUTS, OUTPUTS = list(INPUTS), ["displacement", "log_scale"]

    def __init__(self, net):
        super().__init__()
        self.net, self.offset = net, 0.0

    def forward(self, insar, dem, gnss, classical):
        u, s = self.net(torch.cat([insar, dem, gnss, classical], 1))
        return u, s + self.offset
