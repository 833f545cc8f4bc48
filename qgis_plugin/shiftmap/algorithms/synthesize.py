"""A synthetic pair with known displacement."""

import os

from qgis.core import QgsProcessingOutputRasterLayer, QgsProcessingOutputVectorLayer

from .. import qt
from ..texts import tr
from .base import Command

FILES = {"PRE": ("pre.tif", "First image"), "POST": ("post.tif", "Second image"), "TRUTH": ("truth.tif", "True displacement")}


class Synthesize(Command):
    command = "synth pair"
    identity = "synthesize"
    title = "Simulate a pair with known displacement"
    rasters = []
    visible = ["PRESET", "IMAGE", "SIZE", "FIELD", "SLIP", "SEED"]
    hidden = []
    output = "folder"
    output_label = "Folder of the results"

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        for name, (_, text) in FILES.items():
            self.addOutput(QgsProcessingOutputRasterLayer(f"{name}_IMAGE" if name != "TRUTH" else name, tr(text)))
        self.addOutput(QgsProcessingOutputVectorLayer("TRACE", tr("Fault trace"), qt.VECTOR_LINE))

    def plain(self, parameters, context):
        words = super().plain(parameters, context)
        if parameters.get("IMAGE"):
            # A procedural image's options have defaults here that an own image refuses.
            return [w for w in words if w.split("=")[0] not in ("SIZE", "PIXEL")]
        return [w for w in words if w.split("=")[0] != "BAND"]

    def results(self, summary, output, parameters, context, feedback):
        made = {f"{n}_IMAGE" if n != "TRUTH" else n: os.path.join(output, file) for n, (file, _) in FILES.items()}
        trace = os.path.join(output, "trace.gpkg")
        if os.path.exists(trace):
            made["TRACE"] = trace
        return made
