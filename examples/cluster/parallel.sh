#!/usr/bin/env bash
# One pair over all cores of several machines with GNU parallel; stop and repeat it as you like.
#
#   examples/cluster/parallel.sh pre.tif post.tif map.vrt [--sshloginfile machines]
set -euo pipefail
pre=${1:?pre image} post=${2:?post image} map=${3:?virtual raster to write}
shift 3
here=$(dirname "$(realpath "$0")")
parts=$(realpath -m "${map%.vrt}.parts")
last=$("$here/slurm.sh" count "$pre")
seq 0 "$last" | parallel --halt soon,fail=1 --env PATH --env SIDE --env SHIFTMAP_OPTIONS "$@" \
  SLURM_ARRAY_TASK_ID={} "$here/slurm.sh" measure "$(realpath "$pre")" "$(realpath "$post")" "$parts"
"$here/slurm.sh" merge "$parts" "$map"
