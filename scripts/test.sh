#!/usr/bin/env bash
# Sets up, builds and runs every test; the last line is `N passed, N failed`.
#
#   scripts/test.sh [--all] [GROUP...]
#
# --all adds the long sweeps, sanitizers and fuzz. Groups: layering, unit, lit,
# numeric, sanitizers, arm, fuzz (default: the first four and arm). Exits with 1 when one fails.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --tests
scripts/build.sh
exec build/venv/bin/python tests/run.py --build build/release "$@"
