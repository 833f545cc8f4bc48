#!/usr/bin/env python3
"""Speed of the triangular dislocations beside cutde (its C++ back end), one thread each, in one run; prints Markdown.

    python3 -m venv .bench/dislocations && .bench/dislocations/bin/pip install cutde==26.3.6
    .bench/dislocations/bin/python benches/peers/dislocations.py

The same 500 separate triangles and 4096 surface points for both: `cargo bench --bench dislocations` writes them and
measures shiftmap. Both alternate, the best round of each counts.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ.setdefault("CUTDE_USE_BACKEND", "cpp")

import ast
import pathlib
import re
import subprocess
import tempfile
import time

import numpy as np
from cutde import halfspace

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = 3


def shiftmap(path):
    command = ["cargo", "bench", "--quiet", "--bench", "dislocations", "--", str(path)]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rates = re.findall(r"(triangles \w+|rectangles)\s+([\d.]+)", out)
    return {name: float(rate) for name, rate in rates}


def cutde(path):
    rows = [ast.literal_eval(line) for line in path.read_text().splitlines()]
    triangles = np.array([r for r in rows if len(r) == 9]).reshape(-1, 3, 3)
    points = np.array([[*r, 0.0] for r in rows if len(r) == 2])
    slip = np.tile([1.0, 0.5, 0.2], (len(triangles), 1))
    start = time.perf_counter()
    halfspace.disp_free(points, triangles, slip, 0.25)
    return len(triangles) * len(points) / (time.perf_counter() - start) / 1e6


with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "geometry.txt"
    ours, peer = {}, 0.0
    for _ in range(ROUNDS):
        for name, rate in shiftmap(path).items():
            ours[name] = max(rate, ours.get(name, 0.0))
        peer = max(peer, cutde(path))

print("| | million pairs/s, one thread | ratio to cutde |")
print("|---|---|---|")
print(f"| cutde, C++ | {peer:.2f} | 1 |")
for name, rate in ours.items():
    print(f"| shiftmap, {name} | {rate:.2f} | {rate / peer:.1f} |")
