# shiftmap: every target sets up what it needs on a machine that has a Rust toolchain.
#
#   make demo            simulate an earthquake, measure it, write pictures into demo/
#   make test            all tests
#   make bench           speed, memory and error beside OpenCV, scikit-image and OpenPIV: target/bench/benchmarks.md
#   make bench-program   time and memory of the whole program on growing scenes, and of the kernels (Criterion)
#   make bench-scene     a scene of 9514 x 24418 pixels on one and two threads
#   make bench-guard     instructions of three kernels against those committed
#   make bench-accuracy  accuracy beside OpenCV, scikit-image and OpenPIV
#   make bench-faults    errors beside a fault, with and without --cut and --split
#   make train           trains a network: MODEL=flk PRESET=cpu|gpu|smoke IMAGES=folder (training/README.md)
#   make lint            format, lints, documentation
#   make install         library, header, program, GDAL plugin, manual below PREFIX (/usr/local); DESTDIR works
#   make uninstall       takes them away again
#   make wheel           Python wheel in dist/
#   make plugin          QGIS plugin as a zip in dist/
#   make plugin-install  QGIS plugin and library into the user's QGIS profile
#   make header          include/shiftmap.h from src/capi/
#   make fuzz            two minutes of each fuzz target (FUZZ_SECONDS)
#   make setup build clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup system-packages rust nextest build demo test bench bench-program bench-scene bench-guard bench-accuracy bench-faults \
	lint install uninstall wheel plugin plugin-install qgis-packages header fuzz nightly train clean

# rustup's default place, for shells that do not have it in their PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin
CARGO ?= cargo
PYTHON ?= python3
DEMO ?= demo
PEERS_VENV ?= .bench/peers
SHIFTMAP := target/release/shiftmap
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 120

PACKAGES := build-essential pkg-config libgdal-dev gdal-bin python3 python3-venv python3-gdal cmake valgrind

help:
	@sed -n 's/^#   //p' Makefile

setup: system-packages rust .onnxruntime/ready

# ONNX Runtime, which runs networks; everything else works without it. From its Python package, whose other dependencies
# the library does not need.
.onnxruntime/ready:
	@echo "installing ONNX Runtime into .onnxruntime"; \
	if $(PYTHON) -m venv .onnxruntime/venv && \
	   .onnxruntime/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --target .onnxruntime 'onnxruntime>=1.19' </dev/null; then \
	  touch .onnxruntime/ready; \
	else \
	  echo "ONNX Runtime could not be installed: networks do not run, their tests are skipped" >&2; \
	fi; \
	rm -rf .onnxruntime/venv

system-packages:
	@missing=(); \
	command -v cc >/dev/null || missing+=(build-essential); \
	command -v pkg-config >/dev/null || missing+=(pkg-config); \
	pkg-config --exists gdal 2>/dev/null || command -v gdal-config >/dev/null || missing+=(libgdal-dev); \
	command -v gdalinfo >/dev/null || missing+=(gdal-bin); \
	command -v python3 >/dev/null || missing+=(python3); \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv); \
	{ python3 -c 'import osgeo' || /usr/bin/python3 -c 'import osgeo'; } 2>/dev/null || missing+=(python3-gdal); \
	command -v cmake >/dev/null || missing+=(cmake); \
	command -v valgrind >/dev/null || missing+=(valgrind); \
	if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  echo "shiftmap needs a C++ compiler, pkg-config, GDAL 3.6 or newer with headers and programs, and Python 3;" >&2; \
	  echo "its tests also CMake and Valgrind." >&2; \
	  echo "Not found here, by their Debian names: $${missing[*]}" >&2; \
	  echo "  Fedora:  dnf install gcc-c++ pkgconf-pkg-config gdal-devel gdal python3 python3-gdal cmake valgrind" >&2; \
	  echo "  Arch:    pacman -S base-devel pkgconf gdal python python-gdal cmake valgrind" >&2; \
	  echo "  macOS:   brew install pkg-config gdal python cmake" >&2; \
	  exit 1; \
	fi; \
	sudo=(); \
	if [ "$$(id -u)" -ne 0 ]; then \
	  if ! sudo -n true </dev/null 2>/dev/null; then \
	    echo "Packages are missing and need root to install:" >&2; \
	    echo "  sudo apt-get install $(PACKAGES)" >&2; \
	    exit 1; \
	  fi; \
	  sudo=(sudo -n); \
	fi; \
	echo "installing: $${missing[*]}"; \
	"$${sudo[@]}" apt-get update -qq </dev/null; \
	"$${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}" </dev/null

# For the tests of the QGIS plugin only, which are skipped without them.
QGIS_PACKAGES := qgis python3-qgis qgis-providers xvfb xauth

