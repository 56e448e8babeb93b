#!/usr/bin/env python3
"""Toeplitz products and attention by Fourier transforms, as native code against quadratic float64 sums.

Every case is computed in each form. Bounds are relative to the largest |t| times the norm of what it multiplies, as
ChooseToeplitzForm's documentation states them.
"""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from mlir_text import entry, tensor  # noqa: E402
from native import Program  # noqa: E402

BOUND = 1e-6


class Product:
    """batch, heads, M rows, N columns, channels; diagonals of each channel; features; causal; rows of a block."""

    def __init__(self, batch, heads, rows, columns, channels, features=0, own=False, causal=False, form="fft", block=0):
        self.shape = batch, heads, rows, columns, channels
        self.features, self.own, self.causal, self.form, self.block = features, own, causal, form, block
        diagonals = (heads, rows + columns - 1) + ((channels,) if own else ())
        self.inputs = {"x": (batch, heads, columns, channels), "t": diagonals}
        if features:
            self.inputs.update(q=(batch, heads, rows, features), k=(batch, heads, columns, features))
        self.result = (batch, heads, rows, channels)

    def text(self):
        types = {n: tensor(*d) for n, d in self.inputs.items()}
        operands = ", ".join(types.values())
        body = (f"  %y = tenon.toeplitz %x diagonals %t {'features %q, %k ' if self.features else ''}"
                f"{'causal ' if self.causal else ''}form {self.form} {f'{{tenon.block = {self.block} : i64}}' * bool(self.block)} : ({operands}) -> {tensor(*self.result)}")
        return entry(types, {"y": tensor(*self.result)}, body, {})

    def matrix(self, t):
        _, _, rows, columns, _ = self.shape
        i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
        matrix = t[:, j - i + rows - 1]
        if self.causal:
            matrix = np.where((j > i).reshape((1, rows, columns) + (1,) * self.own), 0, matrix)
        return matrix

    def oracle(self, x, t, q=None, k=None):
        matrix = self.matrix(t)
        if self.own:
            return np.einsum("hijc,bhjc->bhic", matrix, x)
        if q is not None:
            return np.einsum("bhij,bhjc->bhic", np.einsum("bhir,bhjr->bhij", q, k) * matrix[None], x)
        return np.einsum("hij,bhjc->bhic", matrix, x)


SHAPES = {
    "one": (1, 1, 1, 1, 1), "two": (1, 2, 2, 2, 3), "odd": (2, 3, 17, 17, 5), "wide": (1, 2, 7, 30, 33),
    "tall": (2, 1, 41, 6, 16), "full": (1, 2, 64, 64, 32), "some": (1, 1, 100, 100, 48), "long": (1, 1, 1000, 1000, 40),
    "longer": (1, 1, 2048, 2048, 32),
}


