#!/usr/bin/env python3
"""Convolutions: Tenon, ONNX Runtime and, where it is installed, Halide 21 in turns.

    build/venv/bin/pip install onnxruntime==1.31.1 halide==21.0.0
    build/venv/bin/python benchmarks/convolutions.py [--threads 1 2] [--json FILE]

Halide has a schedule of its own for each kind of convolution, the best of a few tile sizes: tiles of the result in
registers, vectors along positions (depthwise) or filters (dense), x padded first. It runs on one thread.
"""

import os

import numpy as np
from onnx import helper

import operators

# name -> channels, filters, extents, taps, stride, zeros on each side, groups.
CASES = {
    "stem": (3, 64, (224, 224), 7, 2, 3, 1),
    "3x3": (64, 64, (56, 56), 3, 1, 1, 1),
    "3x3 stride 2, 56": (128, 128, (56, 56), 3, 2, 1, 1),
    "3x3, 28": (128, 128, (28, 28), 3, 1, 1, 1),
    "3x3 stride 2, 28": (256, 256, (28, 28), 3, 2, 1, 1),
    "3x3, 14": (256, 256, (14, 14), 3, 1, 1, 1),
    "3x3 stride 2, 14": (512, 512, (14, 14), 3, 2, 1, 1),
    "3x3, 7": (512, 512, (7, 7), 3, 1, 1, 1),
    "depthwise 7x7": (96, 96, (56, 56), 7, 1, 3, 96),
    "depthwise 3x3": (96, 96, (56, 56), 3, 1, 1, 96),
    "1x1": (64, 64, (56, 56), 1, 1, 0, 1),
    "1x1, 56, 64 to 256": (64, 256, (56, 56), 1, 1, 0, 1),
    "1x1, 56, 256 to 64": (256, 64, (56, 56), 1, 1, 0, 1),
    "1x1, 28, 128 to 512": (128, 512, (28, 28), 1, 1, 0, 1),
    "1x1, 28, 512 to 128": (512, 128, (28, 28), 1, 1, 0, 1),
    "1x1, 14, 256 to 1024": (256, 1024, (14, 14), 1, 1, 0, 1),
    "1x1, 14, 1024 to 256": (1024, 256, (14, 14), 1, 1, 0, 1),
    "1x1, 7, 512 to 2048": (512, 2048, (7, 7), 1, 1, 0, 1),
    "1x1, 7, 2048 to 512": (2048, 512, (7, 7), 1, 1, 0, 1),
    "1x1 stride 2, 56": (256, 512, (56, 56), 1, 2, 0, 1),
    "1x1 stride 2, 14": (1024, 2048, (14, 14), 1, 2, 0, 1),
    "patches 16x16": (3, 768, (224, 224), 16, 16, 0, 1),
    "patches 4x4": (3, 96, (224, 224), 4, 4, 0, 1),
    "patches 2x2": (96, 192, (56, 56), 2, 2, 0, 1),
    "depthwise 7x7, 14": (384, 384, (14, 14), 7, 1, 3, 384),
    "depthwise 7x7, 7": (768, 768, (7, 7), 7, 1, 3, 768),
    "depthwise 3x3 stride 2": (96, 96, (112, 112), 3, 2, 1, 96),
    "3x3 in 32 groups": (128, 128, (56, 56), 3, 1, 1, 32),
    "whisper first": (80, 384, (3000,), 3, 1, 1, 1),
    "whisper second": (384, 384, (3000,), 3, 2, 1, 1),
}


