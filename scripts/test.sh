#!/usr/bin/env bash
# Sets up, builds and runs every test; the last line is `N passed, N failed`.
#
#   scripts/test.sh [--all] [--gpu] [GROUP...]
#
# --all adds the long sweeps, sanitizers and fuzz; --gpu runs what group gpu
# emulates on this machine's NVIDIA GPU too, or says that there is none. Groups:
# layering, unit, lit, numeric, arm, gpu, targets, sanitizers, fuzz (default: the
# first seven). Exits with 1 when one fails.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --tests
scripts/build.sh
exec build/venv/bin/python tests/run.py --build build/release "$@"
