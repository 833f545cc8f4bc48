"""rasterio with a GDAL of its own: the driver declines in words, and nothing crashes."""
import logging

lines = []


class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())


logging.getLogger("rasterio").addHandler(Keep())
logging.getLogger("rasterio").setLevel(logging.DEBUG)

import rasterio
from rasterio.errors import RasterioIOError

try:
    with rasterio.open("SHIFTMAP:pre.tif,post.tif") as dataset:
        assert dataset.count == 6 and dataset.descriptions[0] == "East displacement"
        assert dataset.read(6).shape == (dataset.height, dataset.width)
        print("rasterio uses the GDAL of shiftmap: read")
except RasterioIOError:
    text = "\n".join(lines)
    assert "SHIFTMAP: the driver was built for GDAL" in text and "so it is not offered here" in text, text
    print("rasterio has a GDAL of its own: refused in words")
with rasterio.open("pre.tif") as dataset:
    assert dataset.read(1).shape == (100, 100)
