"""Aligning the second image with the first."""

from qgis.core import QgsProcessingOutputFile

from ..texts import tr
from .base import Command

LABELS = {
    "MODEL": "What is fitted over the whole image",
    "JITTER": "Jitter: direction of the scan lines (rows, columns or an azimuth)",
    "LONGEST": "Longest wave of the jitter (pixels)",
    "CCD": "Detector seams: direction of the lines they lie along (rows, columns or an azimuth)",
    "CCD_EDGES": "Where detectors meet (pixels, with commas)",
    "STABLE": "Ground that has not moved (raster or polygons)",
    "MOVING": "Ground that has moved (raster or polygons)",
    "USE": "Use this model (.json) instead of measuring one",
    "SEARCH": "Largest displacement beside the shift of the whole image (pixels)",
    "STEP": "Step between windows (pixels)",
    "PASSES": "How often the displacements are measured",
}


class Coregister(Command):
    command = "coregister"
    title = "Align an image with another"
    rasters = [("REFERENCE", "First image (before)"), ("SECONDARY", "Second image (after), to be aligned")]
    visible = ["MODEL", "JITTER", "CCD", "MOVING"]
    hidden = ["MODEL_OUT"]
    labels = LABELS
    calibrates = False
    output_label = "Aligned image"

    def tags(self):
        return ["coregistration", "registration", "alignment", "shift", "jitter", "ramp"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputFile("MODEL_FILE", tr("Model (JSON)")))

    def results(self, summary, output, parameters, context, feedback):
        return {"MODEL_FILE": summary.get("model_file")}
