#!/usr/bin/env python3
"""tenon.fft as native code against numpy.fft in float64: lengths of every kind, batches, layouts, directions.

The bound is the documented one: 3e-7 in relative L2 norm for float32 up to 16384, 1e-6 where the length is a symbol.
"""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from mlir_text import entry, tensor  # noqa: E402
from native import Program  # noqa: E402

BOUND = {"f32": 3e-7, "symbolic": 1e-6, "f64": 1e-14, "f16": 1e-3}
NUMPY = {"f32": np.float32, "f64": np.float64, "f16": np.float16}


class Transform:
    """x has dims, N_in along axis and 1 or 2 parts; y has `wanted` frequencies."""

    def __init__(self, dims, axis, parts, length=None, wanted=None, real_result=False, inverse=False, of="f32"):
        self.dims, self.axis, self.parts, self.inverse, self.of = dims, axis, parts, inverse, of
        self.length = length or dims[axis]
        self.wanted = wanted or self.length
        self.result = list(dims)
        self.result[axis], self.result[parts] = self.wanted, 1 if real_result else 2

    def text(self, x, y):
        kind = "inverse " if self.inverse else ""
        return (f"  %{y} = tenon.fft {kind}%{x} length #tenon.dim<{self.length}> axis {self.axis} parts {self.parts} : "
                f"{self.type(self.dims)} -> {self.type(self.result)}")

    def type(self, dims):
        return tensor(*dims, of=self.of)

    def draw(self, rng, sizes):
        shape = [sizes.get(d, d) if isinstance(d, str) else d for d in self.dims]
        return rng.standard_normal(shape).astype(NUMPY[self.of])

    def oracle(self, x, sizes):
        length = sizes.get(self.length, self.length)
        wanted = sizes.get(self.wanted, self.wanted) if isinstance(self.wanted, str) else self.wanted
        pair = np.moveaxis(x.astype(np.float64), self.parts, -1)
        z = pair[..., 0] + (1j * pair[..., 1] if pair.shape[-1] == 2 else 0)
        axis = self.axis - (self.parts < self.axis)
        y = (np.fft.ifft if self.inverse else np.fft.fft)(z, length, axis)
        y = np.take(y, range(wanted), axis)
        both = np.stack([y.real, y.imag], -1)[..., : self.result[self.parts]]
        return np.moveaxis(both, -1, self.parts)


SMALL = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 19, 23, 24, 30, 31, 32, 36, 37, 60, 64)
MIDDLE = (97, 100, 101, 120, 127, 128, 144, 169, 243, 251, 256, 257, 360, 400, 512, 625, 1000, 1009, 1024)
LARGE = (2048, 2187, 4096, 4099, 8192)
LARGEST = (10007, 16384)

