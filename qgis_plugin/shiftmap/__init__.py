"""Ground displacement between two images as Processing algorithms, over the library libshiftmap."""


def classFactory(iface):  # noqa: N802, QGIS calls it by this name
    from .plugin import ShiftmapPlugin

    return ShiftmapPlugin(iface)
