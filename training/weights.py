"""Weights to begin with: from a run of train.py, or back from an ONNX file that export.py wrote.

An exported file keeps the names of the parameters and rounds them to float16. What the exporter folds into one constant is
undone by the model's own `unfolded(name, constant)`.
"""

from pathlib import Path

import torch


def read(path, net):
    """State of `net` from RUN/weights.pt, RUN/checkpoint.pt or NAME.onnx."""
    if Path(path).suffix != ".onnx":
        return torch.load(path, map_location="cpu", weights_only=False)["weights"]
    import onnx
    from onnx import numpy_helper

    plain = lambda name: name.removesuffix("_f16").removeprefix("net.")
    stored = {plain(t.name): torch.from_numpy(numpy_helper.to_array(t).copy()).float()
              for t in onnx.load(str(path)).graph.initializer}
    state = net.state_dict()
    for name in state:
        if name in stored and stored[name].shape == state[name].shape:
            state[name] = stored.pop(name)
            continue
        folded = [v for k, v in stored.items() if k.startswith("onnx::") and v.shape == state[name].shape]
        if len(folded) != 1 or not hasattr(net, "unfolded"):
            raise SystemExit(f"{path} has no {name}: is it of another model or width?")
        state[name] = net.unfolded(name, folded[0])
    return state
