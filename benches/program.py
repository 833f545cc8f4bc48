#!/usr/bin/env python3
"""Whole-program time and memory of `shiftmap displacement` on scenes of growing size; prints Markdown.

    make build && python3 benches/program.py            # 1024 and 8192 pixels
    python3 benches/program.py --large                  # and 16384 pixels

The scenes are mosaics of one 1024-pixel pair from `shiftmap synth pair --preset real`, written as tiled GeoTIFF with
GDAL's programs. Wall, CPU and peak memory are those of the child process as the kernel reports them.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASE = 1024


def call(*command):
    subprocess.run([str(c) for c in command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def measured(command):
    """Wall seconds, CPU seconds and peak resident MB of one command."""
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return wall, usage.ru_utime + usage.ru_stime, peak


def cells(raster):
    info = subprocess.run(["gdalinfo", raster], check=True, capture_output=True, text=True).stdout
    width, height = map(int, re.search(r"Size is (\d+), (\d+)", info).groups())
    return width * height


def mosaic(tile, size, out):
    """A mosaic of `tile`, `size` (columns, rows) pixels, as a tiled GeoTIFF."""
    info = subprocess.run(["gdalinfo", tile], check=True, capture_output=True, text=True).stdout
    x, y = map(float, re.search(r"Origin = \(([-0-9.]+),([-0-9.]+)\)", info).groups())
    pixel = float(re.search(r"Pixel Size = \(([-0-9.]+),", info).group(1))
    width, height = size
    sources = []
    for top in range(0, height, BASE):
        for left in range(0, width, BASE):
            part = f"xSize='{min(BASE, width - left)}' ySize='{min(BASE, height - top)}'"
            sources.append(
                f"<SimpleSource><SourceFilename relativeToVRT='0'>{tile}</SourceFilename><SourceBand>1</SourceBand>"
                f"<SrcRect xOff='0' yOff='0' {part}/><DstRect xOff='{left}' yOff='{top}' {part}/></SimpleSource>"
            )
    vrt = out.with_suffix(".vrt")
    vrt.write_text(
        f"<VRTDataset rasterXSize='{width}' rasterYSize='{height}'><SRS>EPSG:32612</SRS>"
        f"<GeoTransform>{x}, {pixel}, 0, {y}, 0, {-pixel}</GeoTransform>"
        f"<VRTRasterBand dataType='UInt16' band='1'>{''.join(sources)}</VRTRasterBand></VRTDataset>"
    )
    call("gdal_translate", "-q", "-co", "TILED=YES", vrt, out)
    vrt.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/shiftmap"))
    parser.add_argument("--large", action="store_true", help="also 16384 x 16384 pixels")
    parser.add_argument("--sizes", type=int, nargs="+", help="sizes in pixels, multiples of 1024")
    parser.add_argument("--methods", nargs="+", default=["lsm", "frequency"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--step", type=int, default=8)
    parser.add_argument("--folder", help="where scratch files go (16384 pixels need 1.5 GB)")
    args = parser.parse_args()
    sizes = args.sizes or [1024, 8192] + ([16384] if args.large else [])
    if any(size % BASE for size in sizes):
        parser.error("--sizes: multiples of 1024")
    window = {"lsm": 32, "frequency": 64}
    print("| size | method | window | step | threads | wall s | CPU s | peak MB | windows/s | windows/CPU s | speed-up |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = pathlib.Path(name)
        call(args.program, "synth", "pair", folder / "base", "--preset", "real", "--size", BASE, "--quiet")
        for size in sizes:
            pre, post, out = folder / "pre.tif", folder / "post.tif", folder / "out.tif"
            mosaic(folder / "base/pre.tif", (size, size), pre)
            mosaic(folder / "base/post.tif", (size, size), post)
            for method in args.methods:
                first = None
                for threads in args.threads:
                    command = [args.program, "displacement", pre, post, out, "--overwrite", "--quiet"]
                    command += ["--method", method, "--window", window[method], "--step", args.step]
                    command += ["--threads", threads]
                    wall, cpu, peak = measured([str(c) for c in command])
                    first = first or wall
                    count = cells(out)
                    print(
                        f"| {size} | {method} | {window[method]} | {args.step} | {threads} | {wall:.1f} | {cpu:.1f} "
                        f"| {peak:.0f} | {count / wall:,.0f} | {count / cpu:,.0f} | {first / wall:.2f} |",
                        flush=True,
                    )
            for image in (pre, post, out):
                image.unlink()


if __name__ == "__main__":
    main()
