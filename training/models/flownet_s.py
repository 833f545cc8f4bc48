"""FlowNetS (Dosovitskiy et al. 2015, FlowNet: learning optical flow with convolutional networks, ICCV).

Layers (paper's width 64; LeakyReLU 0.1 after each convolution but the flow heads):
  conv1 7x7 /2 64, conv2 5x5 /2 128, conv3 5x5 /2 256, conv3_1 3x3 256, conv4 3x3 /2 512, conv4_1 3x3 512,
  conv5 3x3 /2 512, conv5_1 3x3 512, conv6 3x3 /2 1024, conv6_1 3x3 1024;
  deconv 4x4 /2 to 512, 256, 128, 64, each concatenated with the encoder's layer of that size and the flow before,
  itself enlarged by a 4x4 /2 deconvolution; flow heads 3x3 at 1/64, 1/32, 1/16, 1/8, 1/4; the last is enlarged
  bilinearly to full size.
Loss: endpoint error at the five sizes, weights 0.005, 0.01, 0.02, 0.08, 0.32 from fine to coarse; Adam 1e-4.
38.7 M parameters at full width. Input here: one band of each image (the paper's: two colour images). Seed 001 uses it
with FlowNetSD and StrainNet.
"""

from torch import nn
from torch.nn import functional as F

import losses
from models.layers import Refinement, conv

KIND = "pair"
MULTIPLE = 64
# Subpixel displacement of texture is learned first from images that are displaced as a whole.
PRESETS = {
    "cpu": dict(batch=16, budget=900.0, rate=1e-3, translations=0.3),
    "gpu": dict(batch=64, budget=1500.0, rate=1e-3, translations=0.3),
    "smoke": dict(crop=128, steps=60, rate=1e-3, translations=0.5),
}
FACTORS = [0.005, 0.01, 0.02, 0.08, 0.32]


def loss(outputs, truth, done):
    return losses.multiscale(outputs, truth, FACTORS, "endpoint")


class FlowNetS(nn.Module):
    # Strides of the first two layers; StrainNet changes them.
    STRIDES = (2, 2)

    def __init__(self, width=64):
        super().__init__()
        w = width
        a, b = self.STRIDES
        self.encoder = nn.ModuleList([
            conv(2, w, 7, a),
            conv(w, 2 * w, 5, b),
            nn.Sequential(conv(2 * w, 4 * w, 5, 2), conv(4 * w, 4 * w)),
            nn.Sequential(conv(4 * w, 8 * w, 3, 2), conv(8 * w, 8 * w)),
            nn.Sequential(conv(8 * w, 8 * w, 3, 2), conv(8 * w, 8 * w)),
            nn.Sequential(conv(8 * w, 16 * w, 3, 2), conv(16 * w, 16 * w)),
        ])
        self.decoder = Refinement([16 * w, 8 * w, 8 * w, 4 * w, 2 * w], [8 * w, 4 * w, 2 * w, w])

    def forward(self, x):
        skips = []
        y = x
        for layer in self.encoder:
            y = layer(y)
            skips.append(y)
        flows = self.decoder(skips[:0:-1])
        if self.training:
            return flows[::-1]
        fine = flows[-1]
        k = self.STRIDES[0] * self.STRIDES[1]
        return fine if k == 1 else F.interpolate(fine, scale_factor=k, mode="bilinear", align_corners=False)
