"""What the library can open of a QGIS layer, and where a drawn extent lies on an image."""

import math

from osgeo import gdal
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsProcessingException,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsVectorFileWriter,
)

from .texts import tr


def raster_source(layer):
    """(what GDAL opens, its open options)"""
    if layer is None or not layer.isValid():
        raise QgsProcessingException(tr("A raster layer is missing or cannot be read."))
    if layer.providerType() != "gdal":
        text = tr("The layer {0} comes from the provider {1}, not from a file that GDAL opens. Export it to a GeoTIFF first "
                  "(Export > Save As).")
        raise QgsProcessingException(text.format(layer.name(), layer.providerType()))
    path, *options = layer.source().split("|option:")
    return path, options


def vector_source(layer, feedback):
    """FILE:LAYER; edits, filters, memory layers and other providers are written to a temporary GeoPackage as shown."""
    if layer is None or not layer.isValid():
        raise QgsProcessingException(tr("A vector layer is missing or cannot be read."))
    plain = layer.providerType() == "ogr" and not layer.isModified() and not layer.subsetString()
    if plain:
        path, *rest = layer.source().split("|")
        names = [part[len("layername="):] for part in rest if part.startswith("layername=")]
        if all(part.startswith("layername=") for part in rest):
            return f"{path}:{names[0]}" if names else path
    file = QgsProcessingUtils.generateTempFilename("layer.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", "layer"
    write = getattr(QgsVectorFileWriter, "writeAsVectorFormatV3", None) or QgsVectorFileWriter.writeAsVectorFormatV2
    code, message, *_ = write(layer, file, QgsCoordinateTransformContext(), options)
    if code != 0:
        raise QgsProcessingException(tr("The layer {0} could not be written for the library: {1}").format(layer.name(), message))
    feedback.pushInfo(tr("The layer {0} was written to {1} as it is shown now.").format(layer.name(), file))
    return file


def place_source(layer, feedback):
    """A raster or polygon layer."""
    return raster_source(layer)[0] if isinstance(layer, QgsRasterLayer) else vector_source(layer, feedback)


def region(path, extent):
    """XOFF YOFF XSIZE YSIZE of the pixels that a rectangle in the image's coordinate system touches."""
    data = gdal.Open(path)
    if data is None:
        raise QgsProcessingException(tr("{0} cannot be opened.").format(path))
    inverse = gdal.InvGeoTransform(data.GetGeoTransform())
    corners = [(x, y) for x in (extent.xMinimum(), extent.xMaximum()) for y in (extent.yMinimum(), extent.yMaximum())]
    if extent.isEmpty() or inverse is None:
        raise QgsProcessingException(tr("The extent is empty: draw a rectangle on the first image."))
    pixels = [gdal.ApplyGeoTransform(inverse, x, y) for x, y in corners]
    sides = []
    for axis, size in ((0, data.RasterXSize), (1, data.RasterYSize)):
        low = max(0, math.floor(min(p[axis] for p in pixels) + 1e-6))
        high = min(size, math.ceil(max(p[axis] for p in pixels) - 1e-6))
        if high <= low:
            text = tr("The extent {0} lies outside of the image {1}: draw one on the first image.")
            raise QgsProcessingException(text.format(extent.toString(1), path))
        sides.append((low, high - low))
    (x, width), (y, height) = sides
    return f"{x} {y} {width} {height}"
