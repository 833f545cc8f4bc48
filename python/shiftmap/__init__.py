"""Sub-pixel ground displacement between two images, with a standard deviation for every value.

    import shiftmap
    shiftmap.displacement("pre.tif", "post.tif", "map.tif", window=64, step=16)   # files, a georeferenced product
    field = shiftmap.displacement_array(pre, post, window=32)                      # numpy arrays, pixels
    field.east, field.north, field.east_sigma                                      # right, UP, standard deviation

Options are keyword arguments, named as on the command line (`min_valid=0.5` for `--min-valid 0.5`); `options(command)`
lists them. Numbers, texts, True/False, and tuples where an option takes several numbers. Other Python threads run during
a call. A function `progress(fraction, message)` stops the run by returning False.
"""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence, Union

import numpy as np

from . import _library as _c

__all__ = [
    "Cancelled",
    "Error",
    "Field",
    "build_info",
    "demo",
    "displacement",
    "displacement_array",
    "evaluate",
    "gdal_driver_path",
    "info",
    "library_path",
    "okada_surface",
    "options",
    "precision",
    "run",
    "synth",
    "tde_surface",
    "version",
]

Progress = Callable[[float, str], Optional[bool]]
Option = Union[str, int, float, bool, Sequence[Union[str, int, float]]]

_lib = _c.load()
_CANCELLED = 300
_TYPES = {"u1": 1, "i1": 2, "u2": 3, "i2": 4, "u4": 5, "i4": 6, "f4": 7, "f8": 8}


class Error(RuntimeError):
    """A call failed; `code` is one of the SHIFTMAP_ERR_ numbers of shiftmap.h."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Cancelled(Error):
    """The progress function stopped the run; nothing was written."""


@dataclass
class Field:
    """Displacement of every cell, each plane of shape (rows, columns); NaN where there is no value.

    The centre of cell [j, i] is at pixel (first[0] + i * step[0], first[1] + j * step[1]) of the pre image, x to the
    right and y down; the centre of the top-left pixel is (0, 0).
    """

    east: np.ndarray
    """Displacement to the right, pixels."""
    north: np.ndarray
    """Displacement UP, pixels: negative for what moved to larger rows."""
    quality: np.ndarray
    """0 to 1, how well the windows agree."""
    east_sigma: np.ndarray
    """Standard deviation of `east`, pixels."""
    north_sigma: np.ndarray
    """Standard deviation of `north`, pixels."""
    status: np.ndarray
    """0 where there is a value, otherwise why not: the codes of the product's band 6."""
    first: tuple[float, float]
    step: tuple[float, float]


def displacement(
    pre: str, post: str, out: str, *, progress: Optional[Progress] = None, **options: Option
) -> dict[str, Any]:
    """Measures two images (anything GDAL opens) and writes the product `out`; returns its summary."""
    return run("displacement", [pre, post, out], progress=progress, **options)


def displacement_array(
    pre: np.ndarray,
    post: np.ndarray,
    *,
    pre_mask: Optional[np.ndarray] = None,
    post_mask: Optional[np.ndarray] = None,
    progress: Optional[Progress] = None,
    **options: Option,
) -> Field:
    """Measures two arrays of shape (rows, columns): integers of up to 32 bits, float32 or float64, any strides.

    Masks are True where a pixel is valid; NaN is never valid; `nodata=0` leaves a value out.
    """
    images = [_image(pre, pre_mask, "pre"), _image(post, post_mask, "post")]
    with _Context(progress) as context:
        listed = _strings(_pairs(options))
        shape = _c.Field(struct_size=ctypes.sizeof(_c.Field))
        height, width = pre.shape
        context.check(_lib.shiftmap_field_shape(context.pointer, width, height, listed, ctypes.byref(shape)))
        planes = {name: np.empty((shape.height, shape.width), np.float32) for name in _c.PLANES}
        for name, plane in planes.items():
            setattr(shape, name, plane.ctypes.data)
        context.check(
            _lib.shiftmap_displacement_array(
                context.pointer, images[0][0], images[1][0], listed, ctypes.byref(shape), context.progress, None
            )
        )
    return Field(**planes, first=(shape.first_x, shape.first_y), step=(shape.step_x, shape.step_y))


