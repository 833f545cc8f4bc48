#!/usr/bin/env bash
# Puts what `cargo build --release` made below a prefix, or takes it away again. `make install` calls it.
#
#   packaging/install.sh install|uninstall PREFIX [DESTDIR]
#
# PROGRAM and LIBRARY may name the two files. The tree can be moved as a whole. What was installed is listed in PREFIX/share/shiftmap/installed.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:?install or uninstall}
prefix=${2:?PREFIX}
destdir=${3:-}
case $prefix in /*) ;; *) echo "PREFIX must begin with /: $prefix" >&2; exit 1 ;; esac
root=$destdir$prefix
list=share/shiftmap/installed.txt
program=${PROGRAM:-${CARGO_TARGET_DIR:-target}/release/shiftmap}
library=${LIBRARY:-${CARGO_TARGET_DIR:-target}/release/libshiftmap.so}

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
IFS=. read -r major minor _ <<<"$version"

uninstall() {
  if [ ! -f "$root/$list" ]; then
    echo "nothing is installed below $root" >&2
    return 1
  fi
  local name dir
  while read -r name; do
    rm -f -- "$root/$name"
  done <"$root/$list"
  rm -f -- "$root/$list"
  # Folders that are empty now, but not the prefix itself.
  for dir in share/shiftmap/models share/shiftmap lib/gdalplugins lib/shiftmap lib/cmake/shiftmap lib/cmake lib/pkgconfig lib \
    include bin share/man/man1 share/man share/bash-completion/completions share/bash-completion \
    share/zsh/site-functions share/zsh share/fish/vendor_completions.d share/fish share; do
    rmdir -- "$root/$dir" 2>/dev/null || true
  done
}

installed=()
put() { # MODE SOURCE NAME
  install -D -m "$1" -- "$2" "$root/$3"
  installed+=("$3")
}
link() { # TARGET NAME
  mkdir -p -- "$(dirname "$root/$2")"
  ln -sfn -- "$1" "$root/$2"
  installed+=("$2")
}
fill() { # TEMPLATE NAME
  mkdir -p -- "$(dirname "$root/$2")"
  sed -e "s/@VERSION@/$version/g; s/@MAJOR@/$major/g; s/@MINOR@/$minor/g" "$1" >"$root/$2"
  chmod 644 "$root/$2"
  installed+=("$2")
}

install_all() {
  if [ -f "$root/$list" ]; then
    uninstall
  fi
  put 755 "$program" bin/shiftmap
  put 755 "$library" "lib/libshiftmap.so.$version"
  if command -v strip >/dev/null; then
    strip --strip-unneeded "$root/bin/shiftmap" "$root/lib/libshiftmap.so.$version"
  fi
  link "libshiftmap.so.$version" "lib/libshiftmap.so.$major"
  link "libshiftmap.so.$major" lib/libshiftmap.so
  # GDAL's plugin is the library under another name.
  if grep -q GDALRegister_SHIFTMAP "$library"; then
    link "../libshiftmap.so.$major" lib/gdalplugins/gdal_SHIFTMAP.so
  fi
  put 644 include/shiftmap.h include/shiftmap.h
  fill packaging/shiftmap.pc.in lib/pkgconfig/shiftmap.pc
  fill packaging/shiftmapConfig.cmake.in lib/cmake/shiftmap/shiftmapConfig.cmake
  fill packaging/shiftmapConfigVersion.cmake.in lib/cmake/shiftmap/shiftmapConfigVersion.cmake

  local texts file
  texts=$(mktemp -d)
  "$program" generate "$texts" --quiet
  while read -r file; do
    put 644 "$texts/$file" "share/$file"
  done < <(cd "$texts" && find . -type f -printf '%P\n' | sort)
  rm -rf -- "$texts"
  for file in models/*.onnx; do
    if [ -f "$file" ]; then
      put 644 "$file" "share/shiftmap/$file"
    fi
  done

  # ONNX Runtime, which `make setup` brings, for networks; found beside the library.
  for file in .onnxruntime/onnxruntime/capi/libonnxruntime.so.*; do
    if [ -f "$file" ]; then
      put 755 "$file" "lib/shiftmap/$(basename "$file")"
      put 644 .onnxruntime/onnxruntime/LICENSE "share/shiftmap/onnxruntime-LICENSE"
    fi
  done

  mkdir -p -- "$root/share/shiftmap"
  printf '%s\n' "${installed[@]}" >"$root/$list"
}

case $what in
  install) install_all ;;
  uninstall) uninstall ;;
  *) echo "install or uninstall, not $what" >&2; exit 1 ;;
esac
