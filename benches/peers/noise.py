#!/usr/bin/env python3
"""RMSE beside OpenCV, scikit-image and OpenPIV in six kinds of noise, on the same 32 px windows; prints Markdown.

    make bench-accuracy

Texture 1/f^1.1 seen through a point spread of 0.5 px, unit variance; independent noise on both images, white or red
(amplitude |frequency|^-exponent); eight exact Fourier shifts of up to a pixel; the windows at the border are left out.
Every tool gets one thread and the same windows; no result is left out, a window without one counts as an error of 1 px.
Search of 4 px where a tool has one. `regularized` and `dense` have windows of their own and tell of the place at each
window's centre.
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import pathlib
import subprocess
import tempfile

import cv2
import numpy as np
from openpiv.pyprocess import extended_search_area_piv

import windows

cv2.setNumThreads(1)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE, WINDOW, SEARCH = 512, 32, 4
NOISE = [(0.0, 0.1), (0.0, 0.3), (0.0, 0.6), (1.1, 0.3), (1.1, 0.6), (1.6, 0.5)]
CORNERS = [(x, y) for y in range(WINDOW, SIZE - WINDOW, WINDOW) for x in range(WINDOW, SIZE - WINDOW, WINDOW)]


def frequencies():
    w = 2 * np.pi * np.fft.fftfreq(SIZE)
    return np.meshgrid(w, w)


def texture(exponent, spread, random):
    """Unit-variance periodic texture as a spectrum."""
    wx, wy = frequencies()
    w = np.hypot(wx, wy)
    w[0, 0] = 1
    amplitude = w**-exponent * np.exp(-0.5 * (w * spread) ** 2)
    amplitude[0, 0] = 0
    amplitude[SIZE // 2, :] = 0
    amplitude[:, SIZE // 2] = 0
    spectrum = np.fft.fft2(random.standard_normal((SIZE, SIZE))) * amplitude
    return spectrum / np.fft.ifft2(spectrum).real.std()


def moved(spectrum, dx, dy):
    wx, wy = frequencies()
    return np.fft.ifft2(spectrum * np.exp(-1j * (wx * dx + wy * dy))).real


def pair(exponent, level, shift, random):
    clean = texture(1.1, 0.5, random)
    noise = lambda: level * moved(texture(exponent, 0.0, random), 0, 0)
    return (moved(clean, 0, 0) + noise()).astype(np.float32), (moved(clean, *shift) + noise()).astype(np.float32)


def write(path, image):
    image.tofile(path)
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {SIZE}\nlines = {SIZE}\nbands = 1\ndata type = 4\ninterleave = bsq\nbyte order = 0\n")


def shiftmap(program, method, *more):
    def run(pre, post):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            write(folder / "pre.img", pre)
            write(folder / "post.img", post)
            subprocess.run(
                [program, "displacement", "pre.img", "post.img", "map.tif", "--units", "px", "--quiet",
                 "--threads", "1", "--method", method, "--window", str(WINDOW), "--step", str(WINDOW),
                 "--search", str(SEARCH), "--outliers", "keep", "--nodata", "none", *more],
                cwd=folder, check=True)
            subprocess.run(["gdal_translate", "-q", "-of", "ENVI", "-co", "INTERLEAVE=BSQ", "map.tif", "map.img"], cwd=folder,
                           check=True)
            cells = SIZE // WINDOW
            bands = np.fromfile(folder / "map.img", np.float32).reshape(-1, cells, cells)
        return [(bands[0, y // WINDOW, x // WINDOW], -bands[1, y // WINDOW, x // WINDOW]) for x, y in CORNERS]

    return run


def each(estimate):
    """`estimate` as in windows.py."""
    return lambda pre, post: [estimate(pre, post, x, y) for x, y in CORNERS]


def openpiv(method):
    def run(pre, post):
        found = []
        for x, y in CORNERS:
            # Each window alone, in its own search area, so that the windows are those of the other tools.
            part = np.s_[y - SEARCH : y + WINDOW + SEARCH, x - SEARCH : x + WINDOW + SEARCH]
            a, b = pre[part], post[part]
            u, v = extended_search_area_piv(
                a - a.min(), b - b.min(), window_size=WINDOW, overlap=0, search_area_size=WINDOW + 2 * SEARCH,
                subpixel_method=method, correlation_method="linear", normalized_correlation=True,
                sig2noise_method=None)[:2]
            found.append((float(np.ravel(u)[0]), float(np.ravel(v)[0])))
        return found

    return run


def rmse(found, shift):
    error = np.array(found, np.float64) - np.array(shift)
    error[~np.isfinite(error)] = 1.0
    return np.mean(error**2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "target/release/shiftmap"))
    parser.add_argument("--shifts", type=int, default=8)
    args = parser.parse_args()
    tools = {
        "shiftmap lsm": shiftmap(args.program, "lsm"),
        **{f"shiftmap {m}": shiftmap(args.program, m) for m in ("frequency", "spatial", "regularized", "dense")},
        "OpenCV matchTemplate + parabola": each(windows.match_template(WINDOW, SEARCH)),
        "scikit-image, phase": each(windows.scikit_image(WINDOW, normalization="phase")),
        "scikit-image, plain": each(windows.scikit_image(WINDOW, normalization=None)),
        "OpenPIV, Gaussian peak": openpiv("gaussian"),
        "OpenPIV, parabola": openpiv("parabolic"),
    }
    print(f"RMSE in pixels, {WINDOW} px windows:\n\n| noise | " + " | ".join(tools) + " |")
    print("|---" * (len(tools) + 1) + "|", flush=True)
    for exponent, level in NOISE:
        random = np.random.default_rng(20_260)
        sums = dict.fromkeys(tools, 0.0)
        for k in range(args.shifts):
            shift = (k / 8, (3 * k) % 8 / 8 - 0.5)
            pre, post = pair(exponent, level, shift, random)
            for name, run in tools.items():
                sums[name] += rmse(run(pre, post), shift) / args.shifts
        kind = "white" if exponent == 0 else f"1/f^{exponent}"
        print(f"| {kind} {level} | " + " | ".join(f"{np.sqrt(s):.4f}" for s in sums.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
