"""The library's front end from Python: `features(pre, post)` through the C interface (ctypes, no GIL during the call)."""

import ctypes
import os
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
CHANNELS = 48
LOG_SIGMA = (-6.907755, 2.302585)
F32 = 7


class _Image(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("pixel_type", ctypes.c_int),
        ("has_nodata", ctypes.c_int),
        ("width", ctypes.c_size_t),
        ("height", ctypes.c_size_t),
        ("pixel_stride", ctypes.c_ssize_t),
        ("row_stride", ctypes.c_ssize_t),
        ("mask", ctypes.c_void_p),
        ("mask_row_stride", ctypes.c_ssize_t),
        ("nodata", ctypes.c_double),
    ]


def library() -> Path:
    """The shared library: $SHIFTMAP_LIBRARY or the one that `make build` leaves in the checkout."""
    return Path(os.environ.get("SHIFTMAP_LIBRARY", ROOT / "target/release/libshiftmap.so"))


def program() -> Path:
    """The program beside it."""
    return Path(os.environ.get("SHIFTMAP_PROGRAM", ROOT / "target/release/shiftmap"))


class Native:
    """A context of the library; use one per thread."""

    def __init__(self):
        self.lib = ctypes.CDLL(str(library()))
        self.built = library().stat().st_mtime
        self.lib.shiftmap_context_new.restype = ctypes.c_void_p
        self.lib.shiftmap_last_error.restype = ctypes.c_char_p
        self.lib.shiftmap_last_error.argtypes = [ctypes.c_void_p]
        self.lib.shiftmap_field_free.argtypes = [ctypes.c_void_p]
        self.lib.shiftmap_features.argtypes = [ctypes.c_void_p] * 6 + [ctypes.c_size_t]
        self.context = self.lib.shiftmap_context_new()

    def features(self, pre, post, valid_pre=None, valid_post=None, start=None, search=6, front_end="dense-1",
                 interpolation="auto") -> np.ndarray:
        """[48, H, W] float32 of two images [H, W]; `valid_*` bool, `start` [2, H, W] in pixels on the pre grid. Without it
        they are about what the front end finds.

        The channels are listed in src/net/features.rs.
        """
        kept = []

        def image(values, valid):
            values = np.ascontiguousarray(values, np.float32)
            kept.append(values)
            mask = None
            if valid is not None:
                mask = np.ascontiguousarray(valid, np.uint8)
                kept.append(mask)
            h, w = values.shape
            return _Image(ctypes.sizeof(_Image), values.ctypes.data, F32, 0, w, h, 0, 0,
                          mask.ctypes.data if mask is not None else None, 0, 0.0)

        a, b = image(pre, valid_pre), image(post, valid_post)
        out = np.empty((CHANNELS, a.height, a.width), np.float32)
        if start is not None:
            start = np.ascontiguousarray(start, np.float32)
            assert start.shape == (2, a.height, a.width), start.shape
        words = f"SEARCH={search}", f"FRONT_END={front_end}", f"INTERPOLATION={interpolation}"
        options = (ctypes.c_char_p * 4)(*(w.encode() for w in words), None)
        code = self.lib.shiftmap_features(
            self.context, ctypes.byref(a), ctypes.byref(b), start.ctypes.data if start is not None else None,
            options, out.ctypes.data, out.size)
        if code != 0:
            raise RuntimeError(f"shiftmap_features: {self.lib.shiftmap_last_error(self.context).decode()}")
        return out


class _Field(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("width", ctypes.c_size_t),
        ("height", ctypes.c_size_t),
        ("row_stride", ctypes.c_size_t),
        ("first_x", ctypes.c_double),
        ("first_y", ctypes.c_double),
        ("step_x", ctypes.c_double),
        ("step_y", ctypes.c_double),
        *[(n, ctypes.POINTER(ctypes.c_float)) for n in
          ("east", "north", "quality", "east_sigma", "north_sigma", "status")],
        ("owned", ctypes.c_void_p),
    ]


def displacement(native, pre, post, valid_pre, valid_post, options):
    """`shiftmap displacement` on arrays: dx, dy, sigma x, sigma y (right, down; pixels; NaN where nothing was measured)
    on cells, and the pixel positions of the columns and rows of cells. `options`: {"METHOD": "lsm", ...}."""
    kept = [np.ascontiguousarray(v, t) for v, t in
            ((pre, np.float32), (post, np.float32), (valid_pre, np.uint8), (valid_post, np.uint8))]
    images = [_Image(ctypes.sizeof(_Image), a.ctypes.data, F32, 0, a.shape[1], a.shape[0], 0, 0, m.ctypes.data, 0, 0.0)
              for a, m in ((kept[0], kept[2]), (kept[1], kept[3]))]
    field = _Field(struct_size=ctypes.sizeof(_Field))
    words = [f"{k}={v}".encode() for k, v in options.items()]
    array = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    call = native.lib.shiftmap_displacement_array
    call.argtypes = [ctypes.c_void_p] * 7
    code = call(native.context, ctypes.byref(images[0]), ctypes.byref(images[1]), array, ctypes.byref(field), None, None)
    if code != 0:
        raise RuntimeError(f"{options}: {native.lib.shiftmap_last_error(native.context).decode()}")
    planes = [np.ctypeslib.as_array(getattr(field, n), (field.height, field.width)).copy()
              for n in ("east", "north", "east_sigma", "north_sigma")]
    planes[1] *= -1
    x = field.first_x + field.step_x * np.arange(field.width)
    y = field.first_y + field.step_y * np.arange(field.height)
    native.lib.shiftmap_field_free(ctypes.byref(field))
    return planes, x, y
