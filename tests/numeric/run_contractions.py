#!/usr/bin/env python3
"""Contractions of two activations as native code against NumPy, at odd sizes, none and one included.

A case is a specification with a size for each index, a number or a symbol. Every case is compiled with a map behind it that
reads a table at the result's first and last index, some alone as well.
"""

import itertools
import pathlib
import sys
import unittest

import ml_dtypes
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import Program  # noqa: E402

# Of the symbols M, N, K: around vectors, panels and tiles; more than a slab of sums, than a block of rows.
SIZES = [(1, 1, 1), (2, 3, 0), (0, 5, 4), (5, 0, 4), (9, 17, 16), (49, 49, 33), (15, 97, 65), (130, 31, 127), (17, 16, 1100),
         (259, 7, 5)]

CASES = {
    "matrices": ("m k, k n -> m n", {"m": "M", "k": "K", "n": "N"}),
    "batches": ("b m k, b k n -> b m n", {"b": 3, "m": "M", "k": "K", "n": "N"}),
    "right_transposed": ("m k, n k -> m n", {"m": "M", "k": "K", "n": "N"}),
    "left_transposed": ("k m, k n -> m n", {"m": "M", "k": "K", "n": "N"}),
    "sides_changed": ("k n, m k -> m n", {"m": "M", "k": "K", "n": "N"}),
    "scores_of_heads": ("b q h d, b k h d -> b h q k", {"b": 2, "q": "M", "h": 3, "d": 20, "k": "N"}),
    "values_of_heads": ("b h q k, b k h d -> b q h d", {"b": 2, "h": 3, "q": "M", "k": "K", "d": 20}),
    "sum_over_positions": ("b n h d, b n h e -> b h d e", {"b": 2, "n": "K", "h": 3, "d": 21, "e": "N"}),
    "filters_of_an_image": ("n c, b c h w -> b n h w", {"n": "M", "c": "K", "b": 2, "h": 3, "w": "N"}),
    "matrix_times_vector": ("m k, k -> m", {"m": "M", "k": "K"}),
    "vector_times_matrix": ("k, k n -> n", {"k": "K", "n": "N"}),
    "rows_of_the_left_last": ("b h q d, b h d -> b h q", {"b": 2, "h": 3, "q": "M", "d": "K"}),
    "two_sums_apart": ("m h x d, d h n -> m x n", {"m": "M", "h": 3, "x": 2, "d": "K", "n": "N"}),
    "no_neighbours": ("k m t, n k t -> t m n", {"k": "K", "m": "M", "t": 3, "n": "N"}),
    "columns_apart": ("m k, p k q -> p m q", {"m": "M", "k": "K", "p": 3, "q": "N"}),
    "rows_apart": ("x b y k, b k n -> b x y n", {"x": 3, "b": 2, "y": "M", "k": "K", "n": "N"}),
    "one_row": ("b m k, b k n -> b m n", {"b": 3, "m": 1, "k": "K", "n": "N"}),
    "one_row_of_columns": ("b k, n b k -> b n", {"b": 3, "k": "K", "n": "N"}),
    "three_rows": ("b m k, b k n -> b m n", {"b": 2, "m": 3, "k": "K", "n": "M"}),
    "four_rows_of_heads": ("b q h d, b k h d -> b h q k", {"b": 2, "q": 4, "h": 3, "d": "K", "k": "N"}),
    "one_row_of_long_blocks": ("m k, k n -> m n", {"m": 1, "k": "N", "n": 1037}),
    "two_rows_of_long_columns": ("m k, n k -> m n", {"m": 2, "k": 700, "n": "N"}),
    "two_rows_of_short_columns": ("m k, n k -> m n", {"m": 2, "k": 75, "n": "N"}),
    "heads_last": ("b m h k, b n h k -> b m n h", {"b": 2, "m": "M", "h": 5, "k": "K", "n": "N"}),
    "heads_last_everywhere": ("m k h, n k h -> m n h", {"m": "M", "h": 19, "k": "K", "n": "N"}),
    "heads_around": ("h m k g, h k n g -> m h n g", {"m": "M", "h": 2, "g": 3, "k": "K", "n": "N"}),
    "unit_dims": ("b m o k, b k n -> b m o n", {"b": 1, "m": "M", "o": 1, "k": "K", "n": "N"}),
}
# Several indices are one column where no map reads them one by one.
ALONE = {"matrices", "filters_of_an_image", "sum_over_positions", "columns_apart"}


def words_of(spec):
    operands, result = spec.split("->")
    left, right = operands.split(",")
    return left.split(), right.split(), result.split()


