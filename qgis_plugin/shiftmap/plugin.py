"""What QGIS loads: registers the provider, translated texts included."""

from pathlib import Path

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

from .provider import ShiftmapProvider


class ShiftmapPlugin:
    def __init__(self, iface):
        self.iface = iface
        self.provider = None
        self.translator = None
        locale = str(QgsSettings().value("locale/userLocale", "en"))[:2]
        texts = Path(__file__).parent / "i18n" / f"shiftmap_{locale}.qm"
        if texts.exists():
            self.translator = QTranslator()
            if self.translator.load(str(texts)):
                QCoreApplication.installTranslator(self.translator)

    def initProcessing(self):  # noqa: N802
        if self.provider is None:
            self.provider = ShiftmapProvider()
            QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):  # noqa: N802
        self.initProcessing()

    def unload(self):
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        if self.translator is not None:
            QCoreApplication.removeTranslator(self.translator)
