"""GeoFlowNet, optical (the backbone as public in the successor MicroFlow, jbertrand89/microflow_model).

Layers (paper's width 64; LeakyReLU 0.1): 3x3 convolutions 64 and 128 at full size (stride 1), then 256, 512, 512, 1024
with stride 2; 4x4 /2 deconvolutions back (512, 512, 256, 128), each concatenated with the encoder's layer of that size
and the enlarged flow; 2-channel flow heads 3x3 at the five sizes 1/16, 1/8, 1/4, 1/2, 1; output at full size.
The channels of the deconvolutions could not be read and are those of the encoder below.
Loss here: mean absolute error at the five sizes, weights 1, 0.4, 0.2, 0.1, 0.1 from fine to coarse; the successor
trains with the absolute error, Adam 1e-4, 256 px crops.
"""

from torch import nn

import losses
from models.layers import Refinement, conv

KIND = "pair"
MULTIPLE = 16
FACTORS = [1.0, 0.4, 0.2, 0.1, 0.1]


def loss(outputs, truth, done):
    return losses.multiscale(outputs, truth, FACTORS)


class GeoFlowNet(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        w = width
        self.encoder = nn.ModuleList([
            nn.Sequential(conv(2, w), conv(w, 2 * w)),
            conv(2 * w, 4 * w, 3, 2),
            conv(4 * w, 8 * w, 3, 2),
            conv(8 * w, 8 * w, 3, 2),
            conv(8 * w, 16 * w, 3, 2),
        ])
        self.decoder = Refinement([16 * w, 8 * w, 8 * w, 4 * w, 2 * w], [8 * w, 8 * w, 4 * w, 2 * w])

    def forward(self, x):
        y, skips = x, []
        for layer in self.encoder:
            y = layer(y)
            skips.append(y)
        flows = self.decoder(skips[::-1])
        return flows[::-1] if self.training else flows[-1]
