#!/usr/bin/env bash
# A real model, end to end: sets up, builds, compiles all-MiniLM-L6-v2 into one
# artifact and searches a text file by meaning.
#
#   scripts/demo.sh ["a query"]
set -euo pipefail
cd "$(dirname "$0")/.."
query=${1:-"how do wooden joints stay together?"}

say() { printf '\n== %s\n' "$*" >&2; }

say "Setting up"
scripts/setup.sh
say "Building"
scripts/build.sh tenon semantic-search
bin=build/release/bin
say "Compiling all-MiniLM-L6-v2 (90 MB of weights) into one artifact"
[ build/minilm.tenon -nt "$bin/tenon" ] && [ build/minilm.tenon -nt build/deps/minilm/model.safetensors ] ||
  "$bin/tenon" compile build/deps/minilm -o build/minilm.tenon
say "Searching examples/semantic_search/sentences.txt for: $query"
"$bin/semantic-search" --model build/minilm.tenon --tokenizer build/deps/minilm \
  --sentences examples/semantic_search/sentences.txt --query "$query"
say "Search again with your own words: scripts/demo.sh \"a query\""
