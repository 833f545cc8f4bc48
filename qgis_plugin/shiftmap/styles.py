"""How results look when QGIS loads them: diverging and symmetric for components, arrows for vectors."""

import math

import numpy as np
from osgeo import gdal
from qgis.core import (
    QgsArrowSymbolLayer,
    QgsColorRampShader,
    QgsFillSymbol,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsGraduatedSymbolRenderer,
    QgsLineSymbol,
    QgsMarkerSymbol,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsProperty,
    QgsRasterShader,
    QgsRendererRange,
    QgsSimpleMarkerSymbolLayer,
    QgsSingleBandPseudoColorRenderer,
    QgsSymbolLayer,
    QgsUnitTypes,
    QgsVectorFieldSymbolLayer,
)
from qgis.PyQt.QtGui import QColor

from .texts import tr

try:
    from qgis.core import QgsColorRampLegendNodeSettings
except ImportError:
    QgsColorRampLegendNodeSettings = None

try:
    from qgis.core import Qgis

    MILLIMETERS = Qgis.RenderUnit.Millimeters
except AttributeError:  # before QGIS 3.30
    MILLIMETERS = QgsUnitTypes.RenderMillimeters


def _property(name):
    """QgsSymbolLayer.PropertySize, since QGIS 3.36 QgsSymbolLayer.Property.Size."""
    old = f"Property{name}"
    return getattr(QgsSymbolLayer, old) if hasattr(QgsSymbolLayer, old) else getattr(QgsSymbolLayer.Property, name)


_ARROW = {"ArrowWidth": 0.4, "ArrowStartWidth": 0.4, "ArrowHeadLength": 1.5, "ArrowHeadThickness": 0.9}


# Perceptually even: blue is negative, red positive, almost white is zero.
DIVERGING = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"]
SEQUENTIAL = ["#fcfdbf", "#fec488", "#fb8861", "#e75263", "#b73779", "#812581", "#4f127b", "#1d1147"]
# Share of the cells that the limits of a style contain.
WITHIN = 98.0

# Post-processors that QGIS will call: it keeps no reference to them.
_waiting = {}


class _Styler(QgsProcessingLayerPostProcessorInterface):
    def __init__(self, style, name):
        super().__init__()
        self.style, self.layer_name = style, name

    def postProcessLayer(self, layer, context, feedback):  # noqa: N802
        self.style(layer)
        layer.setName(self.layer_name)
        layer.triggerRepaint()
        _waiting.pop(id(self), None)


def style_when_loaded(context, output, style, name):
    """Asks QGIS to style the layer of `output`, if it loads it."""
    if not context.willLoadLayerOnCompletion(output):
        return
    styler = _Styler(style, name)
    _waiting[id(styler)] = styler
    context.layerToLoadOnCompletionDetails(output).setPostProcessor(styler)


def product(unit):
    """The style of a displacement product: east, with layers of north and sigma below it, switched off."""

    def style(layer):
        east(layer)
        project = QgsProject.instance()
        node = project.layerTreeRoot().findLayer(layer.id())
        if node is None:
            return
        # Not handed to QGIS as results: it would take one of them for the output, which has the same source.
        for text, band_style in ((tr("Sigma, east ({0})"), sigma_of_product), (tr("North displacement ({0})"), north)):
            other = layer.clone()
            other.setName(text.format(unit))
            band_style(other)
            project.addMapLayer(other, False)
            parent = node.parent()
            added = parent.insertLayer(parent.children().index(node) + 1, other)
            added.setItemVisibilityChecked(False)
            added.setExpanded(False)

    return style


def limit(path, bands, within=WITHIN):
    """A round number that this share of the absolute values of the bands lies below."""
    data = gdal.Open(path)
    size = [min(1000, n) for n in (data.RasterXSize, data.RasterYSize)]
    values = np.concatenate([
        np.abs(data.GetRasterBand(b).ReadAsArray(buf_xsize=size[0], buf_ysize=size[1]).astype(float).ravel())
        for b in bands if b <= data.RasterCount
    ])
    values = values[np.isfinite(values)]
    return round_up(float(np.percentile(values, within))) if values.size else 1.0


