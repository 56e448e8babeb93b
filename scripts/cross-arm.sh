#!/usr/bin/env bash
# Builds the runtime and tenon-run for ARM64 and runs programs compiled for the ARM64
# levels under qemu; the last line is `N passed, N failed`.
#
#   scripts/cross-arm.sh [--all]
#
# A selection on every CPU, a minute, which scripts/test.sh runs as its group `arm`;
# --all runs the whole attention family, FFTs, scans, factorized models, published
# systems, MiniLM and the runtime's own tests on each (tests/emulated.py). Needs scripts/setup.sh --tests and scripts/build.sh before. qemu shows that the numbers are
# right, not how fast ARM64 is.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/release

ninja -C "$build" tenon tenon_rt tenon-run-aarch64
exec build/venv/bin/python tests/run.py --build "$build" arm "$@"
