"""What all algorithms share. One that runs a command of the library has class attributes and, at most, three methods.

    class Profile(Command):
        command = "profile"                      # as in shiftmap_commands
        title = "Fault profile"
        rasters = [("INPUT", "Displacement")]    # positional arguments, in order
        lines = [("TRACE", "Fault trace")]       # and line layers after them
        visible = ["WIDTH"]                      # options that are not folded as Advanced
        output = "raster"                        # raster, vector, folder, file or None

Every other option of the command becomes an Advanced parameter by itself.
"""

import re

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
)
from qgis.PyQt.QtGui import QIcon

from .. import inputs, options, qt
from ..library import NOTE, Cancelled, Failed
from ..texts import tr

OUTPUTS = {
    "raster": QgsProcessingParameterRasterDestination,
    "vector": QgsProcessingParameterVectorDestination,
    "folder": QgsProcessingParameterFolderDestination,
    "file": QgsProcessingParameterFileDestination,
}


class Algorithm(QgsProcessingAlgorithm):
    """Identity, icon and help."""

    identity = title = about = ""

    def tr(self, text):
        return tr(text)

    def name(self):
        return self.identity

    def displayName(self):  # noqa: N802
        return tr(self.title)

    def icon(self):
        from ..provider import ICON

        return QIcon(ICON)

    def svgIconPath(self):  # noqa: N802
        from ..provider import ICON

        return ICON

    def shortDescription(self):  # noqa: N802
        return tr(self.about)

    def shortHelpString(self):  # noqa: N802
        if QgsApplication.platform() != "desktop":
            # qgis_process lists the parameters' help by itself.
            return tr(self.about)
        shown = [d for d in self.parameterDefinitions() if getattr(d, "help", lambda: "")()]
        rows = "".join(f"<p><b>{d.description()}</b><br>{d.help()}</p>" for d in shown)
        return f"<p>{tr(self.about)}</p>{rows}"