CASES = {
    "rows": {f"n{n}": Transform(("B", n, 2), 1, 2) for n in SMALL},
    "rows_middle": {f"n{n}": Transform(("B", n, 2), 1, 2) for n in MIDDLE},
    "columns": {f"n{n}": Transform((n, 2, "C"), 0, 1) for n in (1, 2, 5, 8, 17, 30, 64, 128, 511, 1024)},
    "columns_whole": {f"n{n}": Transform((2, n, 2, 32), 1, 2) for n in (4, 12, 16, 49, 96, 512, 2048)},
    "pairs": {f"n{n}": Transform(("B", n, "C", 2), 1, 3) for n in (3, 16, 40, 53, 256)},
    "inverse": {f"n{n}": Transform(("B", n, 2), 1, 2, inverse=True) for n in (1, 2, 7, 16, 45, 59, 300, 1024)},
    "inverse_columns": {f"n{n}": Transform((n, 2, 16), 0, 1, inverse=True) for n in (6, 8, 41, 256)},
    "real_half": {f"n{n}": Transform(("B", n, 1), 1, 2, wanted=n // 2 + 1) for n in (1, 2, 9, 16, 43, 100, 400, 512)},
    "real_result": {f"n{n}": Transform((n, "C", 2), 0, 2, real_result=True, inverse=True) for n in (5, 32, 47)},
    "padded": {f"n{n}_{given}": Transform((given, 2, 16), 0, 1, length=n, wanted=w)
               for given, n, w in ((1, 8, 8), (5, 16, 7), (32, 64, 32), (33, 64, 31), (100, 256, 129), (3, 1024, 1024),
                                   (20, 53, 11), (7, 4, 4), (100, 31, 31), (1024, 2048, 1024))},
    "padded_rows": {f"n{n}_{given}": Transform(("B", given, 2), 1, 2, length=n, wanted=w)
                    for given, n, w in ((1, 8, 8), (5, 16, 7), (33, 64, 31), (20, 53, 11), (7, 4, 2))},
    "outer_parts": {f"n{n}": Transform((2, "B", n), 2, 0) for n in (8, 21, 128)},
    "middle_axis": {f"n{n}": Transform(("B", n, 3, 2), 1, 3) for n in (8, 21, 128)},
    "f64": {f"n{n}": Transform(("B", n, 2), 1, 2, of="f64") for n in (5, 16, 71, 1024)},
    "f64_columns": {f"n{n}": Transform((n, 2, "C"), 0, 1, of="f64") for n in (5, 16, 71, 1024)},
    "f16": {f"n{n}": Transform(("B", n, 2), 1, 2, of="f16") for n in (5, 16, 64)},
    "large": {f"n{n}": Transform(("B", n, 2), 1, 2) for n in LARGE},
    "largest": {f"n{n}": Transform((n, 2, "C"), 0, 1) for n in LARGEST},
    "symbolic": {"n": Transform(("B", "N", 2), 1, 2), "back": Transform(("B", "N", 2), 1, 2, inverse=True),
                 "columns": Transform(("N", 2, "C"), 0, 1)},
}
SIZES = {
    "large": [{"B": 2}], "largest": [{"C": 3}], "rows_middle": [{"B": 1}, {"B": 16}],
    "symbolic": [{"B": b, "N": n, "C": c} for b, n, c in ((1, 1, 1), (2, 2, 5), (3, 7, 16), (1, 64, 17), (5, 131, 3), (2, 500, 1))],
}
DEFAULT_SIZES = [{"B": b, "C": c} for b, c in ((1, 1), (3, 16), (17, 17), (16, 5), (2, 33))] + [{"B": 0, "C": 4}]


class Fourier(unittest.TestCase):
    pass


def relative_error(found, wanted):
    norm = np.linalg.norm(wanted)
    return np.linalg.norm(found.astype(np.float64) - wanted) / norm if norm else float(np.abs(found).max(initial=0))


def test(name):
    def run(self):
        group = CASES[name]
        inputs = {f"x_{n}": t.type(t.dims) for n, t in group.items()}
        outputs = {f"y_{n}": t.type(t.result) for n, t in group.items()}
        body = "\n".join(t.text(f"x_{n}", f"y_{n}") for n, t in group.items())
        symbols = {"B": (0, 64), "C": (0, 64), "N": (1, 4096)}
        program = Program(entry(inputs, outputs, body, symbols))
        rng = np.random.default_rng(7)
        for sizes in SIZES.get(name, DEFAULT_SIZES):
            data = {f"x_{n}": t.draw(rng, sizes) for n, t in group.items()}
            for level, threads, found in program.run(data):
                for n, t in group.items():
                    wanted = t.oracle(data[f"x_{n}"], sizes)
                    result = found[f"y_{n}"]
                    self.assertEqual(result.shape, wanted.shape)
                    error = relative_error(result, wanted)
                    bound = BOUND["symbolic" if isinstance(t.length, str) else t.of]
                    self.assertLessEqual(error, bound, f"{name} {n}, {sizes}, {level}, {threads} threads: {error:.2e}")
    return run


for case in CASES:
    setattr(Fourier, f"test_{case}", test(case))

if __name__ == "__main__":
    unittest.main()
