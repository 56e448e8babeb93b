#!/bin/sh
# Runs an ARM64 artifact with the cross-built tenon-run under qemu, and sees that
# this machine's tenon-run refuses it by name.
#
#   cross-aarch64.sh TENON_RUN_AARCH64 TENON_RUN WRITE_ARTIFACT IMAGE
set -eu
cross=$1 native=$2 write=$3 image=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$write" "$work/add.tenon" y "$image" 183
qemu-aarch64 "$cross" "$work/add.tenon" --random --shape x=40 --threads 2 --output-dir "$work/out"
[ -s "$work/out/y.npy" ] || { echo "no output"; exit 1; }

[ "$(uname -m)" = aarch64 ] && exit 0
if "$native" "$work/add.tenon" --random --shape x=40 2> "$work/error"; then
  echo "an artifact for another machine ran"
  exit 1
fi
grep -q "cannot run any of its levels; the artifact has: other (lacks a CPU of type ARM64)" "$work/error" ||
  { cat "$work/error"; exit 1; }
