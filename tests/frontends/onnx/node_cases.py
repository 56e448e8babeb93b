#!/usr/bin/env python3
"""Runs ONNX's node tests for the operators Tenon imports.

    node_cases.py WORK_FOLDER

Writes the cases of the `onnx` package whose operators are all in the table
(tenon-import --onnx-support), runs onnx-node-cases, and compares what fails
with node-cases-failing.txt: a case that fails must be listed there with the
reason, and a case listed there must fail.

Inputs that say a shape (axes, pads, ...) become initializers: that they may be
data at run time is not supported, and said so.
"""

import pathlib
import re
import subprocess
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

LIST = pathlib.Path(__file__).with_name("node-cases-failing.txt")
# What NumPy has no type for, and what is no tensor of numbers.
FOREIGN = {"bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"}
FOREIGN |= {"int4", "uint4", "int2", "uint2", "float4_e2m1fn", "complex64", "complex128"}
SHAPES = {
    "ConstantOfShape": [0], "CumProd": [1], "CumSum": [1], "Dropout": [2], "Expand": [1], "OneHot": [1],
    "Pad": [1, 3], "Range": [0, 1, 2], "Reshape": [1], "Resize": [1, 2, 3], "Slice": [1, 2, 3, 4], "Split": [1],
    "Squeeze": [1], "Tile": [1], "Trilu": [1], "Unsqueeze": [1],
}  # fmt: skip


def supported_operators():
    table = subprocess.run(["tenon-import", "--onnx-support"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\| ([A-Z]\w*) \|", table, re.MULTILINE))


def is_plain(value):
    if not isinstance(value, np.ndarray) and not np.isscalar(value):
        return False
    dtype = np.asarray(value).dtype
    return dtype.kind in "fiub" and dtype.name not in FOREIGN


def fix_shapes(model, inputs):
    """Turns the inputs that say a shape into initializers; returns the others."""
    names = [value.name for value in model.graph.input]
    fixed = set()
    for node in model.graph.node:
        positions = [1] if node.op_type.startswith("Reduce") else SHAPES.get(node.op_type, [])
        fixed |= {node.input[p] for p in positions if p < len(node.input) and node.input[p] in names}
    for name, array in zip(names, inputs):
        if name in fixed:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    kept = [value for value in model.graph.input if value.name not in fixed]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return [array for name, array in zip(names, inputs) if name not in fixed]


def write_case(case, folder):
    folder.mkdir(parents=True)
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    inputs, outputs = case.data_sets[0]
    inputs = fix_shapes(model, inputs)
    onnx.save(model, folder / "model.onnx")
    for kind, arrays in (("in", inputs), ("out", outputs)):
        for i, array in enumerate(arrays):
            np.save(folder / f"{kind}{i}.npy", np.asarray(array, order="C"))
    return f"{case.name} {len(inputs)} {len(outputs)} {case.rtol} {case.atol}"


def main():
    work = pathlib.Path(sys.argv[1])
    operators = supported_operators()
    warnings.simplefilter("ignore")
    index = []
    for case in collect_testcases(None):
        nodes = case.model.graph.node if case.model else []
        known = nodes and all(n.op_type in operators and n.domain in ("", "ai.onnx") for n in nodes)
        if known and all(is_plain(v) for side in case.data_sets[0] for v in side):
            index.append(write_case(case, work / case.name))
    (work / "index.txt").write_text("\n".join(index) + "\n")
    done = subprocess.run(["onnx-node-cases", str(work)], capture_output=True, text=True, check=True)
    failing = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    listed = {line.split(":")[0] for line in LIST.read_text().splitlines() if line and not line.startswith("#")}
    for name in sorted(failing.keys() - listed):
        print(f"fails: {name}: {failing[name]}")
    for name in sorted(listed - failing.keys()):
        print(f"passes or is gone, take it off the list: {name}")
    print(f"{len(index)} cases, {len(failing)} failing, {len(listed)} listed")
    return 0 if failing.keys() == listed else 1


if __name__ == "__main__":
    sys.exit(main())
