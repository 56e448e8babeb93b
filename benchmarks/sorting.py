#!/usr/bin/env python3
"""Sorting: TopK and Unique of Tenon and ONNX Runtime, and NumPy's sorts, in turns.

    build/venv/bin/pip install onnxruntime==1.31.1
    build/venv/bin/python benchmarks/sorting.py [--threads 1 2] [--json FILE]

Rows of random numbers. NumPy runs on one thread: a stable argsort for a whole row, for the first k a partition that is then sorted.
"""

import numpy as np
from onnx import helper

import operators

# name -> rows, elements of a row, k
TOPK = {
    "gate, 8 of 64": (1024, 64, 8),
    "5 of 1000": (1, 1000, 5),
    "50 of 50257": (1, 50257, 50),
    "1000 of 100000": (1, 100000, 1000),
    **{f"sort {n}": (max(1, 1000 // n), n, n) for n in (64, 256, 1000, 10000, 100000, 1000000)},
}
UNIQUE = {f"unique of {n}": n for n in (1000, 100000, 1000000)}


def numpy_topk(x, k):
    if k == x.shape[1]:
        order = np.argsort(-x, axis=1, kind="stable")
    else:
        first = np.argpartition(-x, k, axis=1)[:, :k]
        order = np.take_along_axis(first, np.argsort(-np.take_along_axis(x, first, 1), axis=1), 1)
    return np.take_along_axis(x, order, 1), order


def main():
    options = operators.parser(__doc__).parse_args()
    rng = np.random.default_rng(0)

    def topk(name, rows, n, k):
        x = rng.standard_normal((rows, n), np.float32)
        node = helper.make_node("TopK", ["x", "k"], ["y", "places"])
        model = operators.single(node, {"x": x}, "y", [("k", np.array([k]))])
        return operators.compare(name, model, {"x": x}, rows * n, options, lambda: {"numpy": lambda: numpy_topk(x, k)},
                                 "G elements/s")

    def unique(name, n):
        x = rng.integers(0, n // 4, n).astype(np.float32)
        node = helper.make_node("Unique", ["x"], ["y", "first", "inverse", "counts"])
        model = operators.single(node, {"x": x}, "y", shape=[len(np.unique(x))])
        return operators.compare(name, model, {"x": x}, n, options, lambda: {"numpy": lambda: np.unique(x)}, "G elements/s")

    operators.run({**{name: lambda name=name: topk(name, *TOPK[name]) for name in TOPK},
                   **{name: lambda name=name: unique(name, UNIQUE[name]) for name in UNIQUE}}, options)


if __name__ == "__main__":
    main()
