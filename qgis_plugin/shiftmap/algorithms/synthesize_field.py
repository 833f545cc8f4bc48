"""The displacement that given faults cause, on an image's grid."""

import os

from qgis.core import QgsProcessingOutputRasterLayer, QgsProcessingOutputVectorLayer

from .. import qt
from ..texts import tr
from .base import Command


class SynthesizeField(Command):
    command = "synth field"
    identity = "synthesize_field"
    title = "Displacement of given faults"
    rasters = [("TEMPLATE", "Image whose grid is used")]
    visible = ["FAULTS", "SLIP", "RAKE", "DIP", "BOTTOM"]
    required = ["FAULTS"]
    output = "folder"
    output_label = "Folder of the results"

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputRasterLayer("FIELD", tr("Displacement")))
        self.addOutput(QgsProcessingOutputVectorLayer("TRACE", tr("Fault trace"), qt.VECTOR_LINE))

    def results(self, summary, output, parameters, context, feedback):
        return {"FIELD": os.path.join(output, "field.tif"), "TRACE": os.path.join(output, "trace.gpkg")}
