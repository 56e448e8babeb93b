#!/usr/bin/env python3
"""Channels mixed behind what makes pixels more: resizes, concatenations and padding, whose products the compiler puts in
front. Against the same in float64 NumPy, in the order the model says.

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

random = np.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def linear(size, to):
    """[to, size]: the part each pixel has in those of a resize by half pixels."""
    at = np.clip((np.arange(to) + 0.5) * size / to - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    parts = np.zeros((to, size))
    np.add.at(parts, (np.arange(to), low), 1 - (at - low))
    np.add.at(parts, (np.arange(to), np.minimum(low + 1, size - 1)), at - low)
    return parts


def nearest(size, to):
    return np.eye(size)[np.arange(to) * size // to]


def mix(planes, matrix):
    return np.einsum("bchw,nc->bnhw", planes, matrix[:, :, 0, 0])


def resize(x, parts):
    """Planes, of pixels in both directions; in x's own type."""
    parts = parts.astype(x.dtype)
    return np.einsum("oh,bchw,pw->bcop", parts, x, parts)


class SunkProducts(unittest.TestCase):
    def check(self, model, inputs, weights, evaluate):
        wide = {k: v.astype(np.float64) for k, v in weights.items()}
        wanted = evaluate({k: v.astype(np.float64) for k, v in inputs.items()}, wide)
        plain = evaluate(inputs, weights)
        for outputs in model.run(inputs, threads=(1, 2)):
            compare(outputs["y"], wanted, plain, "y")

    def test_a_pyramid(self):
        """Of three resolutions, each projected with a bias, resized to the finest, joined, mixed: SegFormer's head."""
        sizes, channels = (8, 4, 2), (16, 24, 40)
        weights = {"mix": normal(32, 96, 1, 1) / 8, "mixBias": normal(32)}
        nodes = []
        for n, (size, channel) in enumerate(zip(sizes, channels)):
            weights |= {f"p{n}": normal(channel, 32) / 4, f"b{n}": normal(32), f"planes{n}": np.array([0, 32, size, size]),
                        f"times{n}": np.array([1, 1, 8 / size, 8 / size], np.float32)}
            nodes += [("MatMul", f"x{n} p{n}", f"m{n}"), ("Add", f"m{n} b{n}", f"a{n}"),
                      ("Transpose", f"a{n}", f"t{n}", {"perm": [0, 2, 1]}), ("Reshape", f"t{n} planes{n}", f"u{n}"),
                      ("Resize", f"u{n}  times{n}", f"r{n}", {"mode": "linear"})]
        nodes += [("Concat", "r2 r1 r0", "all", {"axis": 1}), ("Conv", "all mix mixBias", "z"), ("Relu", "z", "y")]
        model = OnnxModel(nodes, {f"x{n}": ["B", s * s, c] for n, (s, c) in enumerate(zip(sizes, channels))},
                          weights=weights)

        def evaluate(x, w):
            planes = []
            for n in (2, 1, 0):
                u = (x[f"x{n}"] @ w[f"p{n}"] + w[f"b{n}"]).transpose(0, 2, 1)
                planes.append(resize(u.reshape(-1, 32, sizes[n], sizes[n]), linear(sizes[n], 8)))
            return np.maximum(mix(np.concatenate(planes, 1), w["mix"]) + w["mixBias"][:, None, None], 0)

        program = model.program("fuse")
        self.assertEqual(program.count("#tenon.recipe<product"), 6, "three projections and their biases")
        for batch in (1, 3):
            self.check(model, {f"x{n}": normal(batch, s * s, c) for n, (s, c) in enumerate(zip(sizes, channels))},
                       weights, evaluate)

    def test_a_plane_made_larger(self):
        """By the nearest pixel or between pixels, to any extent, of any batch."""
        weights = {"w": normal(24, 48, 1, 1) / 7, "b": normal(24), "times": np.array([1, 1, 2, 2], np.float32)}
        modes = {"linear": ({"mode": "linear"}, linear),
                 "nearest": ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
                             nearest)}
        for name, (attributes, parts) in modes.items():
            model = OnnxModel([("Resize", "x  times", "r", attributes), ("Conv", "r w b", "y")],
                              {"x": ["B", 48, 5, 7]}, weights=weights)
            self.assertRegex(model.program("fuse"), r"tenon\.contract .*, 48, 5, 7\]>>, tensor<48x24xf32>")

            def evaluate(x, w, parts=parts):
                rows, columns = parts(5, 10).astype(x["x"].dtype), parts(7, 14).astype(x["x"].dtype)
                large = np.einsum("oh,bchw,pw->bcop", rows, x["x"], columns)
                return mix(large, w["w"]) + w["b"][:, None, None]

            for batch in (1, 2):
                self.check(model, {"x": normal(batch, 48, 5, 7)}, weights, evaluate)

    def test_padding_and_channels_of_zeros(self):
        weights = {"w": normal(32, 80, 1, 1) / 9, "pads": np.array([0, 16, 3, 3, 0, 0, 3, 3])}
        model = OnnxModel([("Pad", "x pads", "p"), ("Conv", "p w", "y")], {"x": ["B", 64, 6, 6]}, weights=weights)
        self.assertRegex(model.program("fuse"), r"tenon\.contract .*, 64, 6, 6\]>>, tensor<64x32xf32>")

        def evaluate(x, w):
            return mix(np.pad(x["x"], ((0, 0), (16, 0), (3, 3), (3, 3))), w["w"])

        self.check(model, {"x": normal(2, 64, 6, 6)}, weights, evaluate)

    def test_a_constant_around_stays(self):
        weights = {"w": normal(32, 64, 1, 1) / 8, "pads": np.array([0, 0, 3, 3, 0, 0, 3, 3]), "one": np.float32(1)}
        model = OnnxModel([("Pad", "x pads one", "p"), ("Conv", "p w", "y")], {"x": ["B", 64, 6, 6]}, weights=weights)

        def evaluate(x, w):
            return mix(np.pad(x["x"], ((0, 0), (0, 0), (3, 3), (3, 3)), constant_values=1), w["w"])

        self.check(model, {"x": normal(2, 64, 6, 6)}, weights, evaluate)

    def test_sums_of_itself(self):
        """Forty times twice itself is one map, of which each sum is looked at once."""
        weights = {"w": normal(64, 32), "rows": np.array([3, 40, 64])}
        nodes = [("Add", f"x{n} x{n}", f"x{n + 1}") for n in range(40)]
        nodes += [("Expand", "x40 rows", "r"), ("MatMul", "r w", "y")]
        model = OnnxModel(nodes, {"x0": [3, 1, 64]}, weights=weights)
        self.assertIn("(tensor<3x1x64xf32>, tensor<64x32xf32>)", model.program("fuse"))
        self.check(model, {"x0": normal(3, 1, 64)}, weights,
                   lambda x, w: np.broadcast_to(x["x0"] * x["x0"].dtype.type(2) ** 40, (3, 40, 64)) @ w["w"])


if __name__ == "__main__":
    unittest.main()
