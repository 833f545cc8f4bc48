"""Many pairs over a Dask cluster, each cut into regions that any worker measures by itself.

    import dask.distributed, shiftmap.dask
    client = dask.distributed.Client(scheduler_file="scheduler.json")
    maps = shiftmap.dask.displacement({"april": ("a.tif", "b.tif"), "may": ("b.tif", "c.tif")}, "maps", client,
                                      method="lsm", window=32, step=8)
    shiftmap.run("stack", [*maps, "cube.tif"], dates="auto")

Every worker needs shiftmap, GDAL's programs (`gdalinfo`, `gdal_translate`) and a file system that all of them see. A
region is a file of its own, complete or absent: what a lost worker left undone is measured by another one, and a call
that is repeated after any stop measures only what is missing. Each map has the values, to the bit, that one machine
would have written in one run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence, Union

import shiftmap

__all__ = ["displacement", "regions"]

# GDAL driver: (suffix, creation options)
_FORMATS = {
    "COG": (".tif", ["COMPRESS=DEFLATE", "PREDICTOR=YES"]),
    "GTiff": (".tif", ["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=3"]),
    "Zarr": (".zarr", []),
    "netCDF": (".nc", []),
}
# Side of the regions is a multiple of this, the tiles' side, so that no tile is measured twice.
_TILE = 512
# What is true of one region only.
_PARTIAL = {"REGION", "COMMAND"}

Region = tuple[int, int, int, int]


def displacement(
    pairs: Union[Mapping[str, Sequence[str]], Sequence[Sequence[str]]],
    folder: Union[str, Path],
    client: Any,
    *,
    side: int = 4096,
    format: str = "COG",
    progress: Optional[Callable[[float, str], Optional[bool]]] = None,
    retries: int = 3,
    **options: Any,
) -> list[Path]:
    """Measures every pair and returns the maps `folder/NAME.tif`, in the order of `pairs`.

    `pairs`: {name: (pre, post)}, or [(pre, post), ...], which are named after the files. `side` of the regions in pre
    pixels. `format`: COG, GTiff, Zarr or netCDF. `progress(fraction, message)` is called here, for work done anywhere;
    returning False stops all. A region that fails is tried `retries` times more. Other options as those of
    `shiftmap.displacement`; `threads` is 1 unless given, one for each task that a worker runs.

    Raises shiftmap.Error for what a pair or an option is wrong in, KilledWorker of `distributed` when workers keep
    dying; finished regions stay in `folder/.NAME.parts` until the map is written.
    """
    from distributed import as_completed

    if format not in _FORMATS:
        raise ValueError(f"format {format!r}: takes one of {', '.join(_FORMATS)}")
    if side < _TILE or side % _TILE:
        raise ValueError(f"side {side}: takes a multiple of {_TILE} pixels, the side of the tiles inside")
    for given in ("region", "overwrite", "format", "co"):
        if given in options:
            raise ValueError(f"option {given}: is set for each region here")
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    options = {"threads": 1, **options}
    named = _named(pairs)
    maps = [folder / (name + _FORMATS[format][0]) for name in named]

    waiting: dict[str, int] = {}
    futures, kind = [], {}
    done = total = 0
    for (name, (pre, post)), out in zip(named.items(), maps):
        if out.exists():
            continue
        parts = folder / f".{name}.parts"
        parts.mkdir(exist_ok=True)
        _same_run(parts / "run.json", dict(pre=pre, post=post, side=side, options=options))
        pieces = regions(_size(pre), side)
        waiting[name] = len(pieces)
        total += len(pieces) + 1
        for k, region in enumerate(pieces):
            future = client.submit(_measure, pre, post, str(parts / f"{k:06}.tif"), region, options, pure=False,
                                   retries=retries)
            futures.append(future)
            kind[future.key] = (name, len(pieces), str(parts), str(out))
    queue = as_completed(futures)
    try:
        for future in queue:
            future.result()
            name, count, parts, out = kind[future.key]
            done += 1
            waiting[name] -= 1
            if waiting[name] == 0:
                merge = client.submit(_merge, parts, count, out, format, pure=False, retries=retries)
                kind[merge.key] = (name, count, parts, out)
                futures.append(merge)
                queue.add(merge)
            if progress and progress(done / total, name) is False:
                raise shiftmap.Cancelled(300, "stopped by the progress function; finished regions are kept")
    except BaseException:
        client.cancel(futures)
        raise
    return maps


def regions(size: tuple[int, int], side: int) -> list[Region]:
    """Regions (XOFF, YOFF, XSIZE, YSIZE) that cover an image, rows first; a narrow rest belongs to its neighbour."""

    def cuts(n: int) -> list[int]:
        starts = list(range(0, n, side))
        if len(starts) > 1 and n - starts[-1] < side // 4:
            starts.pop()
        return [*starts, n]

    x, y = cuts(size[0]), cuts(size[1])
    return [(a, c, b - a, d - c) for c, d in zip(y, y[1:]) for a, b in zip(x, x[1:])]


def _named(pairs: Any) -> dict[str, tuple[str, str]]:
    if not isinstance(pairs, Mapping):
        named = {f"{Path(pre).stem}_{Path(post).stem}": (pre, post) for pre, post in pairs}
        if len(named) < len(pairs):
            raise ValueError("two pairs have images of the same names: give {name: (pre, post)}")
        pairs = named
    for name, pair in pairs.items():
        if not name or "/" in name or name.startswith("."):
            raise ValueError(f"name {name!r}: takes a file name without slashes that does not begin with a dot")
        if isinstance(pair, str) or len(pair) != 2:
            raise ValueError(f"pair {name!r}: takes (pre, post), has {pair!r}")
    return {name: (_place(pre), _place(post)) for name, (pre, post) in pairs.items()}


def _place(path: Any) -> str:
    """Workers may have another working directory."""
    path = os.fspath(path)
    return os.path.abspath(path) if os.path.exists(path) else path


def _same_run(path: Path, run: dict[str, Any]) -> None:
    """Refuses to complete what other options began."""
    text = json.dumps(run, sort_keys=True, default=str)
    if path.exists() and path.read_text() != text:
        raise ValueError(f"{path.parent}: holds regions of a run with other images or options; remove it to start anew")
    path.write_text(text)


def _program(*command: str) -> str:
    try:
        out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"{command[0]} is not installed on this worker (Debian: gdal-bin)") from None
    if out.returncode:
        raise RuntimeError(f"{' '.join(command)}: {out.stderr.strip()}")
    return out.stdout


def _size(path: str) -> tuple[int, int]:
    width, height = json.loads(_program("gdalinfo", "-json", path))["size"]
    return width, height


def _measure(pre: str, post: str, out: str, region: Region, options: dict[str, Any]) -> None:
    """One region, by a worker. The file appears under its name when it is complete."""
    if not os.path.exists(out):
        shiftmap.displacement(pre, post, out, region=region, overwrite=True, **options)


def _merge(parts: str, count: int, out: str, format: str) -> None:
    """The regions of a pair as one raster, written under another name and renamed."""
    if os.path.exists(out):
        return
    files = [Path(parts) / f"{k:06}.tif" for k in range(count)]
    virtual = Path(parts) / "map.vrt"
    _virtual(files, virtual)
    suffix, creation = _FORMATS[format]
    partial = f"{out[: -len(suffix)]}.{os.getpid()}.part{suffix}"
    flags = [f for option in creation for f in ("-co", option)]
    try:
        _program("gdal_translate", "-q", "-of", format, *flags, str(virtual), partial)
        os.replace(partial, out)
    finally:
        if os.path.isdir(partial):
            shutil.rmtree(partial, ignore_errors=True)
        elif os.path.exists(partial):
            os.remove(partial)
    shutil.rmtree(parts)


def _virtual(files: Sequence[Path], out: Path) -> None:
    """A virtual raster over the regions, with the names, units and metadata of the first one."""
    _program("gdalbuildvrt", "-q", "-overwrite", str(out), *map(str, files))
    first = json.loads(_program("gdalinfo", "-json", "-mdd", "SHIFTMAP", str(files[0])))
    tree = xml.parse(out)
    items = {k: v for k, v in first["metadata"].get("SHIFTMAP", {}).items() if k not in _PARTIAL}
    if items:
        # In the domain, and where formats keep only the default one.
        for domain, prefix in (("SHIFTMAP", ""), (None, "SHIFTMAP_")):
            group = xml.SubElement(tree.getroot(), "Metadata", {"domain": domain} if domain else {})
            for key, value in items.items():
                xml.SubElement(group, "MDI", key=prefix + key).text = value
    for band, facts in zip(tree.getroot().findall("VRTRasterBand"), first["bands"]):
        described = [("Description", facts.get("description")), ("UnitType", facts.get("unit"))]
        for tag, text in described:
            if text and band.find(tag) is None:
                xml.SubElement(band, tag).text = text
        codes = facts.get("metadata", {}).get("", {})
        if codes:
            group = xml.SubElement(band, "Metadata")
            for key, value in codes.items():
                xml.SubElement(group, "MDI", key=key).text = value
    tree.write(out)
