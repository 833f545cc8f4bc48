"""The shared library: where it is, and its functions for ctypes."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from ctypes import POINTER, c_char_p, c_double, c_int, c_size_t, c_ssize_t, c_void_p
from pathlib import Path

PROGRESS = ctypes.CFUNCTYPE(c_int, c_double, c_char_p, c_void_p)
LOG = ctypes.CFUNCTYPE(None, c_int, c_char_p, c_void_p)


class Image(ctypes.Structure):
    """shiftmap_image"""

    _fields_ = [
        ("struct_size", c_size_t),
        ("data", c_void_p),
        ("pixel_type", c_int),
        ("has_nodata", c_int),
        ("width", c_size_t),
        ("height", c_size_t),
        ("pixel_stride", c_ssize_t),
        ("row_stride", c_ssize_t),
        ("mask", c_void_p),
        ("mask_row_stride", c_ssize_t),
        ("nodata", c_double),
    ]


PLANES = ("east", "north", "quality", "east_sigma", "north_sigma", "status")


class Field(ctypes.Structure):
    """shiftmap_field"""

    _fields_ = [
        ("struct_size", c_size_t),
        ("width", c_size_t),
        ("height", c_size_t),
        ("row_stride", c_size_t),
        ("first_x", c_double),
        ("first_y", c_double),
        ("step_x", c_double),
        ("step_y", c_double),
        *((name, c_void_p) for name in PLANES),
        ("owned", c_void_p),
    ]


def find() -> str:
    """The library's file: SHIFTMAP_LIBRARY, the one beside this module, the system's."""
    chosen = os.environ.get("SHIFTMAP_LIBRARY")
    if chosen:
        return chosen
    beside = Path(__file__).parent / "_files" / "libshiftmap.so"
    if beside.exists():
        return str(beside)
    found = ctypes.util.find_library("shiftmap")
    if found:
        return found
    raise ImportError(f"libshiftmap was not found: not in SHIFTMAP_LIBRARY, {beside} or the system's library folders")


def gdal_driver_path() -> str | None:
    folder = Path(__file__).parent / "_files" / "gdalplugins"
    return str(folder) if folder.is_dir() else None


def load() -> ctypes.CDLL:
    """Loads the library. Its calls let other Python threads run."""
    path = find()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"{path} cannot be loaded: {error}. It needs GDAL (Debian, Ubuntu: libgdal-dev)") from error
    strings = POINTER(c_char_p)
    doubles = POINTER(c_double)
    callback = [PROGRESS, c_void_p]
    dislocation = [c_void_p, c_size_t, doubles, doubles, c_double, c_size_t, doubles, doubles]
    for name, result, arguments in [
        ("context_new", c_void_p, []),
        ("context_free", None, [c_void_p]),
        ("last_error", c_char_p, [c_void_p]),
        ("set_log", c_int, [c_void_p, LOG, c_void_p]),
        ("free", None, [c_void_p]),
        ("displacement_array", c_int, [c_void_p, POINTER(Image), POINTER(Image), strings, POINTER(Field), *callback]),
        ("field_shape", c_int, [c_void_p, c_size_t, c_size_t, strings, POINTER(Field)]),
        ("run", c_int, [c_void_p, c_char_p, strings, strings, POINTER(c_void_p), *callback]),
        ("options_json", c_int, [c_void_p, c_char_p, POINTER(c_void_p)]),
        ("okada_surface", c_int, dislocation),
        ("tde_surface", c_int, dislocation),
        ("version", c_char_p, []),
        ("build_info", c_char_p, []),
    ]:
        function = getattr(library, "shiftmap_" + name)
        function.restype, function.argtypes = result, arguments
    return library
