"""What precision a pair can give."""

from qgis.core import QgsProcessingOutputNumber

from .. import styles
from ..texts import tr
from .base import Command


class Precision(Command):
    command = "precision"
    title = "Precision that a pair can give"
    rasters = [("REFERENCE", "First image (before)"), ("SECONDARY", "Second image (after)")]
    visible = ["WINDOW", "STEP", "REGION"]
    labels = {"SEARCH": "Search: largest displacement (pixels)"}
    output_label = "Standard deviation"

    def tags(self):
        return ["displacement", "sigma", "uncertainty", "cramer-rao"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        self.addOutput(QgsProcessingOutputNumber("EAST_SIGMA", tr("Median sigma east")))
        self.addOutput(QgsProcessingOutputNumber("NORTH_SIGMA", tr("Median sigma north")))

    def results(self, summary, output, parameters, context, feedback):
        styles.style_when_loaded(context, output, styles.sigma, tr("East sigma ({0})").format(summary.get("unit", "")))
        median = summary.get("median_sigma") or (None, None)
        return {"EAST_SIGMA": median[0], "NORTH_SIGMA": median[1]}
