"""Commands whose printed figures may be kept: as a page, and their summary as JSON."""

import html
import json

from qgis.core import QgsProcessingParameterFileDestination

from ..texts import tr
from .base import Command


class Reported(Command):
    """A command with the file parameters REPORT and, where it adds it, JSON."""

    hidden = ["REPORT"]

    def add_file(self, name, text, kind, created=False):
        """A file that may be written; `created`: it is unless the user says otherwise."""
        self.addParameter(QgsProcessingParameterFileDestination(name, text, kind, optional=True, createByDefault=created))

    def add_report(self, created=False):
        self.add_file("REPORT", tr("Report"), "HTML (*.html)", created)

    def add_json(self):
        self.add_file("JSON", tr("All figures"), "JSON (*.json)")

    def call(self, arguments, words, feedback):
        self.table = []
        return super().call(arguments, words, Told(feedback, self.table))

    def write_reports(self, summary, parameters, context):
        """Writes what was asked for; {parameter: file}."""
        page = f"<html><head><meta charset='utf-8'></head><body><pre>{html.escape(chr(10).join(self.table))}</pre></body></html>"
        results = {}
        for name, text in (("REPORT", page), ("JSON", json.dumps(summary, indent=1))):
            if not parameters.get(name):
                continue
            results[name] = path = self.parameterAsFileOutput(parameters, name, context)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return results


class Told:
    """A feedback that also keeps what the command printed."""

    def __init__(self, feedback, kept):
        self.feedback, self.kept = feedback, kept

    def __getattr__(self, name):
        return getattr(self.feedback, name)

    def pushInfo(self, text):  # noqa: N802
        self.kept.append(text)
        self.feedback.pushInfo(text)
