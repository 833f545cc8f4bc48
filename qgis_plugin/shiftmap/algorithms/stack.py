"""Several displacement maps brought together."""

from qgis.core import QgsProcessing, QgsProcessingParameterMultipleLayers

from .. import inputs, styles
from ..texts import tr
from .reported import Reported


class Stack(Reported):
    command = "stack"
    title = "Stack of displacement maps, time series"
    visible = ["DATES", "REFERENCE", "ALIGN", "STABLE"]
    # Stable ground calibrates nothing by itself here.
    calibrates = False
    labels = {"STABLE": "Ground that has not moved (raster or polygons): every map's median there is taken off"}
    output_label = "Stack"

    def tags(self):
        return ["displacement", "mean", "stack", "time series", "velocity", "sbas", "network", "closure"]

    def image(self):
        return ""

    def initAlgorithm(self, configuration=None):  # noqa: N802
        self.addParameter(QgsProcessingParameterMultipleLayers("INPUTS", tr("Displacement maps"), QgsProcessing.TypeRaster))
        super().initAlgorithm(configuration)
        self.add_report()

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        fine = super().prepareAlgorithm(parameters, context, feedback)
        self.words = [w for w in self.words if w.split("=")[0] not in self.hidden]
        layers = self.parameterAsLayerList(parameters, "INPUTS", context)
        self.arguments = [inputs.raster_source(layer)[0] for layer in layers]
        return fine

    def results(self, summary, output, parameters, context, feedback):
        unit = summary.get("unit", "")
        styles.style_when_loaded(context, output, styles.product(unit), tr("East displacement ({0})").format(unit))
        return self.write_reports(summary, parameters, context)
