"""A displacement map against a known truth."""

import html
import json

from qgis.core import QgsProcessingOutputNumber, QgsProcessingParameterFileDestination

from ..texts import tr
from .base import Command

NUMBERS = {"mae": "Mean absolute error", "rmse": "RMSE", "bias": "Bias"}


class Evaluate(Command):
    command = "evaluate"
    title = "Errors against a known displacement"
    rasters = [("INPUT", "Displacement"), ("TRUTH", "True displacement")]
    visible = ["TRACE", "UNITS"]
    hidden = ["REPORT"]
    output = None

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        for suffix, kind in (("REPORT", "HTML (*.html)"), ("JSON", "JSON (*.json)")):
            text = tr("Report") if suffix == "REPORT" else tr("All figures")
            self.addParameter(QgsProcessingParameterFileDestination(suffix, text, kind, optional=True, createByDefault=suffix == "REPORT"))
        for axis in ("EAST", "NORTH"):
            for name, text in NUMBERS.items():
                self.addOutput(QgsProcessingOutputNumber(f"{axis}_{name.upper()}", tr(text) + " " + axis.lower()))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        table = []
        summary = self.call(self.arguments, self.words, Told(feedback, table))
        results = {}
        for name in ("REPORT", "JSON"):
            if not parameters.get(name):
                continue
            results[name] = path = self.parameterAsFileOutput(parameters, name, context)
            text = json.dumps(summary, indent=1) if name == "JSON" else \
                f"<html><head><meta charset='utf-8'></head><body><pre>{html.escape(chr(10).join(table))}</pre></body></html>"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
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


class Told:
    """A feedback that also keeps what the command printed."""

    def __init__(self, feedback, kept):
        self.feedback, self.kept = feedback, kept

    def __getattr__(self, name):
        return getattr(self.feedback, name)

    def pushInfo(self, text):  # noqa: N802
        self.kept.append(text)
        self.feedback.pushInfo(text)