class Halide:
    """Convolutions of one image, written in Halide."""

    def __init__(self):
        os.environ["HL_NUM_THREADS"] = "1"
        import halide

        self.hl = halide
        self.target = halide.Target("host-no_asserts-no_bounds_query")

    def padded(self, x):
        hl = self.hl
        c, h, w = x.shape
        at = [hl.Var(n) for n in "xyc"]
        source = hl.BoundaryConditions.constant_exterior(hl.Buffer(x), hl.f32(0), [(0, w), (0, h), (0, c)])
        rows = hl.Func("rows")
        rows[tuple(at)] = source[tuple(at)]
        return rows, at

    def depthwise(self, x, w, pad, tile):
        hl = self.hl
        channels, height, width = x.shape
        taps, (across, down) = w.shape[-1], tile
        rows, (px, py, c) = self.padded(x)
        filters = hl.Buffer(np.ascontiguousarray(w.reshape(channels, taps, taps)))
        ix, iy = hl.Var("ix"), hl.Var("iy")
        r = hl.RDom([(0, taps), (0, taps)])
        sums, result = hl.Func("sums"), hl.Func("result")
        sums[px, py, c] = hl.f32(0)
        sums[px, py, c] += rows[px + r.x - pad, py + r.y - pad, c] * filters[r.x, r.y, c]
        result[px, py, c] = sums[px, py, c]
        result.bound(px, 0, width).bound(py, 0, height)
        result.tile(px, py, ix, iy, across, down, hl.TailStrategy.ShiftInwards).vectorize(ix, 16).unroll(ix).unroll(iy)
        sums.compute_at(result, px).vectorize(px, 16).unroll(px).unroll(py)
        sums.update().reorder(px, py, r.x, r.y, c).vectorize(px, 16).unroll(px).unroll(py).unroll(r.x)
        rows.compute_at(result, c).vectorize(px, 16, hl.TailStrategy.RoundUp)
        return self.compiled(result, (width, height, channels))

    def dense(self, x, w, stride, pad, tile):
        hl = self.hl
        channels, height, width = x.shape
        filters, _, taps, _ = w.shape
        high, wide = (height + 2 * pad - taps) // stride + 1, (width + 2 * pad - taps) // stride + 1
        rows, (px, py, _) = self.padded(x)
        o, ix, io = hl.Var("o"), hl.Var("ix"), hl.Var("io")
        self.turned = np.ascontiguousarray(w.transpose(2, 3, 1, 0))
        weights = hl.Buffer(self.turned)  # filter, channel, tap across, tap down
        r = hl.RDom([(0, channels), (0, taps), (0, taps)])
        sums, result = hl.Func("sums"), hl.Func("result")
        sums[o, px, py] = hl.f32(0)
        sums[o, px, py] += weights[o, r.x, r.y, r.z] * rows[px * stride + r.y - pad, py * stride + r.z - pad, r.x]
        result[px, py, o] = sums[o, px, py]
        block, across = tile
        result.bound(px, 0, wide).bound(py, 0, high).bound(o, 0, filters)
        result.split(px, px, ix, across, hl.TailStrategy.ShiftInwards).split(o, o, io, block).reorder(ix, io, px, py, o)
        sums.compute_at(result, px).vectorize(o, 16).unroll(o).unroll(px)
        sums.update().reorder(o, px, r.x, r.y, r.z, py).vectorize(o, 16).unroll(o).unroll(px)
        rows.compute_root().vectorize(px, 16, hl.TailStrategy.RoundUp)
        return self.compiled(result, (wide, high, filters))

    def compiled(self, function, shape):
        out = self.hl.Buffer(self.hl.Float(32), list(shape))
        function.compile_jit(self.target)
        return lambda: function.realize(out)

    def engine(self, x, w, stride, pad):
        """The fastest of a few tile sizes."""
        is_depthwise = w.shape[1] == 1 and w.shape[0] == x.shape[0]
        if is_depthwise:
            candidates = [self.depthwise(x, w, pad, tile) for tile in ((16, 4), (32, 4), (16, 8), (32, 8))]
        else:
            candidates = [self.dense(x, w, stride, pad, tile) for tile in ((64, 7), (32, 14), (64, 6), (32, 8))]
        times = operators.turns(dict(enumerate(candidates)))
        return candidates[min(times, key=lambda number: np.median(times[number]))]


def halide_engine(x, w, stride, pad):
    """Nothing where it is not installed, or the convolution has one extent."""
    if x.ndim != 4:
        return {}
    try:
        halide = Halide()
    except ImportError:
        return {}
    return {"halide": halide.engine(x[0], w, stride, pad)}


def main():
    options = operators.parser(__doc__).parse_args()
    rng = np.random.default_rng(0)

    def case(name, channels, filters, extents, taps, stride, pad, groups):
        rank = len(extents)
        x = rng.standard_normal((1, channels, *extents), np.float32)
        w = 0.05 * rng.standard_normal((filters, channels // groups, *[taps] * rank), np.float32)
        bias = rng.standard_normal(filters, np.float32)
        node = helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[stride] * rank, pads=[pad] * 2 * rank, group=groups)
        model = operators.single(node, {"x": x}, "y", [("w", w), ("b", bias)])
        positions = np.prod([(e + 2 * pad - taps) // stride + 1 for e in extents])
        flops = int(2 * positions * filters * channels // groups * taps**rank)
        return operators.compare(name, model, {"x": x}, flops, options, lambda: halide_engine(x, w, stride, pad))

    operators.run({name: lambda name=name: case(name, *CASES[name]) for name in CASES}, options)


if __name__ == "__main__":
    main()