def contraction(spec, a, b):
    """Added up one by one in the arrays' own dtype."""
    left, right, result = words_of(spec)
    summed = [w for w in left if w in right and w not in result]
    order = result + summed
    spread = lambda array, words: np.moveaxis(
        array.reshape(array.shape + (1,) * len(set(order) - set(words))), range(len(order)),
        [order.index(w) for w in words + [w for w in order if w not in words]])
    a, b = spread(a, left), spread(b, right)
    sizes = [max(p, q) if min(p, q) else 0 for p, q in zip(a.shape, b.shape)]
    total = np.zeros(sizes[: len(result)], a.dtype)
    at = lambda array, point: array[(Ellipsis, *(0 if n == 1 else p for p, n in zip(point, array.shape[len(result):])))]
    for point in itertools.product(*map(range, sizes[len(result):])):
        total += at(a, point) * at(b, point)
    return total


def text_of(spec, sizes, element, with_map):
    left, right, result = ([sizes[w] for w in words] for words in words_of(spec))
    a, b, y = (tensor(*dims, of=element) for dims in (left, right, result))
    t = tensor(result[0], result[-1], of=element)
    body = f'  %c = tenon.contract "{spec}" %a, %b : ({a}, {b}) -> {y}\n'
    if with_map:
        indices = [f"%i{n}" for n in range(len(result))]
        body += (f"  %y = tenon.map %p = %c, %q = %t at {', '.join(indices)} : ({y}, {t}) -> {y} {{\n"
                 f"    %u = tenon.load %p[{', '.join(indices)}] : {y}\n"
                 f"    %v = tenon.load %q[{indices[0]}, {indices[-1]}] : {t}\n"
                 f"    %s = arith.addf %u, %v : {element}\n    tenon.yield %s : {element}\n  }}")
    inputs = {"a": a, "b": b, **({"t": t} if with_map else {})}
    return entry(inputs, {"y": y}, body, {s: (0, 4096) for s in "MNK" if s in sizes.values()}, ["%y" if with_map else "%c"])


class ContractionTest(unittest.TestCase):
    def inputs(self, spec, sizes, symbols, dtype, with_map):
        rng = np.random.default_rng(sum(symbols.values()))
        shapes = [[symbols.get(sizes[w], sizes[w]) for w in words] for words in words_of(spec)]
        draw = lambda shape: rng.standard_normal(shape).astype(np.float32).astype(dtype)
        table = {"t": draw((shapes[2][0], shapes[2][-1]))} if with_map else {}
        return {"a": draw(shapes[0]), "b": draw(shapes[1]), **table}

    def oracle(self, spec, inputs, kind):
        y = contraction(spec, inputs["a"].astype(kind), inputs["b"].astype(kind))
        if "t" in inputs:
            t = inputs["t"].astype(kind)
            t = np.diagonal(t) if y.ndim == 1 else t.reshape(t.shape[:1] + (1,) * (y.ndim - 2) + t.shape[1:])
            y = y + t
        return y

    def points(self, sizes):
        """Each set of sizes of the symbols the case has, once."""
        used = [s for s in "MNK" if s in sizes.values()]
        return [dict(zip(used, point)) for point in
                sorted({tuple(size for s, size in zip("MNK", sizes) if s in used) for sizes in SIZES})]

    def check(self, spec, sizes, with_map):
        program = Program(text_of(spec, sizes, "f32", with_map))
        for symbols in self.points(sizes):
            inputs = self.inputs(spec, sizes, symbols, np.float32, with_map)
            wanted, plain = self.oracle(spec, inputs, np.float64), self.oracle(spec, inputs, np.float32)
            bits = {}
            for level, threads, found in program.run(inputs):
                compare(found["y"], wanted, plain, f"{spec} {symbols} {level} {threads} thread(s)")
                self.assertEqual(bits.setdefault(level, found["y"].tobytes()), found["y"].tobytes(),
                                 f"{spec} {symbols} {level}: threads change the result")

    def test_narrow_elements(self):
        """Sums are f32 and rounded once: half a unit in the last place, and what f32 leaves."""
        for element, dtype, half_unit in (("f16", np.float16, 2**-11), ("bf16", ml_dtypes.bfloat16, 2**-8)):
            for name in ("matrices", "right_transposed", "left_transposed", "no_neighbours"):
                spec, sizes = CASES[name]
                program = Program(text_of(spec, sizes, element, False))
                for symbols in ({"M": 33, "N": 19, "K": 37}, {"M": 1, "N": 1, "K": 600}):
                    inputs = self.inputs(spec, sizes, symbols, dtype, False)
                    wanted = self.oracle(spec, inputs, np.float64)
                    for level, _, found in program.run(inputs, threads=(1,)):
                        error = np.abs(found["y"].astype(np.float64) - wanted)
                        self.assertTrue((error <= half_unit * np.abs(wanted) + 1e-4).all(), f"{name} {element} {level}")


for _name, (_spec, _sizes) in CASES.items():
    for _with_map in ([False, True] if _name in ALONE else [True]):
        setattr(ContractionTest, f"test_{_name}{'_and_map' * _with_map}",
                lambda self, s=_spec, z=_sizes, w=_with_map: self.check(s, z, w))

if __name__ == "__main__":
    unittest.main()
