#!/usr/bin/env python3
"""`spatial` beside OpenCV's matchTemplate with a parabola: speed and error on the same windows, one thread, in turns.

    .bench/peers/bin/python benches/peers/spatial.py

Texture 1/f^1.1 seen through a point spread of 0.5 px with 5 % white noise on both images, moved by (1.3, -0.7) px;
windows of 64 px every 16, search of 10 px; the windows at the border are left out. shiftmap is the whole program (start,
reading, scene analysis, filters, writing), in processor time; OpenCV the calls alone, images in memory. Best of several
rounds in turns. Prints Markdown. The matching alone is in `cargo bench --bench ratios -- spatial`.
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import pathlib
import subprocess
import tempfile
import time

import cv2
import numpy as np

import windows

cv2.setNumThreads(1)

ROOT = pathlib.Path(__file__).resolve().parents[2]
WINDOW, STEP, SEARCH, SHIFT = 64, 16, 10, (1.3, -0.7)


def pair(size):
    random = np.random.default_rng(20_260)
    w = 2 * np.pi * np.fft.fftfreq(size)
    wx, wy = np.meshgrid(w, w)
    r = np.hypot(wx, wy)
    r[0, 0] = 1
    amplitude = r**-1.1 * np.exp(-0.5 * (r * 0.5) ** 2)
    amplitude[0, 0] = 0
    amplitude[size // 2, :] = amplitude[:, size // 2] = 0
    spectrum = np.fft.fft2(random.standard_normal((size, size))) * amplitude
    spectrum /= np.fft.ifft2(spectrum).real.std()
    post = np.fft.ifft2(spectrum * np.exp(-1j * (wx * SHIFT[0] + wy * SHIFT[1]))).real
    noise = lambda: 0.05 * random.standard_normal((size, size))
    return (np.fft.ifft2(spectrum).real + noise()).astype(np.float32), (post + noise()).astype(np.float32)


def write(path, image):
    image.tofile(path)
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {image.shape[1]}\nlines = {image.shape[0]}\nbands = 1\ndata type = 4\n"
        "interleave = bsq\nbyte order = 0\n")


def spatial(program, folder, size):
    """Displacements of all cells [2, rows, columns] and processor seconds."""
    command = [program, "displacement", "pre.img", "post.img", "map.tif", "--units", "px", "--quiet", "--overwrite",
               "--threads", "1", "--method", "spatial", "--window", str(WINDOW), "--step", str(STEP),
               "--search", str(SEARCH), "--outliers", "keep", "--nodata", "none"]
    before = os.times()
    subprocess.run(command, cwd=folder, check=True)
    after = os.times()
    subprocess.run(["gdal_translate", "-q", "-of", "ENVI", "-co", "INTERLEAVE=BSQ", "map.tif", "map.bin"], cwd=folder,
                   check=True)
    bands = np.fromfile(folder / "map.bin", np.float32).reshape(-1, size // STEP, size // STEP)
    used = lambda t: t.children_user + t.children_system
    return bands[:2] * np.array([1, -1])[:, None, None], used(after) - used(before)


def match_template(pre, post, corners):
    estimate = windows.match_template(WINDOW, SEARCH)
    start = time.process_time()
    found = np.array([estimate(pre, post, x, y) for x, y in corners])
    return found, time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/shiftmap"))
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--sample", type=int, default=2000, help="windows that OpenCV matches")
    args = parser.parse_args()
    pre, post = pair(args.size)
    # Windows of a cell: centred on it.
    starts = range(2 * WINDOW // STEP, (args.size - 2 * WINDOW) // STEP)
    cells = [(i, j) for j in starts for i in starts]
    cells = cells[:: max(1, len(cells) // args.sample)]
    inset = STEP // 2 - WINDOW // 2
    corners = [(i * STEP + inset, j * STEP + inset) for i, j in cells]
    own, peer = np.inf, np.inf
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write(folder / "pre.img", pre)
        write(folder / "post.img", post)
        for _ in range(args.rounds):
            field, seconds = spatial(args.program, folder, args.size)
            own = min(own, seconds)
            found, seconds = match_template(pre, post, corners)
            peer = min(peer, seconds)
    ours = np.array([field[:, j, i] for i, j in cells])
    rmse = lambda d: np.sqrt(np.nanmean((d - np.array(SHIFT)) ** 2))
    rate, other = (args.size // STEP) ** 2 / own, len(corners) / peer
    print("| | windows/s | RMSE, px | without a value |\n|---|---|---|---|")
    print(f"| `spatial`, whole program | {rate:.0f} | {rmse(ours):.4f} | {np.isnan(ours[:, 0]).mean():.3f} |")
    print(f"| OpenCV matchTemplate + parabola | {other:.0f} | {rmse(found):.4f} | {np.isnan(found[:, 0]).mean():.3f} |")
    print(f"\nRatio {rate / other:.1f}")


if __name__ == "__main__":
    main()
