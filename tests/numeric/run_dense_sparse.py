#!/usr/bin/env python3
"""`dense_sparse` (DSFormer): blocked dense bases times sparse codes, against the same fitting in NumPy float64.

TENON_BUILD names the build folder.
"""

import pathlib
import re
import sys
import unittest

import numpy as np
from onnx import helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from run_factorize import FactorizeCase, decaying, truncated  # noqa: E402

REPORT = re.compile(r"^    (\S+), (\d+) x (\d+): (\d+) bases of (\d+) columns, (\d+) non-zeros in each of its own, relative error (\S+?)(?:;.*)?$",
                    re.MULTILINE)


def codes(basis, block, nonzeros):
    """Orthogonal matching pursuit, each solution by least squares on the chosen columns."""
    found = np.zeros((basis.shape[1], block.shape[1]))
    for c, column in enumerate(block.T):
        support, rest = [], column
        while len(support) < nonzeros and np.abs(basis.T @ rest).max() > 1e-12 * np.linalg.norm(basis.T @ column):
            support.append(int(np.abs(basis.T @ rest).argmax()))
            values = np.linalg.lstsq(basis[:, support], column, rcond=None)[0]
            rest = column - basis[:, support] @ values
            found[support, c] = values
    return found


def fitted(block, rank, nonzeros):
    """The method of optimal directions; the best of 12 turns."""
    best, basis = (np.inf, None), block[:, np.arange(rank) * block.shape[1] // rank]
    for _ in range(12):
        basis = basis / np.linalg.norm(basis, axis=0)
        s = codes(basis, block, nonzeros)
        off = block - basis @ s
        if np.linalg.norm(off) < best[0]:
            best = np.linalg.norm(off), basis @ s, s
        basis = block @ np.linalg.pinv(s)
        worst = iter(np.argsort(-np.linalg.norm(off, axis=0), kind="stable"))
        for j in np.flatnonzero(~s.any(1)):
            basis[:, j] = off[:, next(worst)]
    return best[1:]


class DenseSparseTest(FactorizeCase):
    def step(self, basis, nonzeros, blocks=None):
        return {"do": "dense_sparse", "weights": ["w"], "basis": basis, "nonzeros": nonzeros} | ({"blocks": blocks} if blocks else {})

    def structured(self, k, n, rank, nonzeros, blocks, noise):
        """Columns made from few of the columns of their block's basis, nearly."""
        parts = []
        for b in range(blocks):
            width = (b + 1) * n // blocks - b * n // blocks
            s = np.zeros((rank, width))
            for c in range(width):
                s[self.random.choice(rank, nonzeros, replace=False), c] = self.random.standard_normal(nonzeros)
            parts.append(self.random.standard_normal((k, rank)) @ s)
        return (np.hstack(parts) + noise * self.random.standard_normal((k, n))).astype(np.float32)

    def check_product(self, k, n, basis, nonzeros, blocks, rows, transposed=False):
        weight = self.structured(k, n, basis, nonzeros, blocks, 0.05)
        gemm = helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="layer", transB=int(transposed))
        bias = self.random.standard_normal(n).astype(np.float32)
        model = self.write([gemm, helper.make_node("Relu", ["h"], ["y"])],
                           {"w": np.ascontiguousarray(weight.T) if transposed else weight, "b": bias}, k)
        status, text, _ = self.compile(model, [self.step(basis, nonzeros, blocks if blocks > 1 else None)])
        self.assertEqual(status, 0, text)
        parts = [fitted(weight[:, b * n // blocks:(b + 1) * n // blocks].astype(np.float64), basis, nonzeros) for b in range(blocks)]
        for _, s in parts:
            self.assertLessEqual((s != 0).sum(0).max(), nonzeros)
        wanted = np.hstack([product for product, _ in parts])
        (fields,) = [m.groups() for m in REPORT.finditer(text)]
        self.assertEqual([int(f) for f in fields[1:6]], [k, n, blocks, basis, nonzeros])
        self.assertAlmostEqual(float(fields[6]), np.linalg.norm(weight - wanted) / np.linalg.norm(weight), delta=0.02 * float(fields[6]))
        x = self.random.standard_normal((rows, k)).astype(np.float32)
        truth = np.maximum(x @ wanted + bias, 0)
        for found in self.results({"x": x}, threads=2):
            np.testing.assert_allclose(found["y"], truth, atol=2e-5 * np.abs(truth).max())
        return float(fields[6]), weight

    def test_products(self):
        for k, n, basis, nonzeros, blocks, rows, transposed in ((40, 61, 9, 3, 1, 7, False), (33, 70, 8, 2, 3, 1, True), (48, 50, 10, 10, 2, 3, False),
                                                                (65, 130, 16, 4, 2, 70, False)):
            with self.subTest(k=k, n=n, blocks=blocks):
                self.check_product(k, n, basis, nonzeros, blocks, rows, transposed)

    def test_better_than_low_rank(self):
        """Where columns are made from few of many directions, low rank with as many elements loses more."""
        error, weight = self.check_product(64, 160, 24, 2, 1, 3)
        rank = (24 * 64 + 2 * 2 * 160) // (64 + 160)
        self.assertLess(error, 0.8 * truncated(weight, rank)[1])

    def test_no_gain_and_other_readers(self):
        model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": decaying(self.random, 40, 40)}, 40)
        status, text, report = self.compile(model, [self.step(30, 5)])
        self.assertEqual((status, report["w"][5]), (0, "bases and codes would take no fewer elements"), text)

    def test_zeros(self):
        model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.zeros((40, 40), np.float32)}, 40)
        self.assertEqual(self.compile(model, [self.step(4, 2)])[0], 0)
        for found in self.results({"x": np.ones((2, 40), np.float32)}):
            np.testing.assert_array_equal(found["y"], 0)

    def test_refusals(self):
        weight = decaying(self.random, 40, 60)
        model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, 40)
        self.refused(model, [self.step(41, 4)], "step 1: weight 'w' (40 x 60 in 1 blocks): wanted a basis of at most 40, found 41")
        self.refused(model, [self.step(16, 4, 4)], "step 1: weight 'w' (40 x 60 in 4 blocks): wanted a basis of at most 15, found 16")
        self.refused(model, [self.step(8, 9)], "step 1: wanted 'nonzeros' of at most 8, found 9")
        self.refused(model, [{"do": "dense_sparse", "weights": ["w"], "basis": 8}], "step 1: wanted 'basis' and 'nonzeros'")
        self.refused(model, [self.step(8, 0)], "step 1, nonzeros: wanted a number of at least 1, found 0")
        self.refused(model, [self.step(8, 2) | {"weights": ["v"]}], "step 1, weights: no product has a weight or node called 'v'")
        weight[3, 5] = np.inf
        model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, 40)
        self.refused(model, [self.step(8, 2)], "step 1: weight 'w': wanted finite elements")


if __name__ == "__main__":
    unittest.main()
