"""Everything from nothing to a trained network: base images, displacement fields, pairs, pool, training.

    python training/run.py MODEL [--preset cpu|gpu|smoke] [--images DIR] [--work DIR] [options of train.py]

DIR holds satellite images to learn from, besides the procedural ones (see `shiftmap synth dataset --help` for names
with places and dates; single-look complex images for radar models). Keep what is to be tested elsewhere: a test is on
other places. Every step is left out where its result is there already, so a stopped run is simply repeated, e.g. in
pieces: --piece 540. `make train MODEL=... PRESET=... IMAGES=...` calls it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pool
import textures
from models import MODELS, module_of
from native import program

HERE = Path(__file__).resolve().parent
RADAR = {"flk-sar", "flk-slc", "geoflownet-sar"}
INSAR = {"insar-gnss", "insar-gnss-cnn"}
# Samples, side, fields, procedural images.
SIZES = {
    "cpu": dict(pairs=704, size=384, fields=400, images=10, windows=150000),
    "gpu": dict(pairs=2400, size=384, fields=1500, images=40, windows=400000),
    "smoke": dict(pairs=32, size=192, fields=12, images=2, windows=2000),
}


def synth(out, *arguments):
    """`shiftmap synth dataset OUT ...`; finished sets are left alone."""
    if not (out / "index.json").exists():
        subprocess.run([program(), "synth", "dataset", out, *map(str, arguments), "--split", "1,0,0"], check=True)


# Events for training and for the table, side of those for training.
EVENTS = {"cpu": (6400, 200, 96), "gpu": (60000, 200, 128), "smoke": (80, 16, 64)}


def insar(model, preset, work, seed, events, rest):
    """Events, training, export, table."""
    count, held, size = EVENTS[preset]
    count = events or count
    kinds = ["--source", "mixed", "--slip", "mixed"]
    sets = {
        "events": ["--count", count, "--size", size, *kinds, "--single-track", 0.15, "--stations", 0, 80, "--split",
                   "0.97,0.03,0", "--arrays", "inputs", "--shard", 64 if count > 1000 else 8, "--seed", seed],
        "events-held-out": ["--count", held, *kinds, "--split", "0,0,1", "--arrays", "solutions,inputs", "--shard", 10,
                            "--seed", seed + 1000],
    }
    for name, options in sets.items():
        if not (work / name / "index.json").exists():
            subprocess.run([program(), "synth", "insar", work / name, *map(str, options)], check=True)
    out = work / f"run-{model}"
    step = lambda *words: subprocess.run([sys.executable, *map(str, words)], check=True)
    step(HERE / "train.py", model, "--pool", work / "events", "--out", out, "--preset", preset, "--seed", seed, *rest)
    if not (out / "weights.pt").exists():
        return
    text = f"{count} simulated events of {size} x {size} px (shiftmap synth insar), preset {preset}"
    step(HERE / "export.py", out, out, "--name", model, "--sensor", "sar", "--training", text, "--calibrate", work / "events")
    step(HERE / "insar_gnss_evaluate.py", work / "events-held-out", "--models", out / f"{model}.onnx", "--figure",
         out / "curves.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--preset", choices=SIZES, default="cpu")
    parser.add_argument("--images")
    parser.add_argument("--work", default=HERE / "work", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, help="simulated events to learn from (insar-gnss)")
    args, rest = parser.parse_known_args()
    size, radar = SIZES[args.preset], args.model in RADAR
    work = args.work / args.preset
    if args.model in INSAR:
        insar(args.model, args.preset, work, args.seed, args.events, rest)
        return
    # Complex images are not aliased as displacement reads them.
    complex_images = args.model == "flk-slc"
    name = "radar" if radar else "optical"
    images = work / f"images-{name}"
    pairs_name = "complex" if complex_images else name
    sensor = ["--sensor", "sar" if radar else "optical", *(["--radar", "low-passed"] if complex_images else [])]
    textures.make(images, size["images"], args.seed, radar, 512 if args.preset == "smoke" else 1024)
    for path in sorted(Path(args.images).iterdir()) if args.images else []:
        if not (images / path.name).exists():
            (images / path.name).symlink_to(path.resolve())
    if args.model.startswith("cnn4l"):
        source = work / "windows"
        # Where the dates have little in common a small window cannot tell which side of a jump is which.
        for change, share in (("mild", 0.8), ("strong", 0.2)):
            synth(source / change, "--images", images, "--content", "windows", "--size", 32, "--count",
                  round(size["windows"] * share), "--seed", args.seed, "--shard",
                  min(max(size["windows"] // 24, 100), 4000), "--change", change)
    else:
        synth(work / "fields", "--content", "fields", "--size", 512, "--count", size["fields"], "--classes", "0,1,1,2",
              "--seed", args.seed)
        front_end = None if module_of(args.model).KIND == "pair" else pool.FRONT_END
        source = work / (f"pool-{pairs_name}" if front_end else f"pool-{pairs_name}-images")
        # A third of the pairs hardly differ but for the motion: small windows are right there, and wrong in the others.
        for k, (change, share) in enumerate((("strong", 0.64), ("mild", 0.36))):
            pairs = work / f"pairs-{pairs_name}-{change}"
            synth(pairs, "--images", images, "--fields", work / "fields", "--size", size["size"], "--count",
                  16 * round(size["pairs"] * share / 16), "--classes", "0,1,1,2", *sensor, "--format", "shards",
                  "--change", change, "--shard", 16 if args.preset != "smoke" else 8, "--seed", args.seed + 100 * k)
            pool.build(pairs, source, front_end, logarithm=radar, prefix=f"{change}-")
    out = work / f"run-{args.model}"
    subprocess.run([sys.executable, HERE / "train.py", args.model, "--pool", source, "--out", out, "--preset", args.preset,
                    "--seed", str(args.seed), *rest], check=True)


if __name__ == "__main__":
    main()
