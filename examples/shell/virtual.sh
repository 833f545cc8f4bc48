#!/usr/bin/env bash
# GDAL's own programs on a virtual raster: nothing of shiftmap's command line is used.
#
#   GDAL_DRIVER_PATH=/where/it/is/installed/lib/gdalplugins examples/shell/virtual.sh pre.tif post.tif OUTDIR
set -euo pipefail
pre=${1:?pre image}
post=${2:?post image}
out=${3:?folder for the results}

# Grid, bands and coordinate system; nothing is computed.
gdalinfo "SHIFTMAP:$pre,$post" -oo WINDOW=32 -oo STEP=16

# Only the blocks of this corner are computed.
gdal_translate -q -srcwin 0 0 4 4 -oo STEP=16 "SHIFTMAP:$pre,$post" "$out/corner.tif"

# All of it, as a cloud optimized GeoTIFF.
gdal_translate -q -of COG -oo STEP=16 "SHIFTMAP:$pre,$post" "$out/map.tif"

# A job file takes the place of a raster everywhere. Relative paths in it count from its own folder.
printf 'shiftmap 1\npre=%s\npost=%s\nstep=16\n' "$(realpath "$pre")" "$(realpath "$post")" >"$out/pair.shiftmap"

# The length of the displacement, where the sigma of both components is below a tenth of a metre.
gdal_calc.py --quiet --calc "where((C < 0.1) & (D < 0.1), sqrt(A * A + B * B), nan)" --outfile "$out/length.tif" \
  -A "$out/pair.shiftmap" --A_band 1 -B "$out/pair.shiftmap" --B_band 2 \
  -C "$out/pair.shiftmap" --C_band 4 -D "$out/pair.shiftmap" --D_band 5
