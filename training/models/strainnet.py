"""StrainNet-f (Boukhtache et al. 2021, When deep learning meets digital image correlation, Optics and Lasers in
Engineering 136): FlowNetS for displacements below a pixel.

The layers are FlowNetS's (see flownet_s.py; paper's width 64, 38.7 M parameters) with stride 1 in conv1 and conv2, so
that the finest flow has the images' size and nothing is enlarged bilinearly: flow heads at 1/16, 1/8, 1/4, 1/2, 1.
Loss: endpoint error at these sizes with FlowNetS's weights; Adam 1e-4.
"""

from models.flownet_s import FACTORS, PRESETS, FlowNetS, loss

KIND = "pair"
MULTIPLE = 16
__all__ = ["FACTORS", "PRESETS", "StrainNet", "loss"]


class StrainNet(FlowNetS):
    STRIDES = (1, 1)
