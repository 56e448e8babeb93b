#!/usr/bin/env python3
"""A conversion that a graph asks for, f32 to a narrower float and back, rounds: in maps, and between the two products of an
attention. Against ml_dtypes and NumPy's float64.

Scores are of multiples of 1/8, exact in f32, so that every evaluation rounds the same numbers.
"""

import pathlib
import sys
import unittest

import ml_dtypes
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from mlir_text import entry, tensor  # noqa: E402
from native import Program  # noqa: E402

NARROW = {"bf16": ml_dtypes.bfloat16, "f16": np.float16}
SIZES = [(1, 1), (3, 7), (17, 64), (33, 65)]
SYMBOLS = {"N": (0, 256), "M": (0, 256)}
random = np.random.default_rng(0)


def softmax(y):
    e = np.exp(y - y.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def round_trip(to, value, name):
    return f"""      %n{name} = arith.truncf {value} : f32 to {to}
      %{name} = arith.extf %n{name} : {to} to f32
"""


class Roundings(unittest.TestCase):
    def check(self, text, cases, want, tolerance):
        program = Program(text)
        for case in cases:
            for level, threads, outputs in program.run(case):
                np.testing.assert_allclose(outputs["y"], want(case), rtol=tolerance, atol=tolerance,
                                           err_msg=f"{level}, {threads} threads")

    def test_map(self):
        for to, dtype in NARROW.items():
            with self.subTest(to):
                of = tensor("N")
                text = entry({"x": of}, {"y": of}, f"""  %y = tenon.map %a = %x at %i : ({of}) -> {of} {{
      %v = tenon.load %a[%i] : {of}
{round_trip(to, "%v", "w")}      tenon.yield %w : f32
  }}""", SYMBOLS)
                self.check(text, [{"x": random.standard_normal(n).astype(np.float32)} for n, _ in SIZES],
                           lambda case: case["x"].astype(dtype).astype(np.float32), 0)

    def attention(self, algorithm, score):
        q, kv = tensor(2, "N", 3, 16), tensor(2, "M", 3, 16)
        layout = '["b n h d", "b n h d", "b n h d", "b n h d"]'
        return entry({"q": q, "k": kv, "v": kv}, {"y": q}, f"""  %y = tenon.attention %q, (%k), (%v) normalise softmax empty zero
      layout {layout} algorithm {algorithm} : ({q}, {kv}, {kv}) -> {q}
    score (%x, %b, %h, %i, %j) {{
{score}    }}""", SYMBOLS)

    def cases(self):
        for n, m in SIZES:
            eighths = [random.integers(-24, 25, (2, rows, 3, 16)) / 8 for rows in (n, m)]
            yield dict(zip("qkv", map(np.float32, [*eighths, random.standard_normal((2, m, 3, 16))])))

    def test_scores(self):
        for to, dtype in NARROW.items():
            for algorithm in ("flash", "materialised"):
                with self.subTest(f"{to} {algorithm}"):
                    text = self.attention(algorithm, "      %c = arith.constant 0.25 : f32\n"
                                          "      %s = arith.mulf %x, %c : f32\n" + round_trip(to, "%s", "y") +
                                          "      tenon.yield %y : f32\n")

                    def want(case):
                        scores = np.einsum("bihd,bjhd->bhij", case["q"], case["k"]) * np.float32(0.25)
                        return np.einsum("bhij,bjhd->bihd", softmax(scores.astype(dtype).astype(np.float64)), case["v"])

                    self.check(text, self.cases(), want, 2e-5)


if __name__ == "__main__":
    unittest.main(verbosity=1)
