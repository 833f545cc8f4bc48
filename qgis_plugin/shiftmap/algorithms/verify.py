"""What error and what sigma to expect on own images."""

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from .. import inputs, options
from ..texts import tr
from .reported import Reported

FILES = ("MAP", "TRUTH", "TRACE")


class Verify(Reported):
    command = "verify"
    title = "What to expect on own images (simulated earthquake)"
    rasters = [("REFERENCE", "First image")]
    visible = ["METHOD", "WINDOW", "STEP", "SLIP", "REGION"]
    hidden = [*FILES, "REPORT"]
    output = None

    def tags(self):
        return ["displacement", "error", "uncertainty", "sigma", "simulation", "earthquake"]

    def asked(self):
        first, rest = super().asked()
        method = self.known().get("METHOD")
        return ([method] if method else []) + first, rest

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        second = QgsProcessingParameterRasterLayer("SECONDARY", tr("Second image, without motion since the first"), optional=True)
        self.addParameter(second)
        texts = {"MAP": tr("Displacement as measured"), "TRUTH": tr("True displacement")}
        for name, text in texts.items():
            self.addParameter(QgsProcessingParameterRasterDestination(name, text, optional=True, createByDefault=False))
        self.addParameter(QgsProcessingParameterVectorDestination("TRACE", tr("Fault trace"), optional=True, createByDefault=False))
        self.add_report(created=True)
        self.add_file("PICTURE", tr("Picture"), "PNG (*.png)")
        self.add_json()
        for axis in ("EAST", "NORTH"):
            self.addOutput(QgsProcessingOutputNumber(f"{axis}_ERROR", tr("Error to expect away from faults (pixels)") + " " + axis.lower()))
            self.addOutput(QgsProcessingOutputNumber(f"{axis}_SIGMA_FACTOR", tr("Factor that makes sigma right") + " " + axis.lower()))

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        fine = super().prepareAlgorithm(parameters, context, feedback)
        # The options REPORT and TRACE are outputs here, not layers that are read.
        self.words = [w for w in self.words if w.split("=")[0] not in self.hidden]
        if parameters.get("SECONDARY"):
            path, more = inputs.raster_source(self.parameterAsRasterLayer(parameters, "SECONDARY", context))
            self.arguments.append(path)
            self.words += [f"OO={o}" for o in more if f"OO={o}" not in self.words]
        return fine

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        results, words = {}, list(self.words)
        for name in FILES:
            if parameters.get(name):
                results[name] = self.parameterAsOutputLayer(parameters, name, context)
                words += options.written(name, results[name])
        if parameters.get("PICTURE"):
            results["PICTURE"] = self.parameterAsFileOutput(parameters, "PICTURE", context)
            words.append(f"REPORT={results['PICTURE']}")
        summary = self.call(self.arguments, words, feedback)
        results.update(self.write_reports(summary, parameters, context))
        away = summary.get("away") or {}
        stated, expected = away.get("stated_sigma"), away.get("expected_sigma")
        for k, axis in enumerate(("east", "north")):
            if away:
                results[f"{axis.upper()}_ERROR"] = away["errors"][axis]["nmad"]
            if stated and expected and stated[k]:
                results[f"{axis.upper()}_SIGMA_FACTOR"] = expected[k] / stated[k]
        return results
