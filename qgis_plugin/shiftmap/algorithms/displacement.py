"""Displacement between two images: one algorithm for each method that the library has."""

from qgis.core import (
    QgsProcessingOutputNumber,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
)

from .. import measures, options, qt, styles
from ..texts import tr
from .base import Command

TITLES = {
    "lsm": "Displacement: least squares matching",
    "frequency": "Displacement: phase correlation",
    "spatial": "Displacement: normalised cross-correlation",
    "dense": "Displacement at every pixel",
    "regularized": "Displacement: semi-global matching",
    "net": "Displacement: neural network",
}


def methods(library):
    return [c["value"] for c in library.options("displacement")["METHOD"]["choices"]]


class Displacement(Command):
    command = "displacement"
    rasters = [("REFERENCE", "First image (before)"), ("SECONDARY", "Second image (after)")]
    visible = ["WINDOW", "STEP", "SEARCH", "MASK", "CUT", "REGION"]

    def __init__(self, library, method):
        choices = library.options("displacement")["METHOD"]["choices"]
        what = next(c["help"] for c in choices if c["value"] == method)
        self.method = method
        self.identity = f"displacement_{method}"
        self.title = TITLES.get(method, f"Displacement: {method}")
        self.about = f"{library.commands['displacement']}. {what}."
        made = {n: options.for_method(o, method) for n, o in library.options("displacement").items()}
        self.options = {n: o for n, o in made.items() if o is not None}
        if method == "dense":
            # It has windows of its own, and is made for a value at every pixel.
            self.options["WINDOW"] = dict(self.options["WINDOW"], default="33")
            self.options["STEP"] = dict(self.options["STEP"], default="1")
        if method == "net":
            self.options["WINDOW"] = dict(self.options["WINDOW"], default="33")
            self.options["STEP"] = dict(self.options["STEP"], default="1")
            for name in ("CUT", "MODEL"):
                self.options.pop(name, None)
        super().__init__(library)

    def known(self):
        return self.options

    def createInstance(self):  # noqa: N802
        return Displacement(self.library, self.method)

    def tags(self):
        return ["displacement", "offset", "correlation", "earthquake", "glacier", "landslide", self.method]

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        magnitude = QgsProcessingParameterRasterDestination("MAGNITUDE", tr("Length of the displacement"), optional=True, createByDefault=False)
        magnitude.setHelp(tr("A raster of the length of the horizontal displacement, in the unit of the result."))
        self.addParameter(magnitude)
        if self.splits():
            faults = QgsProcessingParameterVectorDestination("FAULTS", tr("Faults found inside windows"), qt.VECTOR_LINE, optional=True, createByDefault=False)
            faults.setHelp(options.help_text(self.library.options("displacement")["SPLIT_LINES"]))
            self.addParameter(faults)
        for name, text in measures.NUMBERS.items():
            self.addOutput(QgsProcessingOutputNumber(name, tr(text)))

    def add_own(self):
        if self.method != "net":
            return
        self.models = self.library.models()
        help_text = options.help_text(self.library.options("displacement")["MODEL"])
        if self.models:
            choice = QgsProcessingParameterEnum("MODEL", tr("Network"), self.models, False, None, True, usesStaticStrings=True)
            choice.setHelp(help_text)
            self.addParameter(choice)
        file = QgsProcessingParameterFile("MODEL_FILE", tr("Network from a file"), extension="onnx", optional=True)
        file.setHelp(tr("An ONNX file with a card, in place of one of the networks that are installed."))
        self.addParameter(file)

    def splits(self):
        return "SPLIT" in self.options

    def plain(self, parameters, context):
        words = [f"METHOD={self.method}", *super().plain(parameters, context)]
        if self.method == "net":
            model = self.parameterAsFile(parameters, "MODEL_FILE", context)
            if not model and self.parameterDefinition("MODEL") is not None and parameters.get("MODEL"):
                model = self.parameterAsEnumString(parameters, "MODEL", context)
            words += [f"MODEL={model}"] if model else []
            if not any(word.startswith("ONNXRUNTIME=") for word in words):
                words += self.library.onnxruntime()
        return words

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        faults = self.parameterAsOutputLayer(parameters, "FAULTS", context) if self.splits() and parameters.get("FAULTS") else None
        if faults:
            self.words = [w for w in self.words if w != "SPLIT=YES"] + ["SPLIT=YES", f"SPLIT_LINES={faults}"]
        results = super().processAlgorithm(parameters, context, feedback)
        if faults:
            results["FAULTS"] = faults
        return results

    def results(self, summary, output, parameters, context, feedback):
        numbers = measures.of(output, summary.get("status", {}), summary.get("cells", 0))
        unit = summary.get("unit", "")
        for name, text in measures.NUMBERS.items():
            shown = "%" if name == "VALID_SHARE" else unit
            feedback.pushInfo(f"{tr(text)}: {numbers[name]:.4g} {shown}" if numbers[name] is not None else f"{tr(text)}: -")
        styles.style_when_loaded(context, output, styles.product(unit), tr("East displacement ({0})").format(unit))
        results = dict(numbers)
        if parameters.get("MAGNITUDE"):
            length = self.parameterAsOutputLayer(parameters, "MAGNITUDE", context)
            measures.magnitude(output, length, feedback)
            styles.style_when_loaded(context, length, styles.magnitude, tr("Displacement ({0})").format(unit))
            results["MAGNITUDE"] = length
        return results
