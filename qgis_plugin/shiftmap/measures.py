"""Numbers of a displacement product, and its length as a raster."""

import math

import numpy as np
from osgeo import gdal
from qgis.core import QgsProcessingException

from .texts import tr

NUMBERS = {
    "VALID_SHARE": "Cells with a value",
    "EAST_MEDIAN": "Median east",
    "EAST_NMAD": "NMAD east",
    "NORTH_MEDIAN": "Median north",
    "NORTH_NMAD": "NMAD north",
}
# Medians of larger products are those of every n-th cell.
SIDE = 4000


def of(path, status, cells):
    """The numbers of NUMBERS; None where no cell has a value."""
    valid = next((count for text, count in status.items() if text == "valid"), 0)
    numbers = {"VALID_SHARE": 100.0 * valid / cells if cells else 0.0}
    data = gdal.Open(path)
    size = [min(SIDE, n) for n in (data.RasterXSize, data.RasterYSize)]
    for band, name in ((1, "EAST"), (2, "NORTH")):
        values = data.GetRasterBand(band).ReadAsArray(buf_xsize=size[0], buf_ysize=size[1])
        values = values[np.isfinite(values)].astype(float)
        median = float(np.median(values)) if values.size else None
        numbers[f"{name}_MEDIAN"] = median
        numbers[f"{name}_NMAD"] = float(1.4826 * np.median(np.abs(values - median))) if values.size else None
    return numbers


def magnitude(path, output, feedback):
    """Writes the length of bands 1 and 2, row block by row block."""
    data = gdal.Open(path)
    width, height = data.RasterXSize, data.RasterYSize
    driver = gdal.GetDriverByName("GTiff")
    options = ["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=3", "BIGTIFF=IF_SAFER"]
    made = driver.Create(output, width, height, 1, gdal.GDT_Float32, options)
    if made is None:
        raise QgsProcessingException(tr("{0} cannot be written.").format(output))
    made.SetGeoTransform(data.GetGeoTransform())
    made.SetProjection(data.GetProjection())
    band = made.GetRasterBand(1)
    band.SetNoDataValue(math.nan)
    band.SetDescription("Displacement")
    band.SetUnitType(data.GetRasterBand(1).GetUnitType())
    for row in range(0, height, 256):
        rows = min(256, height - row)
        east, north = (data.GetRasterBand(b).ReadAsArray(0, row, width, rows) for b in (1, 2))
        band.WriteArray(np.hypot(east, north), 0, row)
        if feedback.isCanceled():
            made = band = None
            driver.Delete(output)
            gdal.GetDriverByName("GTiff").Delete(path)
            raise QgsProcessingException(tr("Stopped; nothing was written."))