qgis-packages:
	@if command -v qgis_process >/dev/null && command -v xvfb-run >/dev/null; then exit 0; fi; \
	sudo=(); if [ "$$(id -u)" -ne 0 ]; then sudo=(sudo -n); fi; \
	if ! command -v apt-get >/dev/null || { [ $${#sudo[@]} -ne 0 ] && ! sudo -n true </dev/null 2>/dev/null; }; then \
	  echo "QGIS is not installed: its tests are skipped. Debian: apt-get install $(QGIS_PACKAGES)" >&2; exit 0; \
	fi; \
	echo "installing: $(QGIS_PACKAGES)"; \
	{ "$${sudo[@]}" apt-get update -qq </dev/null && \
	  "$${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(QGIS_PACKAGES) </dev/null; } \
	  || echo "QGIS could not be installed: its tests are skipped" >&2

rust:
	@if ! command -v $(CARGO) >/dev/null; then \
	  echo "cargo was not found. Install Rust 1.92 or newer, see https://www.rust-lang.org/tools/install" >&2; \
	  exit 1; \
	fi

nextest: rust
	@command -v cargo-nextest >/dev/null || $(CARGO) install --locked cargo-nextest </dev/null \
	  || echo "cargo-nextest could not be installed; cargo test is used instead" >&2

build: setup
	$(CARGO) build --release --locked </dev/null

demo: build
	$(SHIFTMAP) demo $(DEMO) --overwrite </dev/null
	@echo "The pictures:"; ls -1 $(DEMO)/*.png

test: setup qgis-packages nextest
	if command -v cargo-nextest >/dev/null; then \
	  $(CARGO) nextest run --release --locked --no-fail-fast </dev/null; \
	else \
	  $(CARGO) test --release --locked --no-fail-fast --lib --bins --tests --examples </dev/null; \
	fi
	$(CARGO) test --release --locked --doc </dev/null

bench: build $(PEERS_VENV)/ready
	mkdir -p target/bench
	$(CARGO) bench --locked --bench ratios </dev/null | tee target/bench/floors.md
	$(PEERS_VENV)/bin/python benches/peers/suite.py --floors target/bench/floors.md
	benches/guard.sh

bench-program: build
	$(CARGO) bench --locked --bench windows </dev/null
	$(CARGO) bench --locked --bench dislocations </dev/null
	$(PYTHON) benches/program.py

bench-scene: build
	$(PYTHON) benches/scene.py

bench-guard: setup
	benches/guard.sh

$(PEERS_VENV)/ready: benches/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS_VENV) || { echo "python3 needs its venv module (Debian: python3-venv)" >&2; exit 1; }
	$(PEERS_VENV)/bin/pip install --quiet --disable-pip-version-check -r $< </dev/null
	touch $@

bench-accuracy: build $(PEERS_VENV)/ready
	$(PEERS_VENV)/bin/python benches/peers/noise.py
	$(PEERS_VENV)/bin/python benches/peers/run.py
	$(PEERS_VENV)/bin/python benches/peers/dic.py
	$(PEERS_VENV)/bin/python training/held_out.py --data ../shared/data --limit 6 --work target/held-out \
	  --out target/held-out/table.md --figure target/held-out/profiles.png
	$(PEERS_VENV)/bin/python training/fault_bias.py places=target/held-out/set-places procedural=target/held-out/set-procedural \
	  --models models/cnn4l-16.onnx models/cnn4l-16-smooth.onnx
	$(PEERS_VENV)/bin/python training/fault_bias.py places=target/held-out/set-places procedural=target/held-out/set-procedural \
	  --window 32 --models models/cnn4l-32.onnx models/cnn4l-32-smooth.onnx

bench-faults: setup
	$(CARGO) test --locked --release --test faults -- --ignored --nocapture table_at_step_one

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --release --all-targets -- -D warnings </dev/null
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --release --no-deps </dev/null

install: build
	packaging/install.sh install $(PREFIX) $(DESTDIR)
	@echo "installed below $(DESTDIR)$(PREFIX)"

uninstall:
	packaging/install.sh uninstall $(PREFIX) $(DESTDIR)

wheel: build
	PYTHON=$(PYTHON) packaging/wheel.sh dist

plugin:
	packaging/qgis.sh zip dist

plugin-install: build
	packaging/qgis.sh install
	@echo "switch it on in QGIS: Plugins > Manage and Install Plugins > Installed, or: qgis_process plugins enable shiftmap"

header:
	SHIFTMAP_WRITE_HEADER=1 $(CARGO) test --release --locked --test header </dev/null

# PyTorch comes with several gigabytes; nothing but training needs it.
TRAIN_PYTHON ?= training/.venv/bin/python
train: build
	@if [ ! -x $(TRAIN_PYTHON) ]; then \
	  $(PYTHON) -m venv training/.venv && training/.venv/bin/pip install -r training/requirements.txt; fi
	OMP_WAIT_POLICY=passive $(TRAIN_PYTHON) training/run.py $(or $(MODEL),flk) --preset $(or $(PRESET),cpu) \
	  $(if $(IMAGES),--images $(IMAGES)) $(TRAIN_OPTIONS)

nightly: setup
	@rustup toolchain list | grep -q nightly || rustup toolchain install nightly --profile minimal </dev/null

# The fuzzer needs the nightly compiler for its instrumentation. FUZZ_TARGETS: some of them only.
fuzz: nightly
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz </dev/null
	for target in $(or $(FUZZ_TARGETS),$$($(CARGO) +nightly fuzz list)); do \
	  mkdir -p fuzz/corpus/$$target; \
	  ASAN_OPTIONS=detect_leaks=0 ORT_DYLIB_PATH=$${ORT_DYLIB_PATH:-$$(ls .onnxruntime/onnxruntime/capi/libonnxruntime.so* 2>/dev/null | head -1)} \
	  $(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) \
	    -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 </dev/null; \
	done

clean:
	$(CARGO) clean
	rm -rf $(DEMO) .bench .onnxruntime dist fuzz/target
