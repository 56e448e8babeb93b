#!/usr/bin/env python3
"""Where a model's time goes, by samples of the program counter: a line for each function of its code.

    benchmarks/hot_spots.py MODEL INPUTS [--threads 1] [--seconds 10] [--level x86-64-v4]

INPUTS is a folder of NAME.npy. The model is compiled to an object file, whose functions have names, linked with a
program that runs it again and again, and watched by perf (Debian: linux-perf). Shares are of the samples inside the
model's code: kernels by the model's own names, tile_* the register tiles that products and attention share.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNNER = r"""
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(tenon_status *status) {
  if (!status)
    return;
  fprintf(stderr, "%s\n", tenon_status_message(status));
  exit(1);
}

/* runner THREADS SECONDS {NAME DTYPE RANK DIM... FILE}... */
int main(int count, char **words) {
  tenon_model *loaded;
  tenon_session *session;
  tenon_session_options options = {sizeof options};
  check(tenon_model_load_linked(&model, NULL, &loaded));
  options.threads = (uint32_t)atoi(words[1]);
  check(tenon_session_create(loaded, &options, &session));
  const tenon_entry *entry = tenon_model_entry(loaded, 0);
  for (char **word = words + 3; word < words + count;) {
    size_t index;
    check(tenon_entry_find_input(entry, *word++, &index));
    tenon_tensor tensor = {(tenon_dtype)atoi(word[0]), (uint32_t)atoi(word[1]), NULL, NULL};
    int64_t *dims = malloc(sizeof(int64_t) * (tensor.rank + 1));
    size_t bytes = tenon_dtype_bytes(tensor.dtype);
    word += 2;
    for (uint32_t i = 0; i < tensor.rank; ++i)
      bytes *= (size_t)(dims[i] = atoll(*word++));
    tensor.dims = dims;
    tensor.data = malloc(bytes + 1);
    FILE *file = fopen(*word++, "rb");
    if (!file || fread(tensor.data, 1, bytes, file) != bytes)
      return 1;
    fclose(file);
    check(tenon_session_bind_input(session, entry, index, &tensor));
  }
  time_t end = time(NULL) + atoi(words[2]);
  do
    check(tenon_session_run(session, entry));
  while (time(NULL) < end);
  return 0;
}
"""
DTYPES = {"float32": 1, "float16": 2, "float64": 4, "int8": 5, "int16": 6, "int32": 7, "int64": 8, "uint8": 9, "bool": 13}


def build(options, folder):
    """The program that runs the model."""
    command = [options.build / "bin" / "tenon", "compile", options.model, "--emit=object", f"--target={options.level}", "--quiet"]
    subprocess.run([*command, "-o", folder / "model.o"], check=True)
    (folder / "runner.c").write_text(RUNNER)
    library = options.build / "lib"
    subprocess.run(["clang-22", "-O1", f"-I{folder}", f"-I{ROOT / 'runtime' / 'include'}", folder / "runner.c", folder / "model.o",
                    f"-L{library}", "-ltenon_rt", f"-Wl,-rpath,{library}", "-o", folder / "runner"], check=True)
    return folder / "runner"


def inputs(options, folder):
    """The runner's words for each input."""
    for file in sorted(options.inputs.glob("*.npy")):
        array = np.ascontiguousarray(np.load(file))
        raw = folder / f"{file.stem.replace('/', '_')}.raw"
        array.tofile(raw)
        yield from (file.stem, str(DTYPES[array.dtype.name]), str(array.ndim), *map(str, array.shape), str(raw))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("inputs", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--level", default="x86-64-v4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        command = [build(options, folder), str(options.threads), str(options.seconds), *inputs(options, folder)]
        samples = folder / "samples"
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "-o", samples, *command], check=True)
        text = subprocess.run(["perf", "report", "-i", samples, "--stdio", "--no-children", "-q", "--sort", "symbol", "-n"],
                              check=True, capture_output=True, text=True).stdout
    counts = {m[2]: int(m[1]) for m in re.finditer(r"%\s+(\d+)\s+\[\.\] ((?:model_|tile_)\w+)", text)}
    total = sum(counts.values())
    if not total:
        sys.exit("no sample fell into the model's code")
    for symbol, count in counts.items():
        print(f"{100 * count / total:6.2f} %  {symbol.removeprefix('model_')}")


if __name__ == "__main__":
    main()
