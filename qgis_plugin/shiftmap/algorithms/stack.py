"""Several displacement maps brought together."""

import html

from qgis.core import QgsProcessing, QgsProcessingParameterFileDestination, QgsProcessingParameterMultipleLayers

from .. import inputs, styles
from ..texts import tr
from .base import Command
from .evaluate import Told


class Stack(Command):
    command = "stack"
    title = "Stack of displacement maps, time series"
    visible = ["DATES", "REFERENCE", "ALIGN", "STABLE"]
    hidden = ["REPORT"]
    output_label = "Stack"

    def tags(self):
        return ["displacement", "mean", "stack", "time series", "velocity", "sbas", "network", "closure"]

    def image(self):
        return ""

    def initAlgorithm(self, configuration=None):  # noqa: N802
        self.addParameter(QgsProcessingParameterMultipleLayers("INPUTS", tr("Displacement maps"), QgsProcessing.TypeRaster))
        super().initAlgorithm(configuration)
        # Stable ground calibrates nothing by itself here.
        self.removeParameter("STABLE_AUTO")
        made = QgsProcessingParameterFileDestination("REPORT", tr("Report"), "HTML (*.html)", optional=True, createByDefault=False)
        self.addParameter(made)

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        fine = super().prepareAlgorithm(parameters, context, feedback)
        self.words = [w for w in self.words if w.split("=")[0] not in self.hidden]
        layers = self.parameterAsLayerList(parameters, "INPUTS", context)
        self.arguments = [inputs.raster_source(layer)[0] for layer in layers]
        return fine

    def call(self, arguments, words, feedback):
        self.table = []
        return super().call(arguments, words, Told(feedback, self.table))

    def results(self, summary, output, parameters, context, feedback):
        unit = summary.get("unit", "")
        styles.style_when_loaded(context, output, styles.product(unit), tr("East displacement ({0})").format(unit))
        if not parameters.get("REPORT"):
            return {}
        path = self.parameterAsFileOutput(parameters, "REPORT", context)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"<html><head><meta charset='utf-8'></head><body><pre>{html.escape(chr(10).join(self.table))}</pre></body></html>")
        return {"REPORT": path}
