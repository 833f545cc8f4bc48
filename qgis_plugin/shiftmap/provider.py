"""The provider: the algorithms that the library found has commands for; only `about` without a library."""

from pathlib import Path

from qgis.core import QgsApplication, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import library
from .algorithms import every
from .texts import tr

SETTING = "SHIFTMAP_LIBRARY"
ICON = str(Path(__file__).parent / "icon.svg")


class ShiftmapProvider(QgsProcessingProvider):
    def __init__(self):
        super().__init__()
        self.library = None
        self.problem = ""

    def id(self):
        return "shiftmap"

    def name(self):
        return "shiftmap"

    def longName(self):  # noqa: N802
        return tr("shiftmap: ground displacement between two images")

    def icon(self):
        return QIcon(ICON)

    def svgIconPath(self):  # noqa: N802
        return ICON

    def warningMessage(self):  # noqa: N802
        return self.problem

    def load(self):
        from processing.core.ProcessingConfig import ProcessingConfig, Setting

        ProcessingConfig.settingIcons[self.name()] = self.icon()
        text = tr("Library libshiftmap: file or folder (empty: found by itself)")
        ProcessingConfig.addSetting(Setting(self.name(), SETTING, text, "", valuetype=Setting.FILE))
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self):
        from processing.core.ProcessingConfig import ProcessingConfig

        ProcessingConfig.removeSetting(SETTING)

    def loadAlgorithms(self):  # noqa: N802
        from processing.core.ProcessingConfig import ProcessingConfig

        setting = ProcessingConfig.getSetting(SETTING) or ""
        self.library, self.problem = None, ""
        try:
            self.library = library.load(setting.strip(), QgsApplication.qgisSettingsDirPath())
            self.library.register_driver()
        except (library.Missing, library.Failed) as error:
            self.problem = str(error)
        for algorithm in every(self.library, self.problem):
            self.addAlgorithm(algorithm)
