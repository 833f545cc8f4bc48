"""Displacement between two numpy arrays and between two files.

    pip install dist/shiftmap-*.whl        (make wheel)
    python displacement.py FOLDER
"""

import sys

import numpy as np

import shiftmap

folder = sys.argv[1] if len(sys.argv) > 1 else "."

# A texture, and the same texture moved by 3 pixels to the right and 2 down; rows run downwards.
rng = np.random.default_rng(1)
scene = rng.normal(size=(300, 300)) + np.kron(rng.normal(size=(75, 75)), np.ones((4, 4)))
pre, post = scene[20:276, 20:276], scene[18:274, 17:273]
field = shiftmap.displacement_array(pre, post, window=32, step=16)
print(f"arrays: right {np.nanmedian(field.east):+.3f}, up {np.nanmedian(field.north):+.3f} pixels")

# A simulated earthquake in files, with progress.
shiftmap.synth("pair", f"{folder}/quake", size=256, preset="low", overwrite=True)
done = []
summary = shiftmap.displacement(
    f"{folder}/quake/pre.tif",
    f"{folder}/quake/post.tif",
    f"{folder}/map.tif",
    progress=lambda fraction, message: done.append(fraction),
    step=16,
    overwrite=True,
)
errors = shiftmap.evaluate(f"{folder}/map.tif", f"{folder}/quake/truth.tif")
print(f"files: {summary['cells']} cells, {len(done)} reports, mean error east {errors['errors']['east']['mae']:.3f} px")

# A strike-slip fault of 10 km, 1 m of left-lateral slip, seen 1 km away from it.
moved = shiftmap.okada_surface([[0, 0, 0, 0, 90, 10e3, 5e3]], [[1, 0, 0]], [[1000, 0], [-1000, 0]])
print(f"fault: north {moved[0, 1]:+.3f} m east of it, {moved[1, 1]:+.3f} m west of it")

try:
    shiftmap.displacement_array(pre, post, windw=32)
except shiftmap.Error as error:
    print(f"error {error.code}: {error}")
