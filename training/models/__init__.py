"""One network a file; `MODELS` names them all. `width` scales the channels, the paper's is the default of each."""

from importlib import import_module

# name: (file, class, arguments)
MODELS = {
    "flk": ("flk", "FLK", {}),
    "flk-sar": ("flk", "FLK", {}),
    "flownet-s": ("flownet_s", "FlowNetS", {}),
    "flownet-sd": ("flownet_sd", "FlowNetSD", {}),
    "strainnet": ("strainnet", "StrainNet", {}),
    "geoflownet": ("geoflownet", "GeoFlowNet", {}),
    "geoflownet-sar": ("geoflownet_sar", "GeoFlowNetSAR", {}),
    "cnn4l-32": ("cnn4l", "CNN4L", {"window": 32}),
    "cnn4l-32-smooth": ("cnn4l", "CNN4L", {"window": 32, "smooth": True}),
    "cnn4l-16": ("cnn4l", "CNN4L", {"window": 16}),
    "cnn4l-16-smooth": ("cnn4l", "CNN4L", {"window": 16, "smooth": True}),
}


def build(name, width=None):
    file, kind, arguments = MODELS[name]
    module = import_module(f"models.{file}")
    arguments = dict(arguments)
    if width is not None:
        arguments["width"] = width
    return getattr(module, kind)(**arguments)
