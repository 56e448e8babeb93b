#!/usr/bin/env python3
"""Products of two activations, and of few rows with weights that come from memory: Tenon and ONNX Runtime in turns.

    build/venv/bin/pip install onnxruntime==1.31.1
    build/venv/bin/python benchmarks/products.py [--threads 1 2] [--json FILE]
"""

import math

import numpy as np
from onnx import helper

import operators

# name -> equation (None: MatMul), shapes of the operands.
CASES = {
    "512x512x512": (None, (512, 512), (512, 512)),
    "12 of 512x64x512": (None, (12, 512, 64), (12, 64, 512)),
    "12 of 512x512x64": (None, (12, 512, 512), (12, 512, 64)),
    "keys transposed": ("bqhd,bkhd->bhqk", (1, 512, 12, 64), (1, 512, 12, 64)),
    "sum over positions": ("bnhd,bnhe->bhde", (1, 512, 12, 64), (1, 512, 12, 64)),
    "1x1 of an image": ("nc,bcp->bnp", (64, 64), (1, 64, 56 * 56)),
    "64 of 49x32x49": (None, (64, 49, 32), (64, 32, 49)),
    "one row": (None, (12, 1, 64), (12, 64, 2048)),
    "one row, keys": ("bhd,bnhd->bhn", (1, 12, 64), (1, 2048, 12, 64)),
    "one row, values": ("bhn,bnhd->bhd", (1, 12, 2048), (1, 2048, 12, 64)),
    "four rows": (None, (12, 4, 64), (12, 64, 2048)),
    "one row, 256 KB": (None, (1, 256), (256, 256)),
    "one row, 64 MB": (None, (1, 4096), (4096, 4096)),
    "one column, 64 MB": ("mk,k->m", (4096, 4096), (4096,)),
}

# Rows times 66 MB of weights.
ROWS = (1, 2, 4, 7, 8, 9, 12, 14)
WEIGHTS = (768, 21504)


def flops_of(equation, left, right):
    """Twice the number of products: the sizes of all indices multiplied."""
    if equation is None:
        return 2 * math.prod(left) * right[-1]
    words = equation.split("->")[0].split(",")
    return 2 * math.prod(dict(zip(words[0] + words[1], left + right)).values())


def main():
    options = operators.parser(__doc__).parse_args()
    rng = np.random.default_rng(0)

    def case(name, equation, left, right, is_weight=False):
        inputs = {"a": rng.standard_normal(left, np.float32), "b": rng.standard_normal(right, np.float32)}
        weights = [("b", inputs.pop("b"))] if is_weight else []
        node = (helper.make_node("MatMul", ["a", "b"], ["y"]) if equation is None
                else helper.make_node("Einsum", ["a", "b"], ["y"], equation=equation))
        model = operators.single(node, inputs, "y", weights)
        return operators.compare(name, model, inputs, flops_of(equation, left, right), options)

    cases = {name: lambda name=name: case(name, *CASES[name]) for name in CASES}
    cases |= {f"{rows} rows, weights": lambda rows=rows: case(f"{rows} rows, weights", None, (rows, WEIGHTS[0]), WEIGHTS, True)
              for rows in ROWS}
    operators.run(cases, options)


if __name__ == "__main__":
    main()
