"""One network a file; `MODELS` names them all. `width` scales the channels, the paper's is the default of each."""

from importlib import import_module

# name: (file, class, arguments)
MODELS = {
    "flk": ("flk", "FLK", {}),
    "flk-sar": ("flk", "FLK", {}),
    "flk-slc": ("flk", "FLK", {}),
    "flownet-s": ("flownet_s", "FlowNetS", {}),
    "flownet-sd": ("flownet_sd", "FlowNetSD", {}),
    "strainnet": ("strainnet", "StrainNet", {}),
    "geoflownet": ("geoflownet", "GeoFlowNet", {}),
    "geoflownet-sar": ("geoflownet_sar", "GeoFlowNetSAR", {}),
    "cnn4l-32": ("cnn4l", "CNN4L", {"window": 32}),
    "cnn4l-32-smooth": ("cnn4l", "CNN4L", {"window": 32, "smooth": True}),
    "cnn4l-16": ("cnn4l", "CNN4L", {"window": 16}),
    "cnn4l-16-smooth": ("cnn4l", "CNN4L", {"window": 16, "smooth": True}),
    "insar-gnss": ("insar_gnss", "InsarGnss", {}),
    "insar-gnss-cnn": ("insar_gnss_cnn", "InsarGnssCnn", {}),
}


def module_of(name):
    """The file of a model: its kind, loss and presets."""
    return import_module(f"models.{MODELS[name][0]}")


def build(name, width=None):
    _, kind, arguments = MODELS[name]
    module = module_of(name)
    arguments = dict(arguments)
    if width is not None:
        arguments["width"] = width
    return getattr(module, kind)(**arguments)
