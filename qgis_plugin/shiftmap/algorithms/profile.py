"""Offsets across a fault, with a report."""

import os

from qgis.core import QgsProcessingOutputFile, QgsProcessingOutputHtml, QgsProcessingOutputVectorLayer

from ..texts import tr
from .base import Command

REPORT, TABLE, LAYERS = "report.html", "offsets.csv", "profile.gpkg"


class Profile(Command):
    command = "profile"
    title = "Fault profile: offsets along a trace"
    rasters = [("INPUT", "Displacement")]
    lines = [("TRACE", "Fault trace")]
    visible = ["LENGTH", "WIDTH", "SPACING"]
    output = "folder"
    output_label = "Folder for the report, tables and layers"

    def tags(self):
        return ["displacement", "fault", "slip", "offset", "swath", "stacked profile"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))
        self.addOutput(QgsProcessingOutputFile("TABLE", tr("Offsets (CSV)")))
        self.addOutput(QgsProcessingOutputVectorLayer("OFFSETS", tr("Offsets along the fault")))

    def results(self, summary, output, parameters, context, feedback):
        offsets = os.path.join(output, LAYERS) + "|layername=offsets"
        return {"REPORT": os.path.join(output, REPORT), "TABLE": os.path.join(output, TABLE), "OFFSETS": offsets}
