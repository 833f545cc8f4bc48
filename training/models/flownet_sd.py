"""FlowNetSD (Ilg et al. 2017, FlowNet 2.0, CVPR): FlowNetS for small displacements.

Layers (paper's width 64; LeakyReLU 0.1): 3x3 throughout:
  conv0 64, conv1 /2 64, conv1_1 128, conv2 /2 128, conv2_1 128, conv3 /2 256, conv3_1 256, conv4 /2 512, conv4_1 512,
  conv5 /2 512, conv5_1 512, conv6 /2 1024, conv6_1 1024;
  deconv 4x4 /2 to 512, 256, 128, 64 as in FlowNetS, with a 3x3 convolution without activation (512, 256, 128, 64)
  between the concatenation and the flow head; heads at 1/64 ... 1/4; bilinear enlargement by 4.
Loss: as FlowNetS. 45.4 M parameters at full width.
"""

from torch import nn
from torch.nn import functional as F

from models.flownet_s import FACTORS, PRESETS, loss
from models.layers import Refinement, conv

KIND = "pair"
MULTIPLE = 64
__all__ = ["FACTORS", "PRESETS", "FlowNetSD", "loss"]


class FlowNetSD(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        w = width
        self.first = conv(2, w)
        two = lambda a, b, c: nn.Sequential(conv(a, b, 3, 2), conv(b, c))
        self.encoder = nn.ModuleList([
            two(w, w, 2 * w),
            two(2 * w, 2 * w, 2 * w),
            two(2 * w, 4 * w, 4 * w),
            two(4 * w, 8 * w, 8 * w),
            two(8 * w, 8 * w, 8 * w),
            two(8 * w, 16 * w, 16 * w),
        ])
        self.decoder = Refinement([16 * w, 8 * w, 8 * w, 4 * w, 2 * w], [8 * w, 4 * w, 2 * w, w], inter=True)

    def forward(self, x):
        y, skips = self.first(x), []
        for layer in self.encoder:
            y = layer(y)
            skips.append(y)
        flows = self.decoder(skips[:0:-1])
        if self.training:
            return flows[::-1]
        return F.interpolate(flows[-1], scale_factor=4, mode="bilinear", align_corners=False)
