"""The Python module: arrays of every kind, masks, progress, exceptions, threads."""

import threading
import time

import numpy as np

import shiftmap

rng = np.random.default_rng(3)
scene = (1000 + 200 * rng.normal(size=(200, 220))).clip(0, 4000)
pre, post = scene[10:170, 10:190], scene[10:170, 9:189]
small = dict(window=16, step=16, threads=1)


def same(a, b):
    return all(np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True) for n in ("east", "north", "east_sigma", "status"))


want = shiftmap.displacement_array(pre.round(), post.round(), **small)
assert want.east.shape == (10, 11) and want.first == (7.5, 7.5) and want.step == (16.0, 16.0)
assert abs(np.nanmedian(want.east) - 1) < 0.01 and abs(np.nanmedian(want.north)) < 0.01
for kind in (np.uint16, np.int16, np.int32, np.uint32, np.float32):
    a, b = pre.round().astype(kind), post.round().astype(kind)
    assert same(shiftmap.displacement_array(a, b, **small), want), kind
assert same(shiftmap.displacement_array(np.asfortranarray(pre.round()), post.round(), **small), want)
assert same(shiftmap.displacement_array(pre.round()[::-1][::-1], post.round(), **small), want)

mask = np.ones(pre.shape, bool)
mask[:, :90] = False
masked = shiftmap.displacement_array(pre, post, pre_mask=mask, **small)
holes = shiftmap.displacement_array(np.where(mask, pre, np.nan), post, **small)
assert same(masked, holes) and np.isnan(masked.east[:, :4]).all() and masked.status[0, 0] == 1

for call, kind in [
    (lambda: shiftmap.displacement_array(pre[0], post, **small), TypeError),
    (lambda: shiftmap.displacement_array(pre.astype(complex), post, **small), TypeError),
    (lambda: shiftmap.displacement_array(pre, post, pre_mask=mask[1:], **small), ValueError),
    (lambda: shiftmap.displacement("/nope", "b", "c"), shiftmap.Error),
    (lambda: shiftmap.displacement_array(pre, post, progress=lambda f, m: False, **small), shiftmap.Cancelled),
    (lambda: shiftmap.displacement_array(pre, post, progress=lambda f, m: 1 / 0, **small), ZeroDivisionError),
]:
    try:
        call()
    except kind:
        continue
    raise AssertionError(f"no {kind}")

# Other threads run during a call.
ticks = []


def tick():
    while not done:
        ticks.append(time.monotonic())
        time.sleep(0.005)


done = False
thread = threading.Thread(target=tick)
thread.start()
start = time.monotonic()
shiftmap.displacement_array(np.tile(pre, (4, 4)), np.tile(post, (4, 4)), window=64, step=8, threads=1)
end = time.monotonic()
done = True
thread.join()
during = sum(start < t < end for t in ticks)
assert during > 0.2 * (end - start) / 0.005, (during, end - start)

names = [o["name"] for o in shiftmap.options("displacement")]
assert "WINDOW" in names and "QUIET" not in names
assert shiftmap.info()["version"] == shiftmap.version()
assert "GDAL" in shiftmap.build_info() and shiftmap.library_path()
moved = shiftmap.tde_surface([[0, 0, -1e3, 4e3, 0, -5e3, 0, 3e3, -4e3]], [[1, 0, 0]], [[500, 800], [1, 2]])
assert moved.shape == (2, 3) and abs(moved).max() > 1e-3
