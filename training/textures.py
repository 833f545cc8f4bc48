"""Procedural base images beside the real ones: so that networks do not learn a few places by heart.

    python training/textures.py OUTDIR [--count 12] [--seed 1] [--radar]

Kinds, in turn: the library's own country side (`shiftmap synth pair`), red fractal with level edges, mosaic of flat
parcels, fine fractal, sparse spots on a smooth ground. All are seen through a Gaussian point spread function. With `--radar` they are the backscatter of single-look complex
images: circular Gaussian speckle with 80 % of the bandwidth occupied.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from native import program

KINDS = ("country", "edges", "mosaic", "fine", "spots")


def fractal(rng, n, beta):
    """Gaussian field with amplitude spectrum f^-beta, zero mean, unit deviation."""
    fx, fy = np.fft.rfftfreq(n)[None, :], np.fft.fftfreq(n)[:, None]
    f = np.hypot(fx, fy)
    f[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((n, n))) * f**-beta
    spectrum[0, 0] = 0
    out = np.fft.irfft2(spectrum, (n, n))
    return out / out.std()


def mosaic(rng, n, cells):
    """Parcels of one tone each: nearest of random points under a rough distance."""
    points, tones = rng.uniform(0, n, (cells, 2)), rng.standard_normal(cells)
    y, x = np.mgrid[0:n, 0:n].astype(np.float32)
    wobble = 2 * fractal(rng, n, 1.6).astype(np.float32)
    best, tone = np.full((n, n), np.inf, np.float32), np.zeros((n, n), np.float32)
    stretch = rng.uniform(0.5, 2)
    for (px, py), t in zip(points, tones):
        d = np.abs(x - px + wobble) * stretch + np.abs(y - py - wobble)
        near = d < best
        best[near], tone[near] = d[near], t
    return tone


def paint(kind, rng, n):
    if kind == "edges":
        f = fractal(rng, n, rng.uniform(1.4, 2.0))
        return f + 0.7 * np.floor(rng.uniform(1, 3) * fractal(rng, n, rng.uniform(1.3, 1.8)))
    if kind == "mosaic":
        return mosaic(rng, n, int(rng.uniform(300, 1200))) + rng.uniform(0.05, 0.3) * fractal(rng, n, 1.2)
    if kind == "fine":
        return fractal(rng, n, rng.uniform(0.5, 1.2))
    spots = np.zeros((n, n))
    count = int(rng.uniform(0.002, 0.02) * n * n)
    spots[rng.integers(0, n, count), rng.integers(0, n, count)] = rng.gamma(1.0, 6.0, count)
    return spots + rng.uniform(0.5, 1.5) * fractal(rng, n, rng.uniform(1.2, 1.8))


def sensor(image, rng):
    """Point spread function on twice the sampling, then every second pixel; 16 bit."""
    n = image.shape[0]
    f2 = np.fft.rfftfreq(n)[None, :] ** 2 + np.fft.fftfreq(n)[:, None] ** 2
    sigma = rng.uniform(1.1, 1.8)
    image = np.fft.irfft2(np.fft.rfft2(image) * np.exp(-2 * (np.pi * sigma) ** 2 * f2), image.shape)[::2, ::2]
    return np.clip(9000 + 1500 * (image - image.mean()) / image.std(), 1, 65535).astype(np.uint16)


def country(path, size, seed):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program(), "synth", "pair", folder, "--field", "uniform", "--dx", "0", "--dy", "0",
                        "--size", str(size), "--seed", str(seed), "--quiet"], check=True)
        shutil.copy(Path(folder) / "pre.tif", path)


def speckle(image, rng):
    """A complex image whose mean intensity follows `image`, [N, N, 2] 16 bit."""
    n = image.shape[0]
    image = np.clip((image - image.mean()) / image.std(), -2.5, 2.5)
    field = (rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))) * np.exp(0.5 * rng.uniform(0.4, 1.2) * image)
    f = np.fft.fftfreq(n)
    inside = (np.abs(f) < 0.4).astype(float)
    field = np.fft.ifft2(np.fft.fft2(field) * inside[None, :] * inside[:, None])
    field *= 1000 / np.sqrt(np.mean(np.abs(field) ** 2))
    return np.clip(np.round(np.stack([field.real, field.imag], -1)), -32767, 32767).astype(np.int16)


def write_tiff(path, image):
    """The plainest uncompressed TIFF: one strip, little endian, 16 bit unsigned or (of [H, W, 2]) complex integers."""
    h, w = image.shape[:2]
    radar = image.ndim == 3
    bits, form = (32, 5) if radar else (16, 1)
    data = image.astype("<i2" if radar else "<u2").tobytes()
    tags = [(256, 4, w), (257, 4, h), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, h),
            (279, 4, len(data)), (339, 3, form)]
    entries = b"".join(np.array([t, k], "<u2").tobytes() + np.array([1, v], "<u4").tobytes() for t, k, v in tags)
    head = b"II*\0" + np.array([8 + len(data)], "<u4").tobytes()
    Path(path).write_bytes(head + data + np.array([len(tags)], "<u2").tobytes() + entries + bytes(4))


def make(out, count, seed, radar=False, size=1024):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    kinds = KINDS[1:] if radar else KINDS
    for k in range(count):
        kind = kinds[k % len(kinds)]
        path = out / f"procedural_{kind}-{seed}-{k}_{'slc' if radar else 'date-unknown'}.tif"
        if path.exists():
            continue
        if kind == "country":
            country(path, size, 1000 * seed + k)
        else:
            rng = np.random.default_rng([seed, k])
            write_tiff(path, speckle(paint(kind, rng, size), rng) if radar else sensor(paint(kind, rng, 2 * size), rng))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--radar", action="store_true")
    args = parser.parse_args()
    make(args.out, args.count, args.seed, args.radar)
