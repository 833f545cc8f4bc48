"""GeoFlowNet-SAR (seed 004): a lighter GeoFlowNet for radar amplitude.

Layers (paper's width 32; LeakyReLU 0.1): 3x3 convolutions 32 (stride 1), 64, 128, 256, 512 (stride 2); 4x4 /2
deconvolutions to 256, 128, 64, 32, each concatenated with the encoder's layer and the enlarged flow; flow heads 3x3 at
the five sizes 1/16 ... 1. 5.08 M parameters at full width, the paper's number.
Training in the paper: mean absolute error at all sizes, Adam 1e-3 with a cosine schedule, 256 px tiles. The weights of
the sizes are ours: 1, 0.4, 0.2, 0.1, 0.1 from fine to coarse.
"""

from torch import nn

from models.geoflownet import FACTORS, loss
from models.layers import Refinement, conv

KIND = "pair"
MULTIPLE = 16
__all__ = ["FACTORS", "GeoFlowNetSAR", "loss"]


class GeoFlowNetSAR(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        w = [width * k for k in (1, 2, 4, 8, 16)]
        self.encoder = nn.ModuleList([conv(2, w[0])] + [conv(a, b, 3, 2) for a, b in zip(w, w[1:])])
        self.decoder = Refinement(w[::-1], w[-2::-1])

    def forward(self, x):
        y, skips = x, []
        for layer in self.encoder:
            y = layer(y)
            skips.append(y)
        flows = self.decoder(skips[::-1])
        return flows[::-1] if self.training else flows[-1]
