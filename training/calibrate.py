"""Sets the level of the standard deviation of a network that states none (card key `sigma`, models/README.md).

    python training/calibrate.py MODEL.onnx SETDIR ...

Such a network gets its sigma from a look backwards, which sees less than there is: it shares the network's habits. The
pairs of the sets (`shiftmap synth dataset --format shards`), which must not be those of training or of the tables, are measured with the
program; the floor is the one with which errors over sigma are most likely (Laplace), the factor that with which the 68 %
interval holds its share. The file is rewritten.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from evaluate import QUANTILES, network, run, samples, scored
from native import Native

KEY = "shiftmap.sigma"
FLOORS = (0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)


def written(path, level, to):
    """Stores the model `path` with the level, a pair of numbers, in its card."""
    import onnx

    model = onnx.load(str(path))
    card = {p.key: p.value for p in model.metadata_props}
    card[KEY] = " ".join(f"{v:.3g}" for v in level)
    onnx.helper.set_model_props(model, card)
    onnx.save(model, str(to))


def errors(path, folders):
    """Errors and sigma of the pixels of all pairs."""
    native, found = Native(), []
    for sample in (s for folder in folders for s in samples(folder)):
        _, _, truth, _, seen, _ = sample
        d = run(native, sample, network(path), seen.shape, 6)
        ok = scored(seen) & np.isfinite(d[:4]).all(0)
        found.append(np.stack([np.abs(d[:2] - truth)[:, ok].ravel(), d[2:4, ok].ravel()])[:, ::7])
    return np.concatenate(found, 1).astype(float)


def level(error, sigma):
    """Factor and floor."""

    def of(ratio):
        s = np.sqrt(sigma**2 + ratio**2)
        z = error / s
        return np.log(s).mean() + np.log(z.mean()), ratio, z

    _, ratio, z = min((of(floor) for floor in FLOORS), key=lambda v: v[0])
    # Not the 95 % interval: of a jump that such a network does not see, the look backwards sees nothing either.
    factor = np.quantile(z, 0.6827) / QUANTILES[0]
    return factor, factor * ratio


def calibrate(path, folders):
    """Sets the level of the model's card; the file changes when all is known, in one step."""
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        # As the look backwards says it, but for the least that shiftmap states.
        written(path, (1, 0), draft)
        found = level(*errors(draft, folders))
        written(path, found, draft)
        draft.replace(path)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("sets", nargs="+")
    arguments = parser.parse_args()
    factor, floor = calibrate(arguments.model, arguments.sets)
    print(f"{arguments.model}: sigma is {factor:.2f} times that of the look backwards, and {floor:.3f} px")
