"""Cleaning a displacement map."""

from qgis.core import QgsProcessingOutputNumber, QgsProcessingParameterRasterDestination

from .. import options, styles
from ..texts import tr
from .base import Command

LABELS = {
    "MAX_SIGMA": "Remove cells with sigma above (map unit)",
    "MIN_QUALITY": "Remove cells with quality below",
    "MAX_MAGNITUDE": "Remove displacements longer than (map unit)",
    "NDC": "Remove cells without coherent neighbours: largest difference (map unit, or auto)",
    "OUTLIERS": "Remove cells off the medians of their neighbours (standard deviations)",
    "SUBTRACT": "Subtract a stored coregistration (.json)",
    "DETREND": "Subtract a surface",
    "DESTRIPE": "Subtract stripes: direction of the lines (rows, columns or an azimuth)",
    "LONGEST": "Longest wave of the stripes (cells)",
    "CCD": "Subtract detector seams: direction of the lines they lie along (rows, columns or an azimuth)",
    "CCD_EDGES": "Where detectors meet (cells, with commas)",
    "STABLE": "Ground that has not moved (raster or polygons)",
    "MOVING": "Ground that has moved (raster or polygons)",
    "MEDIAN": "Median of so many cells (odd)",
    "NLM": "Non-local means: strength",
    "NLM_SEARCH": "Non-local means: side of the search (cells, odd)",
    "NLM_PATCH": "Non-local means: side of a patch (cells, odd)",
    "FILL": "Fill holes within (cells)",
}


class Filter(Command):
    command = "filter"
    title = "Clean a displacement map"
    rasters = [("INPUT", "Displacement")]
    visible = ["OUTLIERS", "DETREND", "DESTRIPE", "MEDIAN", "FILL"]
    hidden = ["REMOVED"]
    labels = LABELS
    calibrates = False
    output_label = "Filtered displacement"

    def tags(self):
        return ["displacement", "outliers", "median", "non-local means", "ramp", "detrend", "destripe", "jitter", "holes"]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        removed = QgsProcessingParameterRasterDestination("REMOVED", tr("What was removed"), optional=True, createByDefault=False)
        removed.setHelp(options.help_text(self.library.options(self.command)["REMOVED"]))
        self.addParameter(removed)
        self.addOutput(QgsProcessingOutputNumber("BEFORE", tr("Cells with a value before")))
        self.addOutput(QgsProcessingOutputNumber("AFTER", tr("Cells with a value after")))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        removed = self.parameterAsOutputLayer(parameters, "REMOVED", context) if parameters.get("REMOVED") else None
        if removed:
            self.words.append(f"REMOVED={removed}")
        results = super().processAlgorithm(parameters, context, feedback)
        if removed:
            results["REMOVED"] = removed
        return results

    def results(self, summary, output, parameters, context, feedback):
        unit = summary.get("unit", "")
        styles.style_when_loaded(context, output, styles.product(unit), tr("East displacement ({0})").format(unit))
        return {"BEFORE": summary.get("before"), "AFTER": summary.get("after")}
