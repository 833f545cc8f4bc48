"""A QGIS without windows, with Processing and the plugin, in the profile that QGIS_CUSTOM_CONFIG_PATH names."""

import os
import sys

sys.path.insert(0, "/usr/share/qgis/python/plugins")
sys.path.insert(0, os.path.join(os.environ["QGIS_CUSTOM_CONFIG_PATH"], "profiles/default/python/plugins"))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from qgis.core import Qgis, QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProject  # noqa: E402

application = QgsApplication([], False, os.path.join(os.environ["QGIS_CUSTOM_CONFIG_PATH"], "profiles/default"))
application.initQgis()

import processing  # noqa: E402
from processing.core.Processing import Processing  # noqa: E402

Processing.initialize()
import shiftmap  # noqa: E402

plugin = shiftmap.classFactory(None)
plugin.initProcessing()
registry = QgsApplication.processingRegistry()


class Feedback(QgsProcessingFeedback):
    """Keeps what was said."""

    def __init__(self):
        super().__init__(False)
        self.said, self.fractions = [], []
        self.progressChanged.connect(self.fractions.append)

    def pushInfo(self, text):  # noqa: N802
        self.said.append(text)

    pushWarning = pushCommandInfo = setProgressText = pushDebugInfo = pushConsoleInfo = pushInfo  # noqa: N815

    def reportError(self, text, fatalError=False):  # noqa: N802, N803
        self.said.append(text)


def refused(algorithm, parameters):
    """The message of a run that must fail: what checkParameterValues or the log says."""
    made = registry.createAlgorithmById(f"shiftmap:{algorithm}")
    context, feedback = QgsProcessingContext(), Feedback()
    context.setProject(QgsProject.instance())
    fine, message = made.checkParameterValues(parameters, context)
    if fine:
        results, fine = made.run(parameters, context, feedback)
        message = " ".join(feedback.said)
    assert not fine, (algorithm, parameters)
    assert "Traceback" not in message, message
    return message
