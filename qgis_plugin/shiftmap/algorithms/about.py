"""What is installed, or what was looked for."""

import html

from qgis.core import QgsProcessingOutputString, QgsProcessingParameterFileDestination

from ..library import Failed
from ..texts import tr
from .base import Algorithm


class About(Algorithm):
    identity = "about"
    title = "About shiftmap: check the installation"
    about = "Versions of the plugin's library and of what it uses, and where they were found; put this into a report of a problem."

    def __init__(self, library, problem):
        super().__init__()
        self.library, self.problem = library, problem

    def createInstance(self):  # noqa: N802
        return About(self.library, self.problem)

    def shortHelpString(self):  # noqa: N802
        told = "".join(f"<p>{html.escape(line)}</p>" for line in self.problem.splitlines())
        return f"<p>{tr(self.about)}</p>{told}"

    def initAlgorithm(self, configuration=None):  # noqa: N802
        self.addParameter(QgsProcessingParameterFileDestination("REPORT", tr("Report"), "HTML (*.html)", optional=True, createByDefault=False))
        self.addOutput(QgsProcessingOutputString("VERSION", tr("Version of the library")))
        self.addOutput(QgsProcessingOutputString("LIBRARY", tr("File of the library")))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        lines = []
        if self.library is None:
            lines += self.problem.splitlines()
        else:
            lines.append(tr("Library: {0}").format(self.library.path))
            try:
                self.library.run("info", [], self.library.onnxruntime(), None, lambda _, text: lines.append(text))
            except Failed as error:
                lines.append(str(error))
            lines.append(tr("Commands: {0}").format(", ".join(self.library.commands)))
        for line in lines:
            (feedback.reportError if self.library is None else feedback.pushInfo)(line)
        results = {
            "VERSION": self.library.version() if self.library else "",
            "LIBRARY": self.library.path if self.library else "",
        }
        if parameters.get("REPORT"):
            results["REPORT"] = path = self.parameterAsFileOutput(parameters, "REPORT", context)
            with open(path, "w", encoding="utf-8") as file:
                file.write("<html><body>" + "".join(f"<p>{html.escape(line)}</p>" for line in lines) + "</body></html>")
        return results
