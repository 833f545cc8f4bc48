"""Strain and rotation of a displacement map."""

from .base import Command


class Strain(Command):
    command = "strain"
    title = "Strain and rotation of a displacement map"
    rasters = [("INPUT", "Displacement")]
    visible = ["WINDOW"]
    labels = {"WINDOW": "Window (cells, odd)", "MIN_VALID": "Least share of cells with a value"}
    output_label = "Strain"

    def tags(self):
        return ["displacement", "strain", "dilatation", "shear", "rotation", "gradient"]
