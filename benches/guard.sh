#!/bin/bash
# Instructions of three kernels (benches/guard.rs) against those of benches/guard.txt; fails where one needs 10 % more.
#
#   benches/guard.sh            compare
#   benches/guard.sh --write    take the counts of now as the measure
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "valgrind is needed (Debian: apt-get install valgrind)" >&2; exit 1; }
program=$(cargo bench --locked --bench guard --no-run --message-format=json </dev/null |
  sed -n 's/.*"executable":"\([^"]*\/guard-[^"]*\)".*/\1/p' | tail -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
valgrind --tool=callgrind --collect-atstart=no '--toggle-collect=*counted_*' --callgrind-out-file="$work/out" \
  "$program" >"$work/log" 2>&1 </dev/null || { cat "$work/log" >&2; exit 1; }
callgrind_annotate --inclusive=yes --threshold=100 "$work/out" >"$work/table"
for kernel in spatial_search frequency_windows lsm_windows; do
  count=$(grep -m1 "counted_$kernel" "$work/table" | sed 's/^ *\([0-9,]*\).*/\1/' | tr -d ,)
  [ -n "$count" ] || { echo "no count for $kernel" >&2; exit 1; }
  echo "$kernel $count"
done >"$work/counts"
if [ "${1-}" = --write ]; then
  { sed -n '/^#/p' benches/guard.txt 2>/dev/null; cat "$work/counts"; } >"$work/new"
  cp "$work/new" benches/guard.txt
  cat benches/guard.txt
  exit
fi
join <(grep -v '^#' benches/guard.txt | sort) <(sort "$work/counts") | awk '
  BEGIN { print "| kernel | instructions | committed | ratio |\n|---|---|---|---|" }
  { printf "| %s | %d | %d | %.3f |\n", $1, $3, $2, $3 / $2; n++; if ($3 > 1.1 * $2) { slow = slow " " $1 } }
  END {
    if (n != 3) { print "benches/guard.txt does not name the three kernels" > "/dev/stderr"; exit 1 }
    if (slow) { print "more than 10 % more instructions:" slow > "/dev/stderr"; exit 1 }
  }'
