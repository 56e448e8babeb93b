#!/usr/bin/env bash
# Builds the runtime and tenon-run for ARM64 and runs programs compiled for the ARM64
# levels under qemu; the last line is `N passed, N failed`.
#
#   scripts/cross-arm.sh [--all]
#
# A selection on every CPU, a minute, which scripts/test.sh runs as its group `arm`;
# --all runs the whole attention family, FFTs, scans, factorized models, published
# systems, MiniLM and the runtime's own tests on each (tests/emulated.py). For each of
# the four CPUs that takes, in seconds of one core: attention 55 to 82, FFTs 22 to 29,
# scans 51 to 58, exact factorization 50, Toeplitz products 31, small models 5, the
# runtime's tests 17 to 25, the real MiniLM 137 (SVE 256), the published systems some
# minutes. Sessions of several runs are tested on this machine's levels and by the
# runtime's own tests; bf16 of the real MiniLM is left out, since qemu takes minutes
# for BFDOT. Needs scripts/setup.sh --tests and scripts/build.sh before. qemu shows that
# the numbers are right, not how fast ARM64 is.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/release

ninja -C "$build" tenon tenon_rt tenon-run-aarch64
exec build/venv/bin/python tests/run.py --build "$build" arm "$@"