def round_up(value):
    """The next number of 1, 1.2, 1.5, 2, ... times a power of ten."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(n * scale for n in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if n * scale >= value * (1 - 1e-9))


def _ramp(colours):
    last = len(colours) - 1
    stops = [QgsGradientStop(i / last, QColor(c)) for i, c in enumerate(colours)][1:-1]
    return QgsGradientColorRamp(QColor(colours[0]), QColor(colours[-1]), False, stops)


def _pseudocolor(layer, band, low, high, colours):
    unit = _unit(layer, band)
    function = QgsColorRampShader(low, high, _ramp(colours), QgsColorRampShader.Interpolated, QgsColorRampShader.Continuous)
    function.classifyColorRamp(len(colours), band, layer.extent(), layer.dataProvider())
    function.setClip(False)
    if QgsColorRampLegendNodeSettings is not None and hasattr(function, "setLegendSettings"):
        settings = QgsColorRampLegendNodeSettings()
        settings.setSuffix(f" {unit}" if unit else "")
        function.setLegendSettings(settings)
    shader = QgsRasterShader(low, high)
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), band, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    layer.setRenderer(renderer)


def _path(layer):
    return layer.source().split("|option:")[0]


def _unit(layer, band):
    data = gdal.Open(_path(layer))
    return data.GetRasterBand(band).GetUnitType() if data is not None else ""


def _component(layer, band):
    # East and north share their limits, so that colours compare.
    most = limit(_path(layer), [1, 2])
    _pseudocolor(layer, band, -most, most, DIVERGING)


def east(layer):
    _component(layer, 1)


def north(layer):
    _component(layer, 2)


def _positive(layer, band):
    _pseudocolor(layer, band, 0.0, limit(_path(layer), [band]), SEQUENTIAL)


def magnitude(layer):
    _positive(layer, 1)


def sigma(layer):
    _positive(layer, 1)


def sigma_of_product(layer):
    _positive(layer, 4)


class Arrows:
    """Arrows coloured by their length, all in one scale."""

    LONGEST = 9.0  # millimetres
    COLOURS = ["#2c7fb8", "#1a9850", "#d9a400", "#f46d43", "#b2182b"]

    def __init__(self, lengths, unit):
        self.unit = unit
        self.most = round_up(float(np.percentile(lengths, WITHIN))) if lengths else 1.0

    def scale_text(self):
        return tr("Scale of the arrows: {0:g} mm on paper is {1:g} {2}").format(self.LONGEST, self.most, self.unit)

    def symbol(self, colour):
        arrow = QgsArrowSymbolLayer.create({})
        arrow.setIsCurved(False)
        arrow.setIsRepeated(False)
        arrow.setSubSymbol(_fill(colour))
        # A vector field's picture in the legend is as wide as it may be and leaves no room for the text: there, where
        # there is no feature, a small marker stands for it.
        for key, size in _ARROW.items():
            arrow.setDataDefinedProperty(_property(key), QgsProperty.fromExpression(f"if($id is null, 0, {size})"))
        # A symbol made from a list of layers does not take them over.
        line = QgsLineSymbol()
        line.changeSymbolLayer(0, arrow)
        field = QgsVectorFieldSymbolLayer()
        field.setXAttribute("east")
        field.setYAttribute("north")
        field.setVectorFieldType(QgsVectorFieldSymbolLayer.Cartesian)
        field.setScale(self.LONGEST / self.most)
        field.setDistanceUnit(MILLIMETERS)
        field.setSubSymbol(line)
        sample = QgsSimpleMarkerSymbolLayer.create({"name": "arrow", "angle": "90", "size": "4", "color": colour, "outline_style": "no"})
        sample.setDataDefinedProperty(_property("Size"), QgsProperty.fromExpression("if($id is null, 4, 0)"))
        marker = QgsMarkerSymbol()
        marker.changeSymbolLayer(0, field)
        marker.appendSymbolLayer(sample)
        return marker

    def __call__(self, layer):
        count = len(self.COLOURS)
        ranges = []
        for i, colour in enumerate(self.COLOURS):
            low, high = (self.most * k / count for k in (i, i + 1))
            last = i + 1 == count
            text = tr("above {0:g} {1}").format(low, self.unit) if last else f"{low:g} - {high:g} {self.unit}"
            ranges.append(QgsRendererRange(low, math.inf if last else high, self.symbol(colour), text))
        layer.setRenderer(QgsGraduatedSymbolRenderer("length", ranges))


def _fill(colour):
    return QgsFillSymbol.createSimple({"color": colour, "outline_style": "no"})
