"""Arrows of a displacement map: points with components, drawn as a vector field."""

import math

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QVariant

from .. import inputs, qt, styles
from ..texts import tr
from .base import Algorithm

NAMES = ("East displacement", "North displacement", "East sigma", "North sigma")
FIELDS = ("east", "north", "length", "azimuth", "east_sigma", "north_sigma")
# Arrows along the longer side when the spacing is automatic.
ALONG = 36


class Vectors(Algorithm):
    identity = "vectors"
    title = "Arrows of a displacement map"
    about = ("Points with east, north, length, azimuth (degrees clockwise from north) and sigma, drawn as arrows. Each is the "
             "median of a block of cells, half of which must have a value; its sigma is the block's median sigma.")

    def createInstance(self):  # noqa: N802
        return Vectors()

    def tags(self):
        return ["displacement", "arrows", "vector field"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Displacement")))
        spacing = QgsProcessingParameterNumber("SPACING", tr("Cells between arrows (0: some forty arrows across)"), qt.INTEGER, 0, minValue=0)
        spacing.setHelp(tr("Side of the blocks of cells."))
        self.addParameter(spacing)
        least = QgsProcessingParameterNumber("LEAST", tr("Leave out what is shorter than this many sigma"), qt.DOUBLE, 0.0, minValue=0.0)
        least.setHelp(tr("0 keeps every arrow; needs the sigma bands of a displacement product."))
        self.addParameter(qt.advanced(least))
        self.addParameter(QgsProcessingParameterFeatureSink("OUTPUT", tr("Arrows"), qt.VECTOR_POINT))
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("Number of arrows")))

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        self.path, self.crs = inputs.raster_source(layer)[0], layer.crs()
        return True

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        data = gdal.Open(self.path)
        if data is None or data.RasterCount < 2:
            raise QgsProcessingException(tr("{0} needs two bands, east and north displacement.").format(self.path))
        bands, unit = self.bands(data)
        spacing = self.parameterAsInt(parameters, "SPACING", context)
        spacing = spacing or max(1, round(max(data.RasterXSize, data.RasterYSize) / ALONG))
        least = self.parameterAsDouble(parameters, "LEAST", context)
        if least > 0 and len(bands) < 4:
            raise QgsProcessingException(tr("{0} has no sigma bands: set the number of sigma to 0.").format(self.path))
        fields = QgsFields()
        for name in FIELDS:
            fields.append(QgsField(name, QVariant.Double))
        sink, output = self.parameterAsSink(parameters, "OUTPUT", context, fields, QgsWkbTypes.Point, self.crs)
        if sink is None:
            raise QgsProcessingException(self.invalidSinkError(parameters, "OUTPUT"))
        lengths = []
        for x, y, values in blocks(data, bands, spacing, feedback):
            east, north = values[:2]
            length = math.hypot(east, north)
            sigmas = list(values[2:]) + [None] * (4 - len(values))
            if least > 0 and length < least * math.hypot(*sigmas) / math.sqrt(2):
                continue
            feature = QgsFeature(fields)
            feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(x, y)))
            feature.setAttributes([east, north, length, math.degrees(math.atan2(east, north)) % 360, *sigmas])
            sink.addFeature(feature, QgsFeatureSink.FastInsert)
            lengths.append(length)
        del sink
        if not lengths:
            feedback.pushWarning(tr("No block has enough cells with a value: there are no arrows."))
        style = styles.Arrows(lengths, unit)
        if lengths:
            feedback.pushInfo(style.scale_text())
        styles.style_when_loaded(context, output, style, tr("Displacement arrows ({0})").format(unit))
        return {"OUTPUT": output, "COUNT": len(lengths)}

    @staticmethod
    def bands(data):
        """Bands by their description, otherwise 1 and 2; their unit."""
        described = {data.GetRasterBand(b).GetDescription(): b for b in range(1, data.RasterCount + 1)}
        bands = [described[n] for n in NAMES if n in described]
        if not {NAMES[0], NAMES[1]} <= set(described):
            bands = [1, 2]
        return bands, data.GetRasterBand(bands[0]).GetUnitType() or "m"


def blocks(data, bands, spacing, feedback):
    """Map position of each block's middle and the medians in it."""
    transform = data.GetGeoTransform()
    nodata = [data.GetRasterBand(b).GetNoDataValue() for b in bands]
    for row in range(0, data.RasterYSize, spacing):
        if feedback.isCanceled():
            raise QgsProcessingException(tr("Stopped; nothing was written."))
        feedback.setProgress(100 * row / data.RasterYSize)
        rows = min(spacing, data.RasterYSize - row)
        strips = [data.GetRasterBand(b).ReadAsArray(0, row, data.RasterXSize, rows).astype(float) for b in bands]
        for strip, none in zip(strips, nodata):
            if none is not None:
                strip[strip == none] = np.nan
        for column in range(0, data.RasterXSize, spacing):
            parts = [s[:, column:column + spacing] for s in strips]
            valid = np.isfinite(parts[0]) & np.isfinite(parts[1])
            if 2 * valid.sum() < valid.size:
                continue
            middle = (column + parts[0].shape[1] / 2, row + rows / 2)
            yield (*gdal.ApplyGeoTransform(transform, *middle), [float(np.median(p[valid])) for p in parts])
