"""Writes a trained network as ONNX with its card (models/README.md), and a stored input and output beside it.

    python training/export.py RUN OUTDIR --name flk-optical --sensor optical --mae 0.02 --training "..." [--halo 48]

Weights are stored as float16 behind a Cast, arithmetic is float32; opset 17. OUTDIR/NAME.onnx, and
OUTDIR/parity/NAME.npz: input, and the output that PyTorch gave for the same rounded weights. The export fails when ONNX
Runtime differs from it by more than 1e-4 px.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from calibrate import calibrate
from evaluate import samples, scored
from insar_pool import InsarPool
from models import build, module_of
from native import Native
from pool import Pool

# Pixels; metres for insar_gnss.
LARGEST = {"features": 5.0, "pair": 5.0, "windows": 1.0, "insar_gnss": 5.0}
KINDS = {"windows": "window", "insar_gnss": "insar_gnss"}


class Images(nn.Module):
    INPUTS, OUTPUTS = ["pair"], ["displacement"]

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, pair):
        return self.net(pair)


def halved(model):
    """The model with float32 initialisers of 64 numbers or more stored as float16."""
    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 64:
            continue
        values = numpy_helper.to_array(tensor).astype(np.float16)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(values, tensor.name + "_f16"))
        casts.append(helper.make_node("Cast", [tensor.name + "_f16"], [tensor.name], to=TensorProto.FLOAT))
    for node in casts[::-1]:
        graph.node.insert(0, node)
    return model


def passed(net, folders, front_end, passes):
    """Features of the last pass and their truth, pair by pair."""
    native = Native()
    for images, valid, truth, distance, seen, how in (s for folder in folders for s in samples(folder)):
        f = native.features(*images, *valid, front_end=front_end, interpolation=how)
        for _ in range(passes - 1):
            with torch.no_grad():
                found = f[4:6] + net(torch.from_numpy(f[None]))[0][0].numpy()
            f = native.features(*images, *valid, start=found, interpolation=how)
        t = np.nan_to_num(np.stack([*(truth - f[4:6]), distance, ~scored(seen)]).astype(np.float32))
        yield torch.from_numpy(f[None]), torch.from_numpy(t[None])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("out")
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", default="1.0")
    parser.add_argument("--sensor", choices=["optical", "sar", "any"], required=True)
    parser.add_argument("--mae", type=float, help="held-out mean absolute error of a component, px; insar_gnss: measured here")
    parser.add_argument("--training", required=True, help="data and budget, in words")
    parser.add_argument("--halo", type=int, default=48)
    parser.add_argument("--calibrate", metavar="POOL", help="set the level of the scale on this pool's held-out shards; insar_gnss: and "
                        "measure its error there")
    parser.add_argument("--calibrate-set", metavar="SETDIR", nargs="+", default=[], help="the same on pairs of `synth dataset`, after all "
                        "passes; networks without a scale: the level of the look backwards (calibrate.py)")
    parser.add_argument("--passes", type=int, default=1, help="how often it is to run")
    parser.add_argument("--licence", default="MIT OR Apache-2.0")
    args = parser.parse_args()

    saved = torch.load(Path(args.run) / "weights.pt", map_location="cpu", weights_only=False)
    facts = saved["facts"]
    net = build(facts["model"], facts["width"])
    # What is stored is what is checked.
    net.load_state_dict({k: v.half().float() if v.numel() >= 64 and v.is_floating_point() else v
                         for k, v in saved["weights"].items()})
    net.eval()
    module = module_of(facts["model"])
    kind = module.KIND
    wrapped = module.Exported(net) if hasattr(module, "Exported") else Images(net)
    if args.calibrate:
        if kind == "insar_gnss":
            held = list(InsarPool(args.calibrate, 1, 1).validation())
            with torch.no_grad():
                answers = [net(x) for x, _ in held]
            first = lambda v: v[0] if isinstance(v, tuple) else v
            args.mae = float(np.mean([(first(a) - t[:, :3]).abs().mean() for a, (_, t) in zip(answers, held)]))
            print(f"held-out mean absolute error {args.mae:.4f} of the scale")
        else:
            held = Pool(args.calibrate, module.KIND, 1, 128, 2).validation(step=1)
        if hasattr(module, "calibration"):
            wrapped.offset = module.calibration(net, held)
            print(f"scale: offset {wrapped.offset:+.3f} of its logarithm")
    if args.calibrate_set and kind == "insar_gnss":
        parser.error("--calibrate-set is for networks of image pairs; --calibrate sets the level of this one")
    if args.calibrate_set and kind == "features":
        wrapped.offset = module.calibration(net, passed(net, args.calibrate_set, facts["front_end"], args.passes), args.passes)
        print(f"scale: offset {wrapped.offset:+.3f} of its logarithm after {args.passes} passes")
    if args.mae is None:
        parser.error("--mae is missing")
    wrapped.eval()
    generator = torch.Generator().manual_seed(1)
    multiple = getattr(module, "MULTIPLE", 1)
    if kind == "windows":
        example = torch.randn(4, 2, net.window, net.window, generator=generator)
        axes = {0: "n"}
    elif kind == "insar_gnss":
        example = tuple(torch.randn(1, n, 64, 96, generator=generator) for n in module.INPUTS.values())
        # Masks.
        example[0][:, 2:4] = (example[0][:, 2:4] > 0).float()
        axes = {0: "n", 2: "h", 3: "w"}
    else:
        side = 2 * multiple if multiple > 16 else 32
        example = torch.randn(1, 48 if kind == "features" else 2, side, side, generator=generator)
        if kind == "features":
            # As they are stored, so that the evidence is theirs.
            features = (0.3 * example).half().float()
            example = (features, module.evidence(features))
        axes = {0: "n", 2: "h", 3: "w"}
    example = example if isinstance(example, tuple) else (example,)
    with torch.no_grad():
        expected = wrapped(*example)
    expected = expected if isinstance(expected, tuple) else (expected,)
    out = Path(args.out)
    (out / "parity").mkdir(parents=True, exist_ok=True)
    path = out / f"{args.name}.onnx"
    # The operator exists since opset 9; the exporter only lacks its name.
    torch.onnx.register_custom_op_symbolic("aten::asinh", lambda g, x: g.op("Asinh", x), 17)
    names = [*wrapped.INPUTS, *wrapped.OUTPUTS]
    dynamic = {n: dict(axes) for n in names}
    if kind == "windows":
        dynamic["displacement"] = {0: "n"}
    torch.onnx.export(wrapped, example, str(path), input_names=wrapped.INPUTS, output_names=wrapped.OUTPUTS,
                      dynamic_axes=dynamic, opset_version=17, dynamo=False)
    model = halved(onnx.load(str(path)))
    card = {
        "contract": "1", "name": args.name, "version": args.version,
        "kind": KINDS.get(kind, "dense"), "sensor": args.sensor, "multiple": str(multiple),
        "halo": "0" if kind == "windows" else str(args.halo),
        "tile": str(net.window if kind == "windows" else getattr(module, "TILE", 512)),
        "normalisation": "none" if kind == "insar_gnss" else "scene-log" if args.sensor == "sar" else "scene",
        "max_displacement": str(LARGEST[kind]), "training": args.training, "seed": str(facts["seed"]),
        "mae": f"{args.mae:.4f}", "licence": args.licence,
    }
    if kind == "features":
        card["front_end"] = facts["front_end"]
    if args.passes > 1:
        card["passes"] = str(args.passes)
    onnx.helper.set_model_props(model, {f"shiftmap.{k}": v for k, v in card.items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))

    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(wrapped.OUTPUTS, {n: v.numpy() for n, v in zip(wrapped.INPUTS, example)})
    worst = max(np.abs(a - b.numpy()).max() for a, b in zip(got, expected))
    if worst > 1e-4:
        raise SystemExit(f"{path}: ONNX Runtime differs from PyTorch by {worst:.2g}")
    stored = {n: np.float32 if n == "evidence" else np.float16 for n in wrapped.INPUTS}
    arrays = {n: v.numpy().astype(stored[n]) for n, v in zip(wrapped.INPUTS, example)}
    with torch.no_grad():
        rounded = wrapped(*(torch.from_numpy(v.astype(np.float32)) for v in arrays.values()))
    rounded = rounded if isinstance(rounded, tuple) else (rounded,)
    arrays |= {n: v.numpy().astype(np.float32) for n, v in zip(wrapped.OUTPUTS, rounded)}
    np.savez(out / "parity" / f"{args.name}.npz", **arrays)
    if args.calibrate_set and "log_scale" not in wrapped.OUTPUTS:
        print("sigma: factor {:.2f}, floor {:.3f} px".format(*calibrate(path, args.calibrate_set)))
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, ONNX Runtime and PyTorch differ by {worst:.1e}")


if __name__ == "__main__":
    main()
