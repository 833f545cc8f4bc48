"""What the FlowNet family shares."""

import torch
from torch import nn


def active(layer):
    """A convolution with LeakyReLU 0.1, begun so that the variance is the same behind it (He et al. 2015): through twelve
    layers begun as PyTorch does nothing of the images would be left."""
    nn.init.kaiming_normal_(layer.weight, 0.1)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.LeakyReLU(0.1, True))


def conv(a, b, k=3, stride=1):
    """Padded to keep the size."""
    return active(nn.Conv2d(a, b, k, stride, k // 2))


def deconv(a, b):
    """4x4 to twice the size."""
    layer = active(nn.ConvTranspose2d(a, b, 4, 2, 1))
    # Each output sees a quarter of the kernel; the fan that PyTorch counts is all of it, of the outputs.
    with torch.no_grad():
        layer[0].weight *= 2 * (b / a) ** 0.5
    return layer


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