class Toeplitz(unittest.TestCase):
    def check(self, product):
        rng = np.random.default_rng(3)
        inputs = {n: rng.standard_normal(d).astype(np.float32) for n, d in product.inputs.items()}
        wanted = product.oracle(**{n: a.astype(np.float64) for n, a in inputs.items()})
        for level, threads, found in Program(product.text()).run(inputs):
            error = np.linalg.norm(found["y"] - wanted) / max(np.linalg.norm(wanted), 1e-30)
            self.assertLessEqual(error, BOUND, f"{product.inputs}, {product.form}, {level}, {threads} threads: {error:.2e}")

    def test_repeated(self):
        """The same numbers whatever the number of threads."""
        product = Product(2, 3, 50, 50, 40, features=4)
        rng = np.random.default_rng(3)
        inputs = {n: rng.standard_normal(d).astype(np.float32) for n, d in product.inputs.items()}
        results = {}
        for level, _, found in Program(product.text()).run(inputs, threads=(1, 2, 3)):
            first = results.setdefault(level, found["y"])
            self.assertTrue(np.array_equal(first, found["y"]))

    def check_range(self, spread, bound):
        """Row by row: one diagonal of the second head is `spread` times the others, and not in most rows."""
        for product in (Product(2, 2, 60, 60, 20), Product(1, 2, 60, 60, 33, features=4),
                        Product(1, 2, 60, 60, 20, form="fft_blocks", block=25),
                        Product(1, 2, 60, 60, 20, features=3, form="fft_blocks", block=16)):
            rng = np.random.default_rng(5)
            inputs = {n: rng.uniform(0.5, 1, d).astype(np.float32) for n, d in product.inputs.items()}
            inputs["t"][1, -1] = spread
            wanted = product.oracle(**{n: a.astype(np.float64) for n, a in inputs.items()})
            for level, _, found in Program(product.text()).run(inputs):
                rows = np.linalg.norm(found["y"] - wanted, axis=-1) / np.linalg.norm(wanted, axis=-1)
                self.assertLessEqual(rows.max(), bound, f"spread {spread}, {level}: {rows.max():.2e}")

    def test_range_within(self):
        self.check_range(40, 4e-5)

    def test_range_beyond(self):
        """Transforms would lose all digits of the small rows: these heads are summed directly."""
        self.check_range(1e7, 1e-6)

    def test_not_finite(self):
        """An infinite diagonal is in the rows it is in, and nowhere else."""
        product = Product(1, 1, 20, 20, 3)
        inputs = {n: np.ones(d, np.float32) for n, d in product.inputs.items()}
        inputs["t"][0, -1] = np.inf
        for level, _, found in Program(product.text()).run(inputs):
            self.assertTrue(np.isinf(found["y"][0, 0, 0]).all())
            self.assertTrue(np.array_equal(found["y"][0, 0, 1:], np.full((19, 3), 20, np.float32)))

    def channels_with(self, value):
        """Of 33 channels' diagonals in [0.5, 1] one is `value` at the greatest distance: the worst error of a row, relative."""
        product = Product(1, 1, 60, 60, 33, own=True, causal=True)
        rng = np.random.default_rng(7)
        inputs = {n: rng.uniform(0.5, 1, d).astype(np.float32) for n, d in product.inputs.items()}
        inputs["t"][0, 0, 20] = value
        wanted = product.oracle(**{n: a.astype(np.float64) for n, a in inputs.items()})
        for level, _, found in Program(product.text()).run(inputs):
            error = np.abs(found["y"] - wanted)[0, 0, 15:] / np.abs(wanted)[0, 0, 15:]
            yield level, error.max(axis=0)

    def test_channels_within(self):
        for level, errors in self.channels_with(45):
            self.assertLessEqual(errors.max(), 4e-5, level)

    def test_channels_beyond(self):
        """The vector with such a channel is summed directly, to rounding; the others are right as ever."""
        for value in (120, 1e7, 1e30):
            for level, errors in self.channels_with(value):
                self.assertLessEqual(errors.max(), 2e-6, f"{value:g}, {level}")

    def test_channels_begin_with_zeros(self):
        """The largest of the first values counts: a delay is no kernel without a beginning."""
        product = Product(1, 1, 64, 64, 5, own=True, causal=True)
        rng = np.random.default_rng(7)
        inputs = {n: rng.standard_normal(d).astype(np.float32) for n, d in product.inputs.items()}
        inputs["t"][0, 63 - 9:64] = 0
        wanted = product.oracle(**{n: a.astype(np.float64) for n, a in inputs.items()})
        for level, _, found in Program(product.text()).run(inputs):
            self.assertLessEqual(np.linalg.norm(found["y"] - wanted) / np.linalg.norm(wanted), BOUND, level)


NAMED = {f"{name}_{form}{'_causal' * causal}": Product(*shape, causal=causal, form=form)
         for name, shape in SHAPES.items() for form in ("fft", "direct") for causal in (False, True)}
NAMED.update({f"{name}_channels_{form}{'_causal' * causal}": Product(*SHAPES[name], own=True, causal=causal, form=form)
              for name in ("one", "odd", "wide", "full", "some") for form in ("fft", "direct") for causal in (False, True)})
NAMED.update({f"{name}_features_{form}{'_causal' * causal}": Product(*SHAPES[name], features=3, causal=causal, form=form)
              for name in ("one", "odd", "full", "some", "long") for form in ("fft", "direct") for causal in (False, True)})
# Blocks that the rows and columns are a multiple of and others; one block; blocks of one row; more rows than columns and fewer.
BLOCKS = {"one": 1, "two": 1, "odd": 5, "wide": 4, "tall": 6, "full": 16, "some": 100, "long": 130, "longer": 512}
NAMED.update({f"{name}_blocks{f'_features' * bool(features)}{'_causal' * causal}":
              Product(*SHAPES[name], features=features, causal=causal, form="fft_blocks", block=block)
              for name, block in BLOCKS.items() for features in (0, 3) for causal in (False, True)
              if not features or name in ("odd", "tall", "full", "long")})
for case, product in NAMED.items():
    setattr(Toeplitz, f"test_{case}", lambda self, p=product: self.check(p))

if __name__ == "__main__":
    unittest.main()
