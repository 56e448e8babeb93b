#!/usr/bin/env bash
# Configures and builds build/release; arguments are targets (default: all).
# Needs scripts/setup.sh to have run. TENON_JOBS bounds the parallel jobs.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -f build/release/build.ninja ]; then
  echo "[build] configuring" >&2
  cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log >&2; exit 1; }
fi
NINJA_STATUS='[build %f/%t %es] ' ninja -C build/release ${TENON_JOBS:+-j"$TENON_JOBS"} "$@" >&2
