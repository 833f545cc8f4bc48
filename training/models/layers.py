"""What the FlowNet family shares."""

import torch
from torch import nn


def conv(a, b, k=3, stride=1):
    """Convolution with LeakyReLU 0.1, padded to keep the size."""
    return nn.Sequential(nn.Conv2d(a, b, k, stride, k // 2), nn.LeakyReLU(0.1, True))


def deconv(a, b):
    """4x4 deconvolution to twice the size, with LeakyReLU 0.1."""
    return nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.LeakyReLU(0.1, True))


def head(a):
    """A flow head; it begins near zero, which is what most ground does."""
    layer = nn.Conv2d(a, 2, 3, 1, 1)
    with torch.no_grad():
        layer.weight *= 0.1
        layer.bias.zero_()
    return layer


class Refinement(nn.Module):
    """Decoder: `levels` channels of the encoder from coarse to fine, `up` those of the deconvolutions. With `inter` a
    3x3 convolution without activation stands before each flow head but the first (FlowNetSD)."""

    def __init__(self, levels, up, inter=False):
        super().__init__()
        self.deconv, self.enlarge, self.heads, self.inter = (nn.ModuleList() for _ in range(4))
        self.heads.append(head(levels[0]))
        before = levels[0]
        for skip, b in zip(levels[1:], up):
            self.deconv.append(deconv(before, b))
            self.enlarge.append(nn.ConvTranspose2d(2, 2, 4, 2, 1))
            before = skip + b + 2
            self.inter.append(nn.Conv2d(before, b, 3, 1, 1) if inter else nn.Identity())
            self.heads.append(head(b if inter else before))

    def forward(self, skips):
        """Flows from coarse to fine; `skips` from coarse to fine."""
        y = skips[0]
        flows = [self.heads[0](y)]
        for k, skip in enumerate(skips[1:]):
            y = torch.cat([skip, self.deconv[k](y), self.enlarge[k](flows[-1])], 1)
            flows.append(self.heads[k + 1](self.inter[k](y)))
        return flows
