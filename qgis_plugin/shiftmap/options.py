"""Options of the library as QGIS parameters and back: texts, types, choices and defaults are the library's own."""

import re

from qgis.core import (
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorLayer,
)

from . import qt
from .texts import tr

# Options whose value is a file.
RASTERS = {"PRIOR", "IMAGE", "POST", "DEM", "LIKE"}
# Rasters or polygons.
PLACES = {"STABLE", "MASK", "MOVING"}
# Files that are no layers.
MODELS = {"USE", "SUBTRACT"}
VECTORS = {"CUT": qt.LINE_OR_POLYGON, "TRACE": [qt.VECTOR_LINE], "FAULTS": [qt.VECTOR]}
# Options that are not asked: QGIS has asked already, or they are for a terminal.
UNASKED = {"METHOD", "OVERWRITE", "OF", "OO", "SPLIT_LINES"}
# Better labels than the name alone.
LABELS = {
    "WINDOW": "Window (pixels)",
    "STEP": "Step: cell size of the result (pixels)",
    "SEARCH": "Search: largest displacement (pixels, metres as in 40m, or auto)",
    "PREFILTER": "Filter of the images",
    "INTERPOLATION": "Values between the pixels",
    "TAPER": "Weights in a window",
    "SHAPE": "Motion in a window",
    "BILATERAL": "Second pass where motion changes within a window",
    "PRIOR": "Displacement known before (raster)",
    "CUT": "Lines that windows do not cross (fault trace, outlines)",
    "SPLIT": "Look for unknown faults inside windows",
    "OUTLIERS": "Values that neighbours do not share",
    "BACKWARD": "Check backwards: largest difference (pixels)",
    "STABLE": "Ground that has not moved (raster or polygons), calibrates sigma",
    "MASK": "Leave out: clouds, water (raster or polygons)",
    "SMOOTHNESS": "Smoothness (pixels)",
    "LENGTH": "Reach of the swaths to each side (map units)",
    "WIDTH": "Width of a swath along the fault (map units)",
    "SPACING": "Distance between swaths (map units)",
    "MIN_VALID": "Least share of valid pixels in a window",
    "QUALITY": "Quality band",
    "PEAK_SIGMA": "Origin of sigma",
    "COMPLEX": "What is compared of complex images",
    "STACK_PAIR": "Further pairs of the same motion (PRE,POST|PRE,POST)",
    "BAND": "Band",
    "POST_BAND": "Band of the second image, where it differs",
    "NODATA": "No-data value (number, none or auto)",
    "REGION": "Only in this extent",
    "RESAMPLE": "Warp the second image onto the grid of the first",
    "UNITS": "Unit",
    "CO": "Creation options (KEY=VALUE|KEY=VALUE)",
    "SEED": "Seed",
    "THREADS": "Threads",
    "VERBOSE": "Tell what was decided on the pair",
    "TRACE": "Fault trace",
    "ALIGN": "Take out the offsets between the maps",
    "CORRELATION": "Share of the error variance that maps have in common",
    "DATES": "Dates of a time series: auto, or a table with the columns map, start, end",
    "FAULTS": "Faults: lines or a table of triangles",
    "IMAGE": "Displace this image (empty: a procedural one)",
    "POST": "Image of another date to be displaced instead",
    "SNR": "Signal to noise ratio (dB)",
    "DX": "Shift to the right (pixels)",
    "DY": "Shift downwards (pixels)",
    "AT": "Where to compare",
    "SENSOR": "What took the images",
    "NET_PASSES": "Passes of the network",
    "NET_AVERAGE": "Average four shifted runs",
    "NET_TILE": "Side of the pieces (pixels)",
    "DEVICE": "Where the network runs (cpu, cuda, ...)",
    "ONNXRUNTIME": "Library of ONNX Runtime, or its folder",
}


def is_file(name):
    """Whether the value of an option is a layer."""
    return name in RASTERS or name in PLACES or name in VECTORS


def label(name):
    return tr(LABELS[name]) if name in LABELS else tr(name.replace("_", " ").capitalize())


