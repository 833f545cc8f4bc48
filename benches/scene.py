#!/usr/bin/env python3
"""A whole satellite scene, 9514 x 24418 pixels: time, peak memory, and two threads against one; prints Markdown.

    make bench-scene                                # 2 GB of disk for the images and maps
    python3 benches/scene.py --share 16             # a sixteenth of the area first

`frequency` with windows of 128 px every 16, and `lsm` with 32 every 8, the settings that are published for such a scene.
The images are mosaics of one pair of `shiftmap synth pair --preset real` (which simulates a scene as a whole, in some 60
bytes of memory a pixel, and so not one of this size). Wall and processor seconds and peak resident memory are those of the
program as the kernel reports them; the runs with one and two threads take turns and the best of each counts. The maps of
both have to be the same bytes.
"""

import argparse
import filecmp
import pathlib
import tempfile

from program import BASE, ROOT, call, cells, measured, mosaic

SIZE = (9514, 24418)
RUNS = [("frequency", 128, 16), ("lsm", 32, 8)]
MEMORY_MB, SPEED_UP = 800, 1.85


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/shiftmap"))
    parser.add_argument("--share", type=int, default=1, help="only one of so many parts of the area")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--methods", nargs="+", default=[run[0] for run in RUNS])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", help="where scratch files go")
    args = parser.parse_args()
    side = args.share**0.5
    size = (round(SIZE[0] / side), round(SIZE[1] / side))
    print(f"{size[0]} x {size[1]} pixels:\n")
    print("| method | window | step | threads | wall s | CPU s | peak MB | windows/s | two threads against one |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    missed = []
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = pathlib.Path(name)
        call(args.program, "synth", "pair", folder / "base", "--preset", "real", "--size", BASE, "--quiet")
        for image in ("pre.tif", "post.tif"):
            mosaic(folder / "base" / image, size, folder / image)
        for method, window, step in (run for run in RUNS if run[0] in args.methods):
            best, out = {}, {n: folder / f"{n}.tif" for n in args.threads}
            for _ in range(args.rounds):
                for threads in args.threads:
                    command = [args.program, "displacement", folder / "pre.tif", folder / "post.tif", out[threads],
                               "--overwrite", "--quiet", "--method", method, "--window", window, "--step", step,
                               "--threads", threads]
                    run = measured([str(c) for c in command])
                    best[threads] = min(run, best.get(threads, run))
            first = args.threads[0]
            for threads, (wall, cpu, peak) in best.items():
                gain = best[first][0] / wall
                print(f"| {method} | {window} | {step} | {threads} | {wall:.1f} | {cpu:.1f} | {peak:.0f} "
                      f"| {cells(out[threads]) / wall:,.0f} | {gain:.2f} |", flush=True)
                if peak >= MEMORY_MB:
                    missed.append(f"{method}, {threads} threads: {peak:.0f} MB of memory, wanted below {MEMORY_MB}")
                if first == 1 and threads == 2 and gain < SPEED_UP:
                    missed.append(f"{method}: two threads are {gain:.2f} times as fast as one, wanted {SPEED_UP}")
                if not filecmp.cmp(out[first], out[threads], shallow=False):
                    missed.append(f"{method}: the map of {threads} threads differs from that of {first}")
            for path in out.values():
                path.unlink(missing_ok=True)
    print()
    for text in missed:
        print(f"- {text}")


if __name__ == "__main__":
    main()
