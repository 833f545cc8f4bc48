"""A displacement map against a known truth."""

from qgis.core import QgsProcessingOutputNumber

from ..texts import tr
from .reported import Reported

NUMBERS = {"mae": "Mean absolute error", "rmse": "RMSE", "bias": "Bias"}


class Evaluate(Reported):
    command = "evaluate"
    title = "Errors against a known displacement"
    rasters = [("INPUT", "Displacement"), ("TRUTH", "True displacement")]
    visible = ["TRACE", "UNITS"]
    output = None

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        self.add_report(created=True)
        self.add_json()
        for axis in ("EAST", "NORTH"):
            for name, text in NUMBERS.items():
                self.addOutput(QgsProcessingOutputNumber(f"{axis}_{name.upper()}", tr(text) + " " + axis.lower()))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        summary = self.call(self.arguments, self.words, feedback)
        results = self.write_reports(summary, parameters, context)
        for path in results.values():
            feedback.pushInfo(path)
        results.update(numbers(summary))
        return results


def numbers(summary):
    """East and north figures of all cells."""
    return {
        f"{axis.upper()}_{name.upper()}": summary["errors"][axis][name]
        for axis in ("east", "north")
        for name in NUMBERS
    }
