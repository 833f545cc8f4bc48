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
    # Here it calibrates nothing.
    calibrates = False
    labels = {"STABLE": "Ground that has not moved (raster or polygons): the scatter there"}
    output = None

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        self.add_report(created=True)
        self.add_json()
        for axis in ("EAST", "NORTH", "UP"):
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
    """Figures of all cells; up is not in every comparison."""
    return {
        f"{axis.upper()}_{name.upper()}": summary["errors"][axis][name]
        for axis in ("east", "north", "up")
        if axis in summary["errors"]
        for name in NUMBERS
    }
