"""Makes the tiny networks of tests/net: each returns a displacement that the test can compute itself.

    python tests/models/make.py

Needs the Python package onnx. The files are committed; make them again only when the contract changes."""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
FLOAT = TensorProto.FLOAT
CARD = {
    "contract": "1", "version": "1.0", "kind": "dense", "sensor": "any", "multiple": "8", "halo": "16", "tile": "96",
    "normalisation": "none", "max_displacement": "4", "training": "none: written by hand", "seed": "0", "mae": "0.5",
    "licence": "MIT OR Apache-2.0",
}


class Graph:
    """Nodes in order; every method returns the name of its result."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def name(self):
        self.count += 1
        return f"v{self.count}"

    def const(self, value, kind=np.float32):
        name = self.name()
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def op(self, kind, *inputs, out=None, **attributes):
        out = out or self.name()
        inputs = [i if isinstance(i, str) else self.const(i) for i in inputs]
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def channel(self, value, first, count=1, axis=1):
        ends = [self.const([v], np.int64) for v in (first, first + count, axis)]
        return self.op("Slice", value, *ends)

    def join(self, *parts, out="displacement"):
        return self.op("Concat", *parts, axis=1, out=out)

    def save(self, name, inputs=None, outputs=None, opset=17, card=None, keep_card=True):
        dims = ["n", None, "h", "w"]
        shape = lambda c: [dims[0], c, "h", "w"]
        inputs = inputs or {"pair": shape(2)}
        outputs = outputs or {"displacement": shape(2)}
        info = lambda items: [helper.make_tensor_value_info(k, FLOAT, v) for k, v in items.items()]
        graph = helper.make_graph(self.nodes, name, info(inputs), info(outputs), self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        if keep_card:
            entries = {**CARD, "name": name, **(card or {})}
            helper.set_model_props(model, {f"shiftmap.{k}": v for k, v in entries.items() if v is not None})
        onnx.checker.check_model(model)
        (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def planes(c):
    return ["n", c, "h", "w"]


def zeros(g):
    return g.op("Mul", g.channel("pair", 0), 0.0)


def constant(dx, dy, b=None):
    g = Graph()
    zero = zeros(g)
    g.join(g.op("Add", zero, dx), g.op("Add", zero, dy))
    if b is not None:
        log = g.op("Add", zero, float(np.log(b)))
        g.join(log, g.op("Add", log, float(np.log(2.0))), out="log_scale")
    return g


SCALED = {"displacement": planes(2), "log_scale": planes(2)}

# dx = 0.25, dy = -0.5; b = 0.05 along x and 0.1 along y.
constant(0.25, -0.5, 0.05).save("constant", outputs=SCALED)
# The same without a scale.
constant(0.25, -0.5).save("unscaled")
# NaN weights.
constant(float("nan"), 0.0, 0.1).save("nan", outputs=SCALED)
constant(0.0, 0.0, 0.1).save("insar", outputs=SCALED, card={"kind": "insar_gnss"})
constant(0.0, 0.0, 0.1).save("nocard", outputs=SCALED, keep_card=False)
constant(0.0, 0.0, 0.1).save("lacking", outputs=SCALED, card={"halo": None})
constant(0.0, 0.0, 0.1).save("unknown", outputs=SCALED, card={"colour": "red"})
constant(0.0, 0.0, 0.1).save("opset", outputs=SCALED, opset=18)

# dx = 0.01 (post - pre), dy = 0.001 pre: tells which value was at which place.
g = Graph()
pre, post = g.channel("pair", 0), g.channel("pair", 1)
g.join(g.op("Mul", g.op("Sub", post, pre), 0.01), g.op("Mul", pre, 0.001))
log = g.op("Add", zeros(g), -4.0)
g.join(log, log, out="log_scale")
g.save("values", outputs=SCALED)

# How many of the 33 x 33 pixels around a pixel are inside the tile, minus all: 0 unless the border is within 16 px.
g = Graph()
ones = g.op("Add", zeros(g), 1.0)
rows = g.op("Conv", ones, np.ones((1, 1, 33, 1)), pads=[16, 0, 16, 0])
box = g.op("Conv", rows, np.ones((1, 1, 1, 33)), pads=[0, 16, 0, 16])
missing = g.op("Mul", g.op("Sub", box, 1089.0), 0.01)
g.join(missing, missing)
log = g.op("Add", zeros(g), -4.0)
g.join(log, log, out="log_scale")
g.save("border", outputs=SCALED)

# dx = column in the tile modulo 16, over 16; dy the same of rows.
g = Graph()
ones = g.op("Add", zeros(g), 1.0)
index = lambda axis: g.op("Sub", g.op("CumSum", ones, g.const(axis, np.int64)), 1.0)
part = lambda axis: g.op("Mul", g.op("Mod", index(axis), 16.0, fmod=1), 1.0 / 16.0)
g.join(part(3), part(2))
log = g.op("Add", zeros(g), -4.0)
g.join(log, log, out="log_scale")
g.save("places", outputs=SCALED)

# start + (0.125, -0.0625)
g = Graph()
g.op("Add", "start", g.const(np.array([0.125, -0.0625]).reshape(1, 2, 1, 1)), out="displacement")
log = g.op("Add", zeros(g), -4.0)
g.join(log, log, out="log_scale")
g.save("start", inputs={"pair": planes(2), "start": planes(2)}, outputs=SCALED, card={"max_displacement": "1"})

# Three bands.
g = Graph()
six = g.channel("pair", 0)
g.join(g.op("Sub", g.channel("pair", 5), g.channel("pair", 2)), g.op("Sub", g.channel("pair", 3), six))
g.save("bands", inputs={"pair": planes(6)}, card={"bands": "3"})

# The front end's displacement, and its standard deviation as a Laplace scale.
g = Graph()
g.op("Identity", g.channel("features", 4, 2), out="displacement")
g.op("Sub", g.channel("features", 6, 2), float(0.5 * np.log(2.0)), out="log_scale")
for name, front_end in (("features", "dense-1"), ("smoothed", "dense-2")):
    card = {"front_end": front_end, "halo": "32", "tile": "160"}
    g.save(name, inputs={"features": planes(48)}, outputs=SCALED, card=card)

# Its mean in boxes of 9 px, from the evidence; and one with too few planes of that.
card = {"front_end": "dense-1", "halo": "32", "tile": "160"}
for name, count, first in (("evidence", 33, 29), ("little", 20, 0)):
    g = Graph()
    g.op("Sub", g.channel("features", 4, 2), g.op("Mul", g.channel("evidence", first, 2), 0.25), out="displacement")
    g.save(name, inputs={"features": planes(48), "evidence": planes(count)}, card=card)

# Needs more memory than there can be.
g = Graph()
shape = g.op("Mul", g.op("Shape", "pair"), g.const([1, 1, 1_000_000, 1_000_000], np.int64))
much = g.op("ReduceMean", g.op("Expand", g.const([[[[0.5]]]]), shape), axes=[2, 3], keepdims=1)
g.join(g.op("Add", zeros(g), g.op("ReduceMean", much, axes=[1], keepdims=1)), zeros(g))
g.save("huge")


def lucas_kanade(g, mean, pre, post):
    """One least-squares step: d that makes post(x + d) = pre(x), with the mean gradient of both."""
    both = g.op("Mul", g.op("Add", pre, post), 0.5)
    row = np.array([[-0.5, 0.0, 0.5]], np.float32).reshape(1, 1, 1, 3)
    jx = g.op("Conv", both, row, pads=[0, 1, 0, 1])
    jy = g.op("Conv", both, row.reshape(1, 1, 3, 1), pads=[1, 0, 1, 0])
    e = g.op("Sub", post, pre)
    xx, xy, yy, xe, ye = (mean(g.op("Mul", a, b)) for a, b in ((jx, jx), (jx, jy), (jy, jy), (jx, e), (jy, e)))
    det = g.op("Add", g.op("Sub", g.op("Mul", xx, yy), g.op("Mul", xy, xy)), 1e-6)
    dx = g.op("Div", g.op("Sub", g.op("Mul", xy, ye), g.op("Mul", yy, xe)), det)
    dy = g.op("Div", g.op("Sub", g.op("Mul", xy, xe), g.op("Mul", xx, ye)), det)
    return [g.op("Clip", d, -1.5, 1.5) for d in (dx, dy)]


# A real, if small, matcher: least squares in boxes of 31 px.
g = Graph()
box = lambda v: g.op("AveragePool", v, kernel_shape=[31, 31], pads=[15] * 4, count_include_pad=1)
g.join(*lucas_kanade(g, box, g.channel("pair", 0), g.channel("pair", 1)))
g.save("matcher", card={"normalisation": "scene", "halo": "24", "max_displacement": "1", "tile": "128"})

# The same for windows of 32 px: (n, 2, 32, 32) to (n, 2).
WINDOW = {"pair": ["n", 2, 32, 32]}
WINDOW_CARD = {"kind": "window", "multiple": "1", "halo": "0", "tile": "32", "normalisation": "scene", "max_displacement": "1"}
g = Graph()
inside = np.zeros((1, 1, 32, 32), np.float32)
inside[:, :, 1:-1, 1:-1] = 1.0
mean = lambda v: g.op("ReduceMean", g.op("Mul", v, inside), axes=[2, 3], keepdims=0)
g.join(*lucas_kanade(g, mean, g.channel("pair", 0), g.channel("pair", 1)))
g.save("window_matcher", inputs=WINDOW, outputs={"displacement": ["n", 2]}, card=WINDOW_CARD)

# Means of the two windows: dx = 0.01 (mean post - mean pre), dy = 0.001 (last pixel of pre).
g = Graph()
mean = lambda c: g.op("ReduceMean", g.channel("pair", c), axes=[2, 3], keepdims=0)
last = g.op("Reshape", g.channel(g.channel(g.channel("pair", 0), 31, axis=2), 31, axis=3), g.const([-1, 1], np.int64))
g.join(g.op("Mul", g.op("Sub", mean(1), mean(0)), 0.01), g.op("Mul", last, 0.001))
log = g.op("Add", g.op("Mul", mean(0), 0.0), -4.0)
g.join(log, log, out="log_scale")
g.save("window_values", inputs=WINDOW, outputs={"displacement": ["n", 2], "log_scale": ["n", 2]},
       card={**WINDOW_CARD, "normalisation": "none", "max_displacement": "4"})

# Kind insar_gnss: east is the ascending line of sight, north the classical solution's, up the height; the classical sigma
# as Laplace scales.
g = Graph()
up = g.op("Add", "dem", g.op("Mul", g.channel("gnss", 6), 0.0))
g.join(g.channel("insar", 0), g.channel("classical", 1), up)
g.op("Sub", g.channel("classical", 3, 3), float(0.5 * np.log(2.0)), out="log_scale")
combined = {"insar": planes(10), "dem": planes(1), "gnss": planes(8), "classical": planes(6)}
three = {"displacement": planes(3), "log_scale": planes(3)}
g.save("combined", inputs=combined, outputs=three, card={"kind": "insar_gnss", "sensor": "sar", "multiple": "16"})
# The kriged displacement only, without a scale; and one with an input of the wrong size.
g = Graph()
g.op("Identity", g.channel("gnss", 4, 3), out="displacement")
g.save("kriged", inputs={"gnss": planes(8)}, outputs={"displacement": planes(3)}, card={"kind": "insar_gnss", "sensor": "sar"})
g = Graph()
g.op("Identity", g.channel("insar", 0, 3), out="displacement")
g.save("narrow", inputs={"insar": planes(9)}, outputs={"displacement": planes(3)}, card={"kind": "insar_gnss", "sensor": "sar"})
