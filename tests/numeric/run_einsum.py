#!/usr/bin/env python3
"""Einsum nodes as native code against NumPy: three operands and more, multiplied from left to right; ellipses of
different numbers of dims; several sizes of the dims N and M each.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from accuracy import compare  # noqa: E402
from onnx_model import OnnxModel  # noqa: E402

# Equation, then the dims of each operand.
CASES = {
    "performer": ("...de,...nd,...n->...ne", [2, 3, 4, 5], [2, 3, "N", 4], [2, 3, "N"]),
    "cosformer": ("bhld,bhdm,bhl->bhlm", ["M", 2, "N", 4], ["M", 2, 4, 5], ["M", 2, "N"]),
    "experts_chosen": ("bekn,bek,bekf->bnf", ["M", 3, 2, "N"], ["M", 3, 2], ["M", 3, 2, 5]),
    "four": ("bi,ij,jk,bk->b", ["N", 3], [3, 4], [4, "M"], ["N", "M"]),
    "outer": ("i,j,k->kij", [3], ["N"], ["M"]),
    "sums_of_one_operand": ("ia,jb,ij->ij", ["N", 3], ["M", 2], ["N", "M"]),
    "diagonal": ("bii,bi,i->b", ["M", 4, 4], ["M", 4], [4]),
    "no_dims_for_one_ellipsis": ("...nd,md->...nm", [2, "N", 4], ["M", 4]),
    "ellipses_of_different_dims": ("...nd,...dm->...nm", [2, 3, "N", 4], [3, 4, "M"]),
}


class Einsum(unittest.TestCase):
    def check(self, equation, *dims):
        names = [f"x{i}" for i in range(len(dims))]
        model = OnnxModel([("Einsum", " ".join(names), "y", {"equation": equation})], dict(zip(names, dims)))
        random = np.random.default_rng(0)
        for n, m in ((1, 1), (7, 3), (33, 18)):
            shapes = [[{"N": n, "M": m}.get(size, size) for size in operand] for operand in dims]
            inputs = {name: random.standard_normal(shape).astype(np.float32) for name, shape in zip(names, shapes)}
            wanted, plain = (np.einsum(equation, *(x.astype(t) for x in inputs.values()))
                             for t in (np.float64, np.float32))
            for outputs in model.run(inputs):
                compare(outputs["y"], wanted, plain, f"{equation} N={n} M={m}")


for _name, _case in CASES.items():
    setattr(Einsum, f"test_{_name}", lambda self, case=_case: self.check(*case))

if __name__ == "__main__":
    unittest.main()
