"""Interferograms and GNSS series of a simulated event."""

import os

from qgis.core import QgsProcessingOutputRasterLayer

from ..texts import tr
from .base import Command

FILES = {
    "LOS_ASCENDING": ("los-ascending.tif", "Line of sight, ascending"),
    "LOS_DESCENDING": ("los-descending.tif", "Line of sight, descending"),
    "TRUTH": ("truth.tif", "True displacement"),
}


class SynthesizeInsar(Command):
    command = "synth insar"
    identity = "synthesize_insar"
    title = "Simulate interferograms and GNSS"
    rasters = []
    visible = ["SOURCE", "MAGNITUDE", "SIZE", "PIXEL", "SEED"]
    # Sets are for training, from a terminal.
    hidden = ["COUNT", "FORMAT", "ARRAYS", "SHARD", "SPLIT"]
    output = "folder"
    output_label = "Folder of the results"

    def initAlgorithm(self, configuration=None):  # noqa: N802
        super().initAlgorithm(configuration)
        for name, (_, text) in FILES.items():
            self.addOutput(QgsProcessingOutputRasterLayer(name, tr(text)))

    def results(self, summary, output, parameters, context, feedback):
        return {name: os.path.join(output, file) for name, (file, _) in FILES.items()}
