"""Eight threads with handles of their own read the same raster: equal arrays, every tile computed once."""
import os
import threading

import numpy as np
from osgeo import gdal

gdal.UseExceptions()
PAIR = "SHIFTMAP:pre.tif,post.tif"


def usage(dataset):
    return {k: int(v) for k, v in dataset.GetMetadata("SHIFTMAP_CACHE").items()}


results, errors = {}, []


def read(number):
    try:
        dataset = gdal.OpenEx(PAIR, open_options=["STEP=4"])
        if number % 2:
            results[number] = dataset.ReadAsArray()
        else:
            bands = [dataset.GetRasterBand(b) for b in (6, 5, 4, 3, 2, 1)]
            results[number] = np.stack([b.ReadAsArray() for b in bands][::-1])
    except Exception as error:
        errors.append(error)


threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not errors, errors
first = results[0].tobytes()
assert all(results[i].tobytes() == first for i in range(8)), "arrays differ"

# 175 x 150 cells in tiles of 128 x 128.
dataset = gdal.OpenEx(PAIR, open_options=["STEP=4"])
assert usage(dataset)["TILES_COMPUTED"] == 4, usage(dataset)
assert dataset.GetMetadata("SHIFTMAP")["METHOD"] == "lsm"
assert "INTERPOLATION" in dataset.GetMetadata("SHIFTMAP"), "facts come with the first block"

# A changed input is another raster.
other = gdal.Open("post.tif", gdal.GA_Update)
array = other.ReadAsArray()
other.WriteArray(np.roll(array, 1, axis=1))
other = None
changed = gdal.OpenEx(PAIR, open_options=["STEP=4"])
assert usage(changed)["TILES_COMPUTED"] == 0, usage(changed)
assert changed.ReadAsArray().tobytes() != first

# After a fork the child reads with files of its own.
child = os.fork()
if child == 0:
    try:
        good = gdal.OpenEx(PAIR, open_options=["STEP=20"]).ReadAsArray().shape == (6, 30, 35)
        os._exit(0 if good else 1)
    except BaseException as error:
        print(error)
        os._exit(2)
assert os.waitpid(child, 0)[1] == 0

# Updating is refused, and a failed read is an exception with our words.
for action, words in [
    (lambda: gdal.Open(PAIR, gdal.GA_Update), "cannot be changed"),
    (lambda: gdal.Open("SHIFTMAP:pre.tif,none.tif"), "cannot open none.tif"),
]:
    try:
        assert action() is None
    except RuntimeError as error:
        assert words in str(error), error
    else:
        raise AssertionError(words)
print("8 threads, 4 tiles, equal arrays")
