#!/usr/bin/env bash
# Makes a Python wheel of what `cargo build --release` made: library, program, models and the module of python/.
#
#   packaging/wheel.sh [OUTDIR]
#
# PYTHON may be one that has `build` and `setuptools`; otherwise they are fetched. PROGRAM and LIBRARY may name the two
# files.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
python=${PYTHON:-python3}
program=${PROGRAM:-${CARGO_TARGET_DIR:-target}/release/shiftmap}
library=${LIBRARY:-${CARGO_TARGET_DIR:-target}/release/libshiftmap.so}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
cp -r python/. "$work"
sed -i "s/@VERSION@/$version/" "$work/pyproject.toml"
cp README.md LICENSE LICENSE-MIT LICENSE-APACHE "$work"
files=$work/shiftmap/_files
mkdir -p "$files/models"
cp "$program" "$files/shiftmap"
cp "$library" "$files/libshiftmap.so"
if command -v strip >/dev/null; then
  strip --strip-unneeded "$files/shiftmap" "$files/libshiftmap.so"
fi
if grep -q GDALRegister_SHIFTMAP "$files/libshiftmap.so"; then
  # A wheel has no symbolic links; the plugin has to be a file of its own name.
  mkdir -p "$files/gdalplugins"
  cp "$files/libshiftmap.so" "$files/gdalplugins/gdal_SHIFTMAP.so"
fi
for model in models/*.onnx; do
  if [ -f "$model" ]; then
    cp "$model" "$files/models/"
  fi
done
options=(--no-isolation)
if ! "$python" -c 'import build, setuptools.command.bdist_wheel' 2>/dev/null; then
  "$python" -m venv "$work/.venv"
  python=$work/.venv/bin/python
  "$python" -m pip install --quiet --disable-pip-version-check build </dev/null
  options=()
fi
"$python" -m build --wheel "${options[@]}" --outdir "$out" "$work" </dev/null >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}
ls "$out"/shiftmap-"$version"-py3-none-*.whl