class Command(Algorithm):
    command = ""
    rasters = []
    lines = []
    visible = []
    hidden = []
    required = []
    output = "raster"
    output_label = "Displacement"

    def __init__(self, library):
        super().__init__()
        self.library = library
        self.identity = self.identity or self.command.replace(" ", "")
        self.about = self.about or self.library.commands.get(self.command, "")
        self.words = []

    def createInstance(self):  # noqa: N802
        return type(self)(self.library)

    def group(self):
        return ""

    def groupId(self):  # noqa: N802
        return ""

    # Parameters

    def asked(self):
        """The options that become parameters, visible ones first."""
        known = {k: o for k, o in self.known().items() if k not in options.UNASKED and k not in self.hidden}
        first = [known[k] for k in self.visible if k in known]
        return first, [o for k, o in known.items() if k not in self.visible and k != "POST_BAND"]

    def known(self):
        """The options of the command."""
        return self.library.options(self.command)

    def image(self):
        return self.rasters[0][0] if self.rasters else "IMAGE"

    def initAlgorithm(self, configuration=None):  # noqa: N802
        known = self.known()
        bands = "BAND" in known and "BAND" not in self.hidden
        for name, text in self.rasters:
            self.addParameter(QgsProcessingParameterRasterLayer(name, tr(text)))
            if bands and name in ("REFERENCE", "SECONDARY"):
                band = options.parameter(dict(known["BAND"], name="BAND"), name, True)
                band.setName(f"{name}_BAND")
                band.setDescription(tr("Band of the first image") if name == "REFERENCE" else tr("Band of the second image"))
                self.addParameter(band)
        for name, text in self.lines:
            self.addParameter(QgsProcessingParameterVectorLayer(name, tr(text), [qt.VECTOR_LINE]))
        self.add_own()
        first, rest = self.asked()
        for group, visible in ((first, True), (rest, False)):
            for option in group:
                if option["name"] == "BAND" and "REFERENCE" in [n for n, _ in self.rasters]:
                    continue
                needed = option["name"] in self.required
                self.addParameter(options.parameter(option, self.image(), visible, required=needed))
                if option["name"] == "STABLE":
                    auto = QgsProcessingParameterBoolean("STABLE_AUTO", tr("Calibrate sigma by the scatter between neighbours"), False)
                    auto.setHelp(tr("Scale sigma by the scatter between neighbouring windows, when there is no raster of stable ground."))
                    self.addParameter(qt.advanced(auto))
        if self.output:
            self.addParameter(OUTPUTS[self.output]("OUTPUT", tr(self.output_label)))

    def add_own(self):
        """Parameters that are no option of the command, after the images."""

    # A run: everything that touches layers happens in prepareAlgorithm, on the main thread.

    def checkParameterValues(self, parameters, context):  # noqa: N802
        fine, message = super().checkParameterValues(parameters, context)
        if not fine:
            return fine, message
        try:
            # Layers are opened later: whether they are given is what matters here.
            files = [n for n in self.known() if options.is_file(n) and parameters.get(n)]
            self.library.check(self.command, self.plain(parameters, context) + [f"{n}=file" for n in files])
        except Failed as error:
            return False, self.in_words(str(error))
        return True, ""

    def plain(self, parameters, context):
        """KEY=VALUE of the parameters that are neither layers, bands of a pair nor extents."""
        words = []
        for option in sum(self.asked(), []):
            name = option["name"]
            if options.is_file(name) or name == "REGION":
                continue
            key = "OPTIONS" if name == "CO" else name
            if self.parameterDefinition(key) is None or parameters.get(key) is None and option["default"] is None:
                continue
            if option["type"] == "boolean":
                value = self.parameterAsBool(parameters, key, context)
            elif option["type"] == "choice":
                value = self.parameterAsEnumString(parameters, key, context)
            elif name == "BAND":
                value = self.parameterAsInts(parameters, key, context)
            elif option["type"] in ("int", "float") and not option["repeat"]:
                exact = self.parameterAsInt if option["type"] == "int" else self.parameterAsDouble
                value = exact(parameters, key, context)
            else:
                value = self.parameterAsString(parameters, key, context)
            # Some options need others as soon as they are given, even with their own default.
            if not options.is_default(option, value):
                words += options.written(name, value)
        return words

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        self.words = self.plain(parameters, context)
        self.arguments, opened = [], []
        for name, _ in self.rasters:
            path, more = inputs.raster_source(self.parameterAsRasterLayer(parameters, name, context))
            self.arguments.append(path)
            opened += [f"OO={o}" for o in more if f"OO={o}" not in opened]
            if self.parameterDefinition(f"{name}_BAND") is not None:
                bands = self.parameterAsInts(parameters, f"{name}_BAND", context) or [1]
                self.words += options.written("BAND" if name == "REFERENCE" else "POST_BAND", bands)
        for name, _ in self.lines:
            layer = self.parameterAsVectorLayer(parameters, name, context)
            self.arguments.append(inputs.vector_source(layer, feedback))
        self.words += opened
        if self.parameterDefinition("STABLE_AUTO") is not None and self.parameterAsBool(parameters, "STABLE_AUTO", context) \
                and not parameters.get("STABLE"):
            self.words.append("STABLE=auto")
        known = self.known()
        for name in known:
            if self.parameterDefinition(name) is None or not parameters.get(name):
                continue
            if name in options.RASTERS:
                layer = self.parameterAsRasterLayer(parameters, name, context)
                self.words.append(f"{name}={inputs.raster_source(layer)[0]}")
            elif name in options.PLACES:
                layer = self.parameterAsLayer(parameters, name, context)
                self.words.append(f"{name}={inputs.place_source(layer, feedback)}")
            elif name in options.VECTORS:
                layer = self.parameterAsVectorLayer(parameters, name, context)
                self.words.append(f"{name}={inputs.vector_source(layer, feedback)}")
        self.add_region(parameters, context)
        if "OVERWRITE" in known:
            # QGIS has asked before.
            self.words.append("OVERWRITE=YES")
        return True

    def add_region(self, parameters, context):
        """The drawn extent in pixels of the image."""
        if self.parameterDefinition("EXTENT") is None or not parameters.get("EXTENT"):
            return
        layer = self.parameterAsRasterLayer(parameters, self.image(), context)
        if layer is None:
            raise QgsProcessingException(tr("An extent needs an image that it is a part of."))
        extent = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
        self.words.append(f"REGION={inputs.region(inputs.raster_source(layer)[0], extent)}")

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        arguments = list(self.arguments)
        results = {}
        if self.output:
            results["OUTPUT"] = self.destination(parameters, "OUTPUT", context)
            arguments.append(results["OUTPUT"])
        summary = self.call(arguments, self.words, feedback)
        feedback.setProgress(100)
        results.update(self.results(summary, results.get("OUTPUT"), parameters, context, feedback))
        return results

    def destination(self, parameters, name, context):
        if self.output == "folder" and name == "OUTPUT":
            return self.parameterAsString(parameters, name, context)
        return self.parameterAsOutputLayer(parameters, name, context) if self.output != "file" else \
            self.parameterAsFileOutput(parameters, name, context)

    def call(self, arguments, words, feedback):
        feedback.pushCommandInfo(command_line(self.command, arguments, words))
        said = [""]

        def progress(fraction, message):
            feedback.setProgress(100 * fraction)
            if message and message != said[0]:
                said[0] = message
                feedback.setProgressText(message)
            return not feedback.isCanceled()

        def log(level, message):
            (feedback.pushWarning if level == NOTE else feedback.pushInfo)(message)

        try:
            return self.library.run(self.command, arguments, words, progress, log)
        except Cancelled:
            raise QgsProcessingException(tr("Stopped; nothing was written.")) from None
        except Failed as error:
            raise QgsProcessingException(self.in_words(str(error))) from None

    def in_words(self, text):
        """The library's message with the labels of the dialog after its option names."""

        def named(match):
            definition = self.parameterDefinition(match.group(0).split("=")[0])
            return f"{match.group(0)} ({definition.description()})" if definition else match.group(0)

        return re.sub(r"\b[A-Z][A-Z_]{3,}\b(=YES)?", named, text)

    def results(self, summary, output, parameters, context, feedback):
        """Further outputs of a run."""
        return {}


def command_line(command, arguments, words):
    """The same run in a terminal."""

    def quoted(text):
        return text if re.fullmatch(r"[\w@%+=:,./-]+", text) else "'" + text.replace("'", "'\\''") + "'"

    line = ["shiftmap", *command.split(), *map(quoted, arguments)]
    for word in words:
        key, value = word.split("=", 1)
        option = "--" + key.lower().replace("_", "-")
        if key == "REGION":
            line += [option, *value.split()]
        else:
            line.append(option if value == "YES" else quoted(f"{option}={value}"))
    return " ".join(line)
