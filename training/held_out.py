"""The held-out sets and the tables of models/README.md.

    python training/held_out.py --data ../shared/data [--work DIR] [options of evaluate.py]

DIR of --data is a folder of real scenes with the names that the sets below give; sets whose scenes are not there are left out and
said. Seeds and places are not those of training (`run.py`). Sets are made once; options that evaluate.py knows, such as
--methods all, --models, --limit, --figure, are handed on. `make bench-accuracy` calls it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import textures
from native import program

HERE = Path(__file__).resolve().parent
SEED = 77
# name: images below --data, options of `synth dataset`, samples.
SETS = {
    "places": (["single/landsat8_zion_20150818_b2.tif", "single/landsat8_zion_20150818_b4.tif",
                "single/sentinel2_delmarva_date-unknown_b8a.tif"],
               ["--pairing", "pre", "--change", "mild", "--classes", "1,1,2"], 8),
    "procedural": ([], ["--change", "strong", "--classes", "1,1,2"], 10),
    "strong": (["single/landsat8_zion_20150818_b2.tif", "single/landsat8_zion_20150818_b4.tif",
                "single/sentinel2_delmarva_date-unknown_b8a.tif"],
               ["--pairing", "pre", "--change", "strong", "--classes", "1,1,2"], 8),
    "nanjing": (["stable-pairs/landsat5_nanjing_20000503_b1-5-7.tif", "stable-pairs/landsat5_nanjing_20020712_b1-5-7.tif"],
                ["--pairing", "dates", "--change", "none", "--classes", "1,1,2"], 6),
    "corumba": (["stable-pairs/landsat8_corumba-fires_20190809_b4.tif", "stable-pairs/landsat8_corumba-fires_20190825_b4.tif"],
                ["--pairing", "dates", "--change", "none", "--classes", "1,1,2"], 6),
    "dakota": (["stable-pairs/naip5m_northdakota_20120731_rgbn.tif", "stable-pairs/naip5m_northdakota_20160816_rgbn.tif"],
               ["--pairing", "dates", "--change", "none", "--classes", "1,1,2"], 6),
    "sar": (["sar/sentinel1a_azores_20220918_iw3-vv-slc-complex.tif"], ["--sensor", "sar", "--classes", "1"], 12),
    # The same as `displacement` reads complex images: not aliased.
    "sar-slc": (["sar/sentinel1a_azores_20220918_iw3-vv-slc-complex.tif"],
                ["--sensor", "sar", "--classes", "1", "--radar", "low-passed"], 12),
}
# The west of the radar scene is for training.
EAST = ["-srcwin", "950", "0", "451", "601"]


def is_radar(name):
    """Of a set or of a model's file."""
    return any(word in name for word in ("sar", "slc"))


def images(name, wanted, data, work):
    """Folder with the set's base images; None where a scene is missing."""
    folder = work / f"images-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [p for p in wanted if data is None or not (data / p).exists()]
    if missing:
        print(f"{name}: skipped, {missing[0]} is not there (--data)", flush=True)
        return None
    radar = is_radar(name)
    if radar or name == "procedural":
        textures.make(folder, 4 if radar else 5, 99, radar)
    for path in wanted:
        to = folder / ("azores-east_slc.tif" if radar else Path(path).name)
        if not to.exists():
            if radar:
                subprocess.run(["gdal_translate", "-q", *EAST, data / path, to], check=True)
            else:
                to.symlink_to((data / path).resolve())
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=HERE / "work" / "held-out")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="*", default=sorted(map(str, (HERE.parent / "models").glob("flk*.onnx"))),
                        help="those with sar or slc in their name see the radar sets, the others the optical ones [default: models/flk*.onnx]")
    parser.add_argument("--out", type=Path, help="Markdown and JSON; the radar sets' end in -sar")
    parser.add_argument("--figure", type=Path, help="PNG; the radar sets' ends in -sar")
    args, rest = parser.parse_known_args()
    synth = lambda out, *options: (out / "index.json").exists() or subprocess.run(
        [program(), "synth", "dataset", out, *map(str, options), "--split", "1,0,0", "--threads", "1", "-q"], check=True)
    fields = args.work / "fields"
    synth(fields, "--content", "fields", "--count", 60, "--size", 512, "--classes", "0,1,1,2", "--seed", 1007)
    entries = {False: [], True: []}
    for name in args.sets:
        wanted, options, count = SETS[name]
        folder = images(name, wanted, args.data, args.work)
        if folder is None:
            continue
        out = args.work / f"set-{name}"
        synth(out, "--images", folder, "--fields", fields, "--size", 384, "--count", count, "--format", "shards", "--shard", 16,
              "--seed", SEED, *options)
        entries[is_radar(name)].append(f"{name}={out}")
    for radar, sets in entries.items():
        if not sets:
            continue
        models = [m for m in args.models if is_radar(Path(m).stem) == radar]
        named = lambda path: path.with_stem(path.stem + "-sar") if radar else path
        files = [w for option in ("out", "figure") if (f := getattr(args, option)) for w in (f"--{option}", named(f))]
        subprocess.run([sys.executable, HERE / "evaluate.py", *sets, "--cache", args.work / "cache",
                        *(["--models", *models] if models else []), *files, *rest], check=True)


if __name__ == "__main__":
    main()