def precision(
    pre: str, post: str, out: str, *, progress: Optional[Progress] = None, **options: Option
) -> dict[str, Any]:
    """What precision a pair can give, before any matching: writes `out` with east and north sigma."""
    return run("precision", [pre, post, out], progress=progress, **options)


def evaluate(estimate: str, truth: str, **options: Option) -> dict[str, Any]:
    """Errors of a displacement map against a known truth."""
    return run("evaluate", [estimate, truth], **options)


def synth(what: str, out: str, *, progress: Optional[Progress] = None, **options: Option) -> dict[str, Any]:
    """Makes test data with known displacement in the folder `out`; `what` is "pair", "dataset" or "insar"."""
    return run(f"synth {what}", [out], progress=progress, **options)


def demo(out: str, *, progress: Optional[Progress] = None, **options: Option) -> list[dict[str, Any]]:
    """Simulates an earthquake, measures it with several methods and draws the results into the folder `out`."""
    return run("demo", [out], progress=progress, **options)


def run(
    command: str,
    arguments: Sequence[Union[str, os.PathLike[str]]] = (),
    *,
    progress: Optional[Progress] = None,
    **options: Option,
) -> Any:
    """Runs any command of the command line and returns what `--json` prints."""
    with _Context(progress) as context:
        text = ctypes.c_void_p()
        code = _lib.shiftmap_run(
            context.pointer,
            command.encode(),
            _strings([os.fspath(a) for a in arguments]),
            _strings(_pairs(options)),
            ctypes.byref(text),
            context.progress,
            None,
        )
        context.check(code)
        return json.loads(_take(text))


def options(command: str = "displacement") -> list[dict[str, Any]]:
    """The options of a command: name, type, default, choices, help, ..."""
    with _Context(None) as context:
        text = ctypes.c_void_p()
        context.check(_lib.shiftmap_options_json(context.pointer, command.encode(), ctypes.byref(text)))
        return json.loads(_take(text))


def okada_surface(faults: Any, slip: Any, obs: Any, poisson: float = 0.25) -> np.ndarray:
    """Surface displacement (n, 3: east, north, up) at `obs` (n, 2) by rectangular faults, summed.

    `faults` (m, 7): x and y of the TOP edge's middle, top depth, strike, dip (degrees), length, width; `slip` (m, 3):
    left-lateral, reverse, opening. Lengths in metres.
    """
    return _dislocation(_lib.shiftmap_okada_surface, 7, faults, slip, obs, poisson)


def tde_surface(vertices: Any, slip: Any, obs: Any, poisson: float = 0.25) -> np.ndarray:
    """Surface displacement (n, 3: east, north, up) at `obs` (n, 2) by triangular elements, summed.

    `vertices` (m, 9) or (m, 3, 3): x, y, z (up, at most 0) of the corners; `slip` (m, 3): along strike, along dip,
    opening. Lengths in metres.
    """
    return _dislocation(_lib.shiftmap_tde_surface, 9, vertices, slip, obs, poisson)


def info() -> dict[str, Any]:
    """Versions of shiftmap and of the libraries it uses, and where they were found."""
    return run("info")


def version() -> str:
    """The version of the library."""
    return _lib.shiftmap_version().decode()


def build_info() -> str:
    """How the library was built and which GDAL it runs with."""
    return _lib.shiftmap_build_info().decode()


def gdal_driver_path() -> Optional[str]:
    """The folder for GDAL_DRIVER_PATH, where this package holds the GDAL driver."""
    return _c.gdal_driver_path()


def library_path() -> str:
    """The library's file."""
    return _c.find()


