#!/usr/bin/env bash
# One pair as a SLURM array: every task measures one region, in any order, on any machine.
#
#   sbatch --array=0-$(examples/cluster/slurm.sh count pre.tif) examples/cluster/slurm.sh measure pre.tif post.tif parts
#   examples/cluster/slurm.sh merge parts map.vrt          # when all are done
#
# A task that is repeated finds its region done. Options of `shiftmap displacement` stand in SHIFTMAP_OPTIONS.
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
set -euo pipefail
side=${SIDE:-4096}
what=${1:?count, measure or merge}

size() { gdalinfo "$1" | sed -n 's/^Size is \([0-9]*\), \([0-9]*\)$/\1 \2/p'; }

case $what in
count) # the number of the last task
  read -r width height < <(size "${2:?pre image}")
  echo $((((width + side - 1) / side) * ((height + side - 1) / side) - 1))
  ;;
measure)
  pre=${2:?pre image} post=${3:?post image} parts=${4:?folder for the regions}
  read -r width height < <(size "$pre")
  across=$(((width + side - 1) / side))
  x=$((SLURM_ARRAY_TASK_ID % across * side)) y=$((SLURM_ARRAY_TASK_ID / across * side))
  out=$parts/$SLURM_ARRAY_TASK_ID.tif
  mkdir -p "$parts"
  [ -e "$out" ] && exit
  # The file appears under its name when it is complete.
  # shellcheck disable=SC2086
  shiftmap displacement "$pre" "$post" "$out" --quiet --threads 1 ${SHIFTMAP_OPTIONS-} --region $x $y \
    $((x + side < width ? side : width - x)) $((y + side < height ? side : height - y))
  ;;
merge)
  gdalbuildvrt -q -overwrite "${3:?virtual raster to write}" "${2:?folder with the regions}"/*.tif
  ;;
*)
  echo "count, measure or merge, not $what" >&2
  exit 2
  ;;
esac
