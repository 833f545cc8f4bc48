#!/usr/bin/env bash
# The QGIS plugin.
#
#   packaging/qgis.sh zip [OUTDIR]         the zip for the plugin repository, checked against its rules
#   packaging/qgis.sh install [PROFILE]    plugin and library into a QGIS profile
#
# LIBRARY may name the library. PROFILE is the folder of a profile, the default one of the user otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."

name=shiftmap
source=qgis_plugin/$name
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

refuse() { echo "the plugin cannot be packed: $*" >&2; exit 1; }

# The plugin's files without what Python and tools leave behind.
copy() { # TARGET
  mkdir -p -- "$1"
  (cd "$source" && find . -type f ! -path '*/__pycache__/*' ! -name '*.pyc' ! -name '.*' -print0 | sort -z) |
    while IFS= read -r -d '' file; do install -D -m 644 -- "$source/$file" "$1/$file"; done
  install -m 644 LICENSE "$1/LICENSE"
}

check() { # FOLDER
  local key file
  [[ $name =~ ^[A-Za-z][A-Za-z0-9_-]*$ ]] || refuse "the folder's name has other signs than letters, digits, - and _"
  for key in name qgisMinimumVersion description about version author email repository tracker homepage icon tags \
    category hasProcessingProvider changelog; do
    grep -q "^$key=..*" "$1/metadata.txt" || refuse "metadata.txt has no $key"
  done
  grep -qx "version=$version" "$1/metadata.txt" || refuse "metadata.txt is not of version $version"
  if grep -qi '^name=.*plugin' "$1/metadata.txt"; then refuse "its name contains the word plugin"; fi
  [ -f "$1/$(sed -n 's/^icon=//p' "$1/metadata.txt")" ] || refuse "its icon is missing"
  [ -f "$1/__init__.py" ] || refuse "__init__.py is missing"
  while IFS= read -r file; do
    case $file in
      *.py | *.svg | *.md | *.ts | */metadata.txt | */LICENSE) ;;
      *) refuse "$file is neither source, icon nor text" ;;
    esac
    grep -Iq . "$file" || refuse "$file is binary"
  done < <(find "$1" -type f -size +0)
  if grep -rnE '^\s*(from|import) PyQt[0-9]' "$1" --include='*.py'; then refuse "Qt is imported other than from qgis.PyQt"; fi
  [ "$(du -sk "$1" | cut -f1)" -lt 25000 ] || refuse "it is larger than 25 MB"
  if grep -q '=.*example\.org' "$1/metadata.txt"; then
    echo "note: metadata.txt has example.org for links and e-mail; fill them in before uploading" >&2
  fi
}

case ${1:?zip or install} in
  zip)
    out=$(mkdir -p "${2:-dist}" && cd "${2:-dist}" && pwd)
    work=$(mktemp -d)
    trap 'rm -rf -- "$work"' EXIT
    copy "$work/$name"
    check "$work/$name"
    file=$out/$name-qgis-$version.zip
    rm -f -- "$file"
    (cd "$work" && python3 -m zipfile -c "$file" "$name")
    echo "$file"
    ;;
  install)
    library=${LIBRARY:-${CARGO_TARGET_DIR:-target}/release/libshiftmap.so}
    case $(uname) in
      Darwin) users="$HOME/Library/Application Support/QGIS/QGIS3" ;;
      *) users=${XDG_DATA_HOME:-$HOME/.local/share}/QGIS/QGIS3 ;;
    esac
    profile=${2:-${QGIS_CUSTOM_CONFIG_PATH:-$users}/profiles/default}
    rm -rf -- "$profile/python/plugins/$name"
    copy "$profile/python/plugins/$name"
    install -D -m 755 -- "$library" "$profile/$name/libshiftmap.so"
    # Networks, and ONNX Runtime where `make setup` has brought it: both are found beside the library.
    for file in models/*.onnx; do
      if [ -f "$file" ]; then install -D -m 644 -- "$file" "$profile/$name/$file"; fi
    done
    for file in .onnxruntime/onnxruntime/capi/libonnxruntime.so.*; do
      if [ -f "$file" ]; then install -m 755 -- "$file" "$profile/$name/"; fi
    done
    if command -v strip >/dev/null; then
      strip --strip-unneeded "$profile/$name/libshiftmap.so"
    fi
    echo "$profile/python/plugins/$name"
    ;;
  *) echo "zip or install, not $1" >&2; exit 1 ;;
esac