class _Context:
    """A context for one call, with the progress function and the exception it raised."""

    def __init__(self, progress: Optional[Progress]) -> None:
        self.pointer = ctypes.c_void_p(_lib.shiftmap_context_new())
        self.raised: Optional[BaseException] = None

        def forward(fraction: float, message: bytes, _: Any) -> int:
            # Exceptions must not cross C: they stop the run and are raised again afterwards.
            try:
                if self.raised is not None:
                    return 0
                return int(progress is None or progress(fraction, message.decode()) is not False)
            except BaseException as error:  # noqa: BLE001
                self.raised = error
                return 0

        # Also without a function of the user's, so that Ctrl-C is noticed.
        self.progress = _c.PROGRESS(forward)

    def __enter__(self) -> _Context:
        return self

    def __exit__(self, *_: object) -> None:
        _lib.shiftmap_context_free(self.pointer)

    def check(self, code: int) -> None:
        if self.raised is not None:
            raise self.raised
        if code != 0:
            text = _lib.shiftmap_last_error(self.pointer).decode()
            raise (Cancelled if code == _CANCELLED else Error)(code, text)


def _image(array: np.ndarray, mask: Optional[np.ndarray], name: str) -> tuple[_c.Image, Any]:
    """The array for C, and what has to stay alive with it."""
    array = np.asarray(array)
    kind = _TYPES.get(array.dtype.str[1:])
    if array.ndim != 2 or kind is None or not array.dtype.isnative:
        raise TypeError(f"{name}: shape {array.shape}, type {array.dtype}; two axes, integers or floats are needed")
    image = _c.Image(struct_size=ctypes.sizeof(_c.Image), data=array.ctypes.data, pixel_type=kind)
    (image.height, image.width), (image.row_stride, image.pixel_stride) = array.shape, array.strides
    if mask is not None:
        mask = np.ascontiguousarray(mask, dtype=np.uint8)
        if mask.shape != array.shape:
            raise ValueError(f"{name}_mask: shape {mask.shape}, the image has {array.shape}")
        image.mask = mask.ctypes.data
    return image, (array, mask)


def _dislocation(function: Any, columns: int, shapes: Any, slip: Any, obs: Any, poisson: float) -> np.ndarray:
    shapes = np.ascontiguousarray(shapes, np.float64).reshape(-1, columns)
    slip = np.ascontiguousarray(slip, np.float64).reshape(-1, 3)
    obs = np.ascontiguousarray(obs, np.float64).reshape(-1, 2)
    if len(shapes) != len(slip):
        raise ValueError(f"{len(shapes)} elements, but slip for {len(slip)}")
    out = np.empty((len(obs), 3))
    pointer = [a.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for a in (shapes, slip, obs, out)]
    with _Context(None) as context:
        context.check(
            function(context.pointer, len(shapes), pointer[0], pointer[1], poisson, len(obs), pointer[2], pointer[3])
        )
    return out


def _pairs(options: dict[str, Option]) -> list[str]:
    """`window=64, co=["A=1", "B=2"], region=(0, 0, 9, 9)` as KEY=VALUE."""
    out = []
    for name, value in options.items():
        key = name.upper()
        if isinstance(value, bool):
            out.append(f"{key}={'YES' if value else 'NO'}")
        elif isinstance(value, (str, int, float, np.generic)):
            out.append(f"{key}={value}")
        elif all(isinstance(v, str) for v in value):
            out.extend(f"{key}={v}" for v in value)
        else:
            out.append(f"{key}={' '.join(str(v) for v in value)}")
    return out


def _strings(texts: list[str]) -> Any:
    return (ctypes.c_char_p * (len(texts) + 1))(*(t.encode() for t in texts), None)


def _take(text: ctypes.c_void_p) -> str:
    try:
        return ctypes.string_at(text).decode()
    finally:
        _lib.shiftmap_free(text)
