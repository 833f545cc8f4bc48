"""One network a file; `MODELS` names them all. `width` scales the channels, the paper's is the default of each."""

from importlib import import_module

# name: (file, class, arguments)
MODELS = {
    "flk": ("flk", "FLK", {}),
    "flk-sar": ("flk", "FLK", {}),
}


def build(name, width=None):
    file, kind, arguments = MODELS[name]
    module = import_module(f"models.{file}")
    arguments = dict(arguments)
    if width is not None:
        arguments["width"] = width
    return getattr(module, kind)(**arguments)
