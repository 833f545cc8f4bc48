#!/usr/bin/env bash
# Displacement with GDAL's own programs. GDAL_DRIVER_PATH names the folder that holds gdal_SHIFTMAP.so.
#
#   examples/driver.sh before.tif after.tif
set -euo pipefail
before=$1 after=$2

# What there will be: bands, grid, coordinate system. Nothing is computed yet.
gdalinfo "SHIFTMAP:$before,$after"

# A first look at a corner (cells of the result) computes only that corner.
gdal_translate -q -srcwin 0 0 20 20 "SHIFTMAP:$before,$after" corner.tif

# Everything, with options, as a cloud optimized GeoTIFF.
gdal_translate -q -of COG -oo METHOD=lsm -oo WINDOW=32 -oo STEP=8 "SHIFTMAP:$before,$after" displacement.tif

# A job file is opened like any raster, by QGIS too.
printf 'shiftmap 1\npre=%s\npost=%s\nmethod=frequency\nwindow=64\n' "$before" "$after" > job.shiftmap
gdal_calc.py --quiet -A job.shiftmap --A_band=1 -B job.shiftmap --B_band=2 \
  --calc="sqrt(A*A+B*B)" --outfile=length.tif