# As in "(method lsm)".
METHODS = re.compile(r" *\((?:method|methods|only|only with) ([a-z, ]+)\)")
# What the program says for a terminal, said for a dialog.
HELP = {
    "REGION": "Only this part of the first image is used: draw it, or take a layer's extent. The values are those of the whole run.",
    "CUT": "Lines that no window may reach across: a fault trace, the outline of a glacier. Unsaved edits and filters count.",
    "STABLE": "Scale sigma by what ground that has not moved shows: polygons around it, or a raster that is not zero there.",
    "MASK": "Leave out these pixels of both images (clouds, water): polygons around them, or a raster that is not zero there.",
    "BACKWARD": "Measure from the second image to the first as well and reject cells where the two differ by more than this, "
    "e.g. 0.5 (status 6). Empty: not done.",
    "STACK_PAIR": "Other pairs of images of the same motion, on the grids of the first and second image: correlations are added before "
    "the displacement is read off. Two paths separated by a comma, pairs separated by |.",
    "CO": "Creation options of the raster format, e.g. COMPRESS=ZSTD|BIGTIFF=YES.",
}


def help_text(option):
    """The program's help without its dashes, then what each choice means."""
    text = tr(HELP[option["name"]]) if option["name"] in HELP and "label" not in option else option["help"]
    text = re.sub(r"--([a-z][a-z-]*)", lambda m: m.group(1).upper().replace("-", "_"), text)
    text = METHODS.sub("", text).replace("PRE image", "first image").replace("POST image", "second image")
    choices = [f"{c['value']}: {c['help']}" for c in option["choices"] if c["help"]]
    return ". ".join([text.rstrip("."), *choices]) + "."


def meant_for(option, method):
    """Whether an option or a choice whose help names methods is for this one."""
    named = METHODS.search(option["help"])
    return named is None or method in re.findall(r"[a-z]+", named.group(1))


def for_method(option, method):
    """The option with the choices that this method has; None where nothing can be chosen."""
    if not meant_for(option, method):
        # "or several (method lsm)": the others take one.
        return dict(option, repeat=False) if option["name"] == "BAND" else None
    choices = [c for c in option["choices"] if meant_for(c, method)]
    return None if option["choices"] and len(choices) < 2 else dict(option, choices=choices)


def parameter(option, image=None, visible=False, methods=None, required=False):
    """The QGIS parameter of an option; `image` is the name of the raster parameter that bands and extents refer to."""
    name, kind, default = option["name"], option["type"], option["default"]
    text, optional = tr(option["label"]) if "label" in option else label(name), not required
    if name == "REGION":
        made = QgsProcessingParameterExtent("EXTENT", text, optional=True)
    elif name == "BAND":
        made = QgsProcessingParameterBand(name, text, 1, image, True, allowMultiple=option["repeat"])
    elif name in RASTERS:
        made = QgsProcessingParameterRasterLayer(name, text, optional=optional)
    elif name in PLACES:
        made = QgsProcessingParameterMapLayer(name, text, optional=optional, types=qt.RASTER_OR_POLYGON)
    elif name in VECTORS:
        made = QgsProcessingParameterVectorLayer(name, text, VECTORS[name], optional=optional)
    elif name in MODELS:
        made = QgsProcessingParameterFile(name, text, extension="json", optional=True)
    elif kind == "boolean":
        made = QgsProcessingParameterBoolean(name, text, default == "YES")
    elif kind == "choice":
        values = [c["value"] for c in option["choices"]]
        made = QgsProcessingParameterEnum(name, text, values, False, default, default is None, usesStaticStrings=True)
    elif kind in ("int", "float") and not option["repeat"]:
        number = None if default is None else float(default)
        made = QgsProcessingParameterNumber(name, text, qt.INTEGER if kind == "int" else qt.DOUBLE, number, default is None)
    else:
        made = QgsProcessingParameterString("OPTIONS" if name == "CO" else name, text, default, False, default is None)
    if hasattr(made, "setHelp"):
        made.setHelp(help_text(option))
    return made if visible else qt.advanced(made)


def is_default(option, value):
    """Whether a value is the one that the option has anyway."""
    default = option["default"]
    if default is None or option["repeat"]:
        return False
    if isinstance(value, bool):
        return value == (default == "YES")
    if isinstance(value, (int, float)):
        return float(default) == value
    return str(value) == default


def written(name, value):
    """A value of a plain parameter as KEY=VALUE strings; none for what was left empty."""
    if value is None or value == "" or value == []:
        return []
    if name in ("CO", "STACK_PAIR"):
        return [f"{name}={part.strip()}" for part in str(value).split("|") if part.strip()]
    if isinstance(value, bool):
        return [f"{name}=YES"] if value else []
    if isinstance(value, (list, tuple)):
        return [f"{name}={','.join(str(v) for v in value)}"]
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return [f"{name}={value}"]
