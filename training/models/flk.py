"""FLK: chooses between least-squares windows, pixel by pixel.

Input `features` [N, 48, H, W] (src/net/features.rs): what the method `dense` found (front end dense-2: smoothed as
`regularized` smooths), and the corrections that windows of 5 to 144 px would make to it with their standard deviations.
A U-net (3x3 convolutions, ReLU; widths w, 2w, 3w, 4w at full, half, quarter and eighth resolution, two convolutions each;
bilinear upsampling, skip connections) gives for each pixel logits of 30 proposals, a residual, and the logarithm of a
Laplace scale:

  displacement = found + sum_k softmax(logits)_k proposal_k + residual

Proposals: nothing; the 12 window corrections; the ungated 9 px correction; the displacement found at places 5 and
12 px away in 8 directions (beside a fault the right value is often the one from a little further on, Bobick & Intille
1999). Weights of the last layer begin so that the network begins with what was found.

For each proposal the network also gets what speaks for it: the mean square difference that would be left in a window of
about 5 px if the pixel moved so, linearised about the displacement found as in the least squares themselves, as half its
logarithm against that of staying. These channels are computed here in training; an exported network takes them as its input
`evidence` [N, 33, H, W], which shiftmap computes (src/net/evidence.rs): a graph makes many passes over 29 planes for it.

The first convolution is a sum of three, over the channels as they are, over their hyperbolic tangents (corrections from
hundredths of a pixel to pixels must all be seen), and over the evidence: one after the other they need no copy
of all channels together, which would cost more time than the convolutions.

Loss: `losses.robust`: Laplace likelihood, near-fault pixels count more (notes in the file).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

KIND = "features"
CHANNELS = 48
MULTIPLE = 8
# Side of the square that it is run on: 0.6 kB of memory a pixel.
TILE = 640
# First channels of the corrections (right, down, logarithm of the standard deviation), every third from the first one.
FIRST, TRIPLES = 9, 13
REACHES = (5, 12)


def shifted(d):
    """Values of `d` [N, 1, H, W] at 16 places around each pixel, minus its own: [N, 16, H, W]."""
    out = []
    h, w = d.shape[-2:]
    for reach in REACHES:
        padded = F.pad(d, (reach,) * 4, mode="replicate")
        diagonal = round(reach * 0.7)
        for i, j in ((reach, 0), (-reach, 0), (0, reach), (0, -reach), (diagonal, diagonal), (-diagonal, -diagonal),
                     (diagonal, -diagonal), (-diagonal, diagonal)):
            y, x = reach + j, reach + i
            out.append(padded[:, :, y : y + h, x : x + w])
    return torch.cat(out, 1) - d


def mean(d, r):
    """Means over (2 r + 1) squared boxes, a row and a column at a time; over what there is at the border."""
    n = 2 * r + 1
    along = lambda d: F.avg_pool2d(d, (1, n), 1, (0, r), count_include_pad=False)
    # ONNX Runtime takes several times as long for tall boxes as for wide ones.
    return along(along(d).transpose(2, 3)).transpose(2, 3)


def costs(f, dx, dy):
    """The log of the residual that each proposal (dx, dy) [N, K, H, W] leaves against that of no change; passes over
    all proposals are what it costs, so what belongs to a pixel is done before."""
    pre, post = f[:, 0:1], f[:, 1:2]
    taps = torch.tensor([1.0, -8.0, 0.0, 8.0, -1.0], device=f.device) / 12
    middle, e = 0.5 * (pre + post), post - pre
    jx = F.conv2d(middle, taps.view(1, 1, 1, 5), padding=(0, 2))
    jy = F.conv2d(middle, taps.view(1, 1, 5, 1), padding=(2, 0))
    products = torch.cat([jx * jx, 2 * jx * jy, jy * jy, 2 * jx * e, 2 * jy * e, e * e + 1e-3], 1)
    means = mean(mean(products, 1), 1)
    xx, xy, yy, xe, ye = (means[:, :5] / means[:, 5:]).split(1, 1)
    left = dx * (xx * dx + xy * dy + xe) + dy * (yy * dy + ye) + 1
    return torch.log(torch.clamp(left, math.exp(-3.0), math.exp(3.0)))


def proposals(f):
    """Corrections of the proposals to what was found, [N, 29, H, W] along x and along y."""
    return (torch.cat([f[:, FIRST::3], shifted(f[:, 4:5])], 1), torch.cat([f[:, FIRST + 1 :: 3], shifted(f[:, 5:6])], 1))


def evidence(f, moves=None):
    """[N, 48, H, W] -> [N, 33, H, W]: the costs of all proposals (`moves`, where they are there already); how the displacement
    differs from its mean in boxes of 9 and of 33 px, along x and y of each, times 4."""
    d = f[:, 4:6]
    return torch.cat([costs(f, *(moves or proposals(f))), 4 * (d - mean(d, 4)), 4 * (d - mean(d, 16))], 1)


def added(planes):
    """Sum over the channels, [N, 1, H, W]: a product with ones, because ONNX Runtime takes twice as long for a sum over an axis."""
    n, k, h, w = planes.shape
    return torch.matmul(torch.ones(1, k, device=planes.device), planes.flatten(2)).reshape(n, 1, h, w)


class Pair(nn.Sequential):
    def __init__(self, a, b, stride=1):
        super().__init__(nn.Conv2d(a, b, 3, stride, 1), nn.ReLU(True), nn.Conv2d(b, b, 3, 1, 1), nn.ReLU(True))


class FLK(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        w = [width, 2 * width, 3 * width, 4 * width]
        self.moves = 8 * len(REACHES) + TRIPLES
        self.plain = nn.Conv2d(CHANNELS, w[0], 3, 1, 1)
        self.curved = nn.Conv2d(CHANNELS, w[0], 3, 1, 1, bias=False)
        self.made = nn.Conv2d(self.moves + 4, w[0], 3, 1, 1, bias=False)
        self.second = nn.Conv2d(w[0], w[0], 3, 1, 1)
        self.down = nn.ModuleList(Pair(a, b, 2) for a, b in zip(w, w[1:]))
        self.up = nn.ModuleList(Pair(a + b, b) for a, b in zip(w[:0:-1], w[-2::-1]))
        self.head = nn.Conv2d(w[0], self.moves + 5, 3, 1, 1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias) if m.bias is not None else None
        # Channels are of very different size; the displacement's own level (4, 5) must not be seen.
        seen, gain = torch.ones(CHANNELS), torch.full((CHANNELS,), 8.0)
        seen[4:6] = 0
        for c in [6, 7, *range(FIRST + 2, CHANNELS, 3)]:
            seen[c], gain[c] = 0.5, 0.25
        for c in range(4):
            gain[c] = 1.0
        gain[8] = 0.0
        self.register_buffer("seen", seen.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("gain", (gain * (seen > 0)).view(1, -1, 1, 1), persistent=False)
        # The costs are halved here: in the weights.
        halves = torch.tensor([0.5] * self.moves + [1.0] * 4).view(1, -1, 1, 1)
        self.register_buffer("halves", halves, persistent=False)
        with torch.no_grad():
            for m in (self.plain, self.curved, self.made):
                m.weight *= 0.6
            self.head.weight *= 0.02
            self.head.bias[0] = 4.0
            self.head.bias[-2:] = -3.0

    def unfolded(self, name, constant):
        """`plain.weight` or `made.weight` from its product with `seen` or `halves`, as an exported file stores it
        (weights.py)."""
        factor = {"plain.weight": self.seen, "made.weight": self.halves}[name]
        return torch.where(factor > 0, constant / torch.clamp(factor, min=0.1), 0.0)

    def forward(self, f, made=None):
        """[N, 48, H, W] -> correction to channels 4 and 5 [N, 2, H, W], logarithm of its scale [N, 2, H, W]. `made`: the
        `evidence`, where it is there already."""
        dx, dy = proposals(f)
        made = evidence(f, (dx, dy)) if made is None else made
        plain = F.conv2d(f, self.plain.weight * self.seen, self.plain.bias, padding=1)
        made = F.conv2d(made, self.made.weight * self.halves, padding=1)
        x = torch.relu(plain + self.curved(torch.tanh(f * self.gain)) + made)
        x = [torch.relu(self.second(x))]
        for down in self.down:
            x.append(down(x[-1]))
        y = x.pop()
        for up in self.up:
            y = up(torch.cat([F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False), x.pop()], 1))
        out = self.head(y)
        # A softmax over the first channels, written so that it is a few passes over whole planes.
        e = torch.exp(torch.clamp(out[:, : self.moves + 1], -30.0, 30.0))
        moves = e[:, 1:]
        total = torch.cat([added(moves * dx), added(moves * dy)], 1) / added(e)
        return total + 0.1 * out[:, -4:-2], torch.clamp(out[:, -2:], -7.0, 2.3)


class Exported(nn.Module):
    """As models/README.md has it: the total displacement."""

    INPUTS = ["features", "evidence"]
    OUTPUTS = ["displacement", "log_scale"]

    def __init__(self, net, offset=0.0):
        """`offset`: added to the logarithm of the scale, see `calibration`."""
        super().__init__()
        self.net, self.offset = net, offset

    def forward(self, features, evidence):
        correction, log_scale = self.net(features, evidence)
        return features[:, 4:6] + correction, log_scale + self.offset


def calibration(net, batches, passes=1):
    """The offset with which both the 68 % and the 95 % interval hold at least their share on held-out samples; `batches` are
    those of the last of `passes`. With several, shiftmap adds twice what the last one changed to sigma (src/net/field.rs):
    b² = (e^offset b)² + 2 d²."""
    needed = ([], [])
    with torch.no_grad():
        for f, truth in batches:
            d, s = net(f)
            seen = (truth[:, 3:4] < 0.5).expand_as(d)
            error, changed = (d - truth[:, :2]).abs(), 2 * d.square() if passes > 1 else 0 * d
            for of, quantile in zip(needed, (1.148, 2.996)):
                least = torch.clamp((error / quantile).square() - changed, min=0).sqrt() * torch.exp(-s)
                of.append(least[seen][::7])
    at = lambda values, share: torch.cat(values).sort().values[int(share * (sum(map(len, values)) - 1))].item()
    return math.log(max(at(needed[0], 0.6827), at(needed[1], 0.95)))


def parameters(net):
    return sum(math.prod(p.shape) for p in net.parameters())
