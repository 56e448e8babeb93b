#!/usr/bin/env python3
"""Convolutions as native code against NumPy: odd sizes, strides, dilations, groups, pads on one side, any batch.

A case is one ONNX Conv with a GELU or nothing behind it, the extents dynamic that the case says.
"""

import itertools
import pathlib
import shutil
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from native import compile_for, levels, outputs  # noqa: E402


def convolution(x, w, bias, strides, dilations, pads, groups):
    """Added from left to right in the order channel, taps, in x's own dtype."""
    rank = w.ndim - 2
    before, after = pads[:rank], pads[rank:]
    padded = np.pad(x, [(0, 0), (0, 0), *zip(before, after)])
    extents = [(p - (k - 1) * d - 1) // s + 1 for p, k, d, s in zip(padded.shape[2:], w.shape[2:], dilations, strides)]
    filters, channels = w.shape[0] // groups, w.shape[1]
    result = np.zeros((x.shape[0], groups, filters, *extents), x.dtype)
    grouped = padded.reshape(x.shape[0], groups, channels, *padded.shape[2:])
    weights = w.reshape(groups, filters, *w.shape[1:])
    for c, taps in itertools.product(range(channels), itertools.product(*map(range, w.shape[2:]))):
        spans = tuple(slice(t * d, t * d + (e - 1) * s + 1, s) for t, d, e, s in zip(taps, dilations, extents, strides))
        window = grouped[(slice(None), slice(None), c, *spans)]
        result += window[:, :, None] * weights[(slice(None), slice(None), c, *taps)].reshape(groups, filters, *[1] * rank)
    return result.reshape(x.shape[0], -1, *extents) + bias.reshape(-1, *[1] * rank)


class Case:
    def __init__(self, extents, channels, filters, kernel, strides=None, dilations=None, pads=None, groups=1,
                 batches=(1, 3), dynamic=0, relu=False):
        rank = len(kernel)
        self.sizes = [extents] if isinstance(extents[0], int) else list(extents)
        self.channels, self.filters, self.kernel, self.groups = channels, filters, kernel, groups
        self.strides, self.dilations = strides or [1] * rank, dilations or [1] * rank
        self.pads = pads or [0] * 2 * rank
        self.batches, self.relu = batches, relu
        self.dynamic = dynamic  # How many extents, from the first, the model leaves open.

    def model(self, weights, bias):
        rank = len(self.kernel)
        extents = [f"e{d}" if d < self.dynamic else size for d, size in enumerate(self.sizes[0])]
        batch = "batch" if len(self.batches) > 1 else self.batches[0]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, self.channels, *extents])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, self.filters, *[None] * rank])
        nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c" if self.relu else "y"], kernel_shape=list(self.kernel),
                                  strides=self.strides, dilations=self.dilations, pads=self.pads, group=self.groups)]
        if self.relu:
            nodes.append(helper.make_node("Relu", ["c"], ["y"]))
        graph = helper.make_graph(nodes, "windows", [x], [y], [numpy_helper.from_array(weights, "w"),
                                                              numpy_helper.from_array(bias, "b")])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


CASES = {
    "three_by_three": Case((13, 17), 5, 7, (3, 3), pads=[1, 1, 1, 1], relu=True),
    "many_filters": Case((9, 35), 8, 130, (3, 3), pads=[1, 1, 1, 1], batches=(1,)),
    "deep": Case((6, 7), 70, 19, (3, 3), pads=[1, 1, 1, 1]),
    "stem": Case((33, 31), 3, 16, (7, 7), strides=[2, 2], pads=[3, 3, 3, 3], batches=(1,), relu=True),
    "stride_three": Case((23, 29), 4, 6, (5, 4), strides=[3, 3], pads=[2, 1, 0, 3]),
    "stride_by_rows": Case((23, 29), 4, 6, (3, 3), strides=[3, 1], pads=[0, 2, 1, 0]),
    "dilated": Case((19, 23), 3, 9, (3, 3), dilations=[2, 3], pads=[2, 3, 2, 3]),
    "dilated_strided": Case((19, 23), 3, 9, (3, 2), strides=[2, 2], dilations=[2, 3], pads=[1, 0, 0, 2]),
    "narrow": Case((40, 3), 4, 5, (3, 3), pads=[1, 1, 1, 1]),
    "one_column": Case((40, 1), 4, 5, (3, 1), pads=[1, 0, 1, 0]),
    "groups": Case((11, 18), 12, 20, (3, 3), pads=[1, 1, 1, 1], groups=4),
    "one_dim": Case((77,), 10, 33, (3,), pads=[1, 1]),
    "one_dim_strided": Case((77,), 10, 33, (3,), strides=[2], pads=[1, 1], relu=True),
    "one_dim_stride_four": Case((131,), 2, 24, (10,), strides=[5]),
    "one_dim_in_chunks": Case((700,), 5, 9, (3,), pads=[1, 1], relu=True),
    "one_dim_in_chunks_strided": Case((901,), 3, 9, (5,), strides=[3], dilations=[2], pads=[4, 2]),
    "rows_in_chunks": Case((57, 58), 4, 20, (3, 3), pads=[1, 1, 1, 1], relu=True),
    "rows_in_chunks_strided": Case((75, 113), 3, 10, (5, 3), strides=[3, 2], dilations=[1, 3], pads=[2, 3, 0, 1]),
    "groups_of_long_rows": Case((20, 90), 6, 15, (3, 3), pads=[1, 1, 1, 1], groups=3),
    "too_wide_for_rows": Case((5, 700), 2, 5, (3, 3), pads=[1, 1, 1, 1]),
    "short_rows_many_filters": Case((14, 14), 5, 200, (3, 3), pads=[1, 1, 1, 1]),
    "few_positions_many_filters": Case((7, 7), 5, 130, (3, 3), pads=[1, 1, 1, 1], relu=True),
    "rows_of_filters_4_kb_apart": Case((3, 80), 512, 3, (1, 2)),
    "any_size": Case([(7, 9), (20, 33), (3, 3)], 6, 10, (3, 3), pads=[1, 1, 1, 1], dynamic=2),
    "any_length": Case([(5,), (64,), (129,), (1200,)], 6, 10, (5,), strides=[2], pads=[2, 2], dynamic=1),
    "depthwise": Case((15, 21), 6, 6, (7, 7), pads=[3, 3, 3, 3], groups=6, relu=True),
    "depthwise_alone": Case((56, 56), 3, 3, (7, 7), pads=[3, 3, 3, 3], groups=3, batches=(1,)),
    "depthwise_half_vector": Case((17, 24), 3, 3, (3, 3), pads=[1, 1, 1, 1], groups=3, relu=True),
    "depthwise_two_blocks_and_rest": Case((9, 70), 3, 3, (3, 3), pads=[1, 1, 1, 1], groups=3),
    "depthwise_strided": Case((22, 31), 5, 5, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1], groups=5),
    "depthwise_stride_three": Case((22, 31), 5, 5, (5, 4), strides=[3, 3], pads=[0, 2, 1, 1], groups=5),
    "depthwise_dilated": Case((22, 31), 5, 5, (3, 3), strides=[1, 2], dilations=[3, 2], pads=[3, 2, 3, 2], groups=5),
    "depthwise_short_rows": Case((7, 7), 40, 40, (7, 7), pads=[3, 3, 3, 3], groups=40, relu=True),
    "depthwise_short_rows_strided": Case((11, 13), 19, 19, (3, 5), strides=[2, 2], pads=[0, 2, 1, 1], groups=19),
    "depthwise_short_rows_dilated": Case((22, 6), 16, 16, (3, 3), dilations=[3, 2], pads=[3, 2, 3, 2], groups=16),
    "depthwise_one_dim": Case((70,), 9, 9, (4,), pads=[3, 0], groups=9),
    "depthwise_any_size": Case([(7, 9), (20, 33), (3, 3), (40, 70)], 4, 4, (3, 3), pads=[1, 1, 1, 1], groups=4,
                               dynamic=2),
    "depthwise_any_height": Case([(7, 8), (20, 8), (3, 8), (41, 8)], 4, 4, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1],
                                 groups=4, dynamic=1, relu=True),
    "panels_any_height": Case([(7, 8), (20, 8), (41, 8)], 6, 32, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1], dynamic=1),
    "depthwise_any_rows": Case([(7, 8), (1, 8), (40, 8)], 4, 4, (5, 1), pads=[2, 0, 2, 0], groups=4, dynamic=1),
    "any_rows": Case([(7, 8), (1, 8), (40, 8)], 6, 10, (3, 3), pads=[1, 1, 1, 1], dynamic=1),
    "two_filters_a_channel": Case((15, 21), 6, 12, (3, 3), pads=[1, 1, 1, 1], groups=6),
    "patches": Case((32, 24), 3, 20, (8, 8), strides=[8, 8]),
    "pointwise": Case((9, 11), 12, 21, (1, 1)),
    "pointwise_in_panels": Case((9, 11), 150, 47, (1, 1), relu=True),
    "pointwise_planes_of_512_bytes": Case((16, 16), 150, 32, (1, 1)),
    "pointwise_strided": Case((9, 11), 20, 32, (1, 1), strides=[2, 2]),
    "panels": Case((13, 17), 5, 32, (3, 3), pads=[1, 1, 1, 1], relu=True),
    "panels_in_slabs": Case((7, 9), 100, 63, (3, 3), pads=[1, 0, 2, 1]),
    "panels_in_chunks": Case((57, 58), 4, 48, (3, 3), pads=[1, 1, 1, 1], relu=True),
    "panels_in_chunks_strided": Case((75, 113), 3, 47, (5, 3), strides=[3, 2], dilations=[1, 3], pads=[2, 3, 0, 1]),
    "panels_of_wide_rows": Case((5, 700), 2, 16, (3, 3), pads=[1, 1, 1, 1]),
    "panels_of_large_scratch": Case((20, 20), 300, 16, (3, 3), pads=[1, 1, 1, 1], batches=(2,)),
    "panels_any_size": Case([(7, 9), (20, 33), (3, 3), (40, 150)], 6, 32, (3, 3), strides=[1, 2], pads=[1, 1, 1, 1],
                            dynamic=2, relu=True),
    "panels_any_length": Case([(5,), (64,), (129,), (1200,)], 6, 32, (5,), strides=[2], pads=[2, 2], dynamic=1),
    "patches_in_panels": Case((32, 24), 3, 32, (8, 8), strides=[8, 8]),
    "windows_within": Case((13, 19), 5, 31, (3, 2), dilations=[2, 1], strides=[2, 3]),
}


class WindowTest(unittest.TestCase):
    def check(self, name, case):
        rng = np.random.default_rng(int.from_bytes(name.encode()[:8], "little"))
        weights = rng.standard_normal((case.filters, case.channels // case.groups, *case.kernel)).astype(np.float32)
        bias = rng.standard_normal(case.filters).astype(np.float32)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-windows-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        model = folder / "model.onnx"
        onnx.save(case.model(weights, bias), model)
        artifact = compile_for(levels(), model, folder / "model.tenon")
        for batch, extents in itertools.product(case.batches, case.sizes):
            x = rng.standard_normal((batch, case.channels, *extents)).astype(np.float32)
            arguments = case.strides, case.dilations, case.pads, case.groups
            plain = convolution(x, weights, bias, *arguments)
            wanted = convolution(x.astype(np.float64), weights.astype(np.float64), bias.astype(np.float64), *arguments)
            if case.relu:
                plain, wanted = np.maximum(plain, 0), np.maximum(wanted, 0)
            found = {}
            for level in levels():
                for threads in (1, 2):
                    found[threads] = outputs(artifact, {"x": x}, threads, level, [model])["y"]
                    compare(found[threads], wanted, plain, f"{name} {x.shape} {level} {threads} thread(s)")
                self.assertEqual(found[1].tobytes(), found[2].tobytes(), f"{name} {level}: threads change the result")


def pooling(x, taps, stride, pad):
    """Maxima; beyond x there is nothing."""
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=-np.inf)
    extents = [(e - taps) // stride + 1 for e in padded.shape[2:]]
    shifted = [padded[:, :, i:i + (extents[0] - 1) * stride + 1:stride, j:j + (extents[1] - 1) * stride + 1:stride]
               for i, j in itertools.product(range(taps), repeat=2)]
    return np.maximum.reduce(shifted)


class Conv:
    """A convolution, padded by half its window unless it says otherwise, and a ReLU behind it."""

    def __init__(self, channels, filters, taps, groups=1, stride=1, dilation=1, pad=None):
        self.shape, self.groups, self.stride, self.dilation = (filters, channels // groups, *taps), groups, stride, dilation
        self.pads = [pad if pad is not None else (t - 1) * dilation // 2 for t in taps] * 2

    def nodes(self, rng, number, name, result):
        self.weights = rng.standard_normal(self.shape).astype(np.float32)
        self.bias = rng.standard_normal(self.shape[0]).astype(np.float32)
        rank = len(self.shape) - 2
        convolution = helper.make_node("Conv", [name, f"w{number}", f"b{number}"], [f"c{number}"], pads=self.pads, group=self.groups,
                                       strides=[self.stride] * rank, dilations=[self.dilation] * rank)
        return ([convolution, helper.make_node("Relu", [f"c{number}"], [result])],
                [numpy_helper.from_array(self.weights, f"w{number}"), numpy_helper.from_array(self.bias, f"b{number}")])

    def compute(self, x, before):
        rank = len(self.shape) - 2
        y = convolution(x, self.weights.astype(x.dtype), self.bias.astype(x.dtype), [self.stride] * rank, [self.dilation] * rank,
                        self.pads, self.groups)
        return np.maximum(y, 0)


class Pool:
    def nodes(self, rng, number, name, result):
        return [helper.make_node("MaxPool", [name], [result], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)], []

    def compute(self, x, before):
        return pooling(x, 3, 2, 1)


class Add:
    """The result of the layer `back` before."""

    def __init__(self, back):
        self.back = back

    def nodes(self, rng, number, name, result):
        return [helper.make_node("Add", [name, f"r{number - 1 - self.back}"], [result])], []

    def compute(self, x, before):
        return x + before[-1 - self.back]


# Convolutions that read each other's results, whose channels stand last where that turns fewer elements.
CHAINS = {
    "planes_at_the_end": ((9, 14), [Conv(8, 32, (3, 3)), Conv(32, 48, (1, 1)), Conv(48, 48, (3, 3), 48), Conv(48, 5, (3, 3))]),
    "residual": ((23, 17), [Conv(3, 32, (7, 7), stride=2), Pool(), Conv(32, 16, (1, 1)), Conv(16, 16, (3, 3)), Conv(16, 32, (1, 1)), Add(3),
                            Conv(32, 48, (3, 3), stride=2), Conv(48, 32, (1, 1))]),
    "inverted": ((15, 13), [Conv(3, 24, (3, 3), stride=2), Conv(24, 100, (1, 1)), Conv(100, 100, (3, 3), 100), Conv(100, 24, (1, 1)), Add(3),
                            Conv(24, 72, (1, 1)), Conv(72, 72, (5, 5), 72, stride=2), Conv(72, 32, (1, 1))]),
    "dilated": ((19, 11), [Conv(4, 32, (1, 1)), Conv(32, 40, (3, 3), dilation=2), Conv(40, 40, (3, 3), 40, dilation=3), Conv(40, 20, (1, 1))]),
    "patches": ((16, 12), [Conv(4, 48, (1, 1)), Conv(48, 63, (2, 2), stride=2, pad=0), Conv(63, 63, (7, 7), 63), Conv(63, 32, (1, 1))]),
    "inside": ((12, 13), [Conv(4, 40, (1, 1)), Conv(40, 31, (3, 3), pad=0), Conv(31, 31, (3, 3), 31, pad=0), Conv(31, 16, (1, 1))]),
    "in_groups": ((9, 14), [Conv(8, 32, (1, 1)), Conv(32, 32, (3, 3), 4), Conv(32, 16, (1, 1))]),
    "wide": ((5, 70), [Conv(4, 32, (1, 1)), Conv(32, 32, (3, 3), 32), Conv(32, 32, (3, 3)), Conv(32, 16, (1, 1))]),
    "slabs": ((6, 7), [Conv(4, 130, (1, 1)), Conv(130, 48, (3, 3)), Conv(48, 16, (1, 1))]),
    "one_dim": ((77,), [Conv(6, 48, (3,)), Conv(48, 48, (3,), stride=2), Conv(48, 48, (13,), 48), Conv(48, 32, (1,))]),
}


class ChainTest(unittest.TestCase):
    def check(self, name, batch):
        extents, layers = CHAINS[name]
        rng = np.random.default_rng(7)
        nodes, weights, tensor = [], [], "x"
        for number, layer in enumerate(layers):
            added, of = layer.nodes(rng, number, tensor, f"r{number}")
            nodes += added
            weights += of
            tensor = f"r{number}"
        x = rng.standard_normal((batch or 3, layers[0].shape[1], *extents)).astype(np.float32)
        graph = helper.make_graph(
            nodes, "chain", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch or "batch", *x.shape[1:]])],
            [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [None] * x.ndim)], weights)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-windows-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        model = folder / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), model)
        artifact = compile_for(levels(), model, folder / "model.tenon")

        def computed(values):
            results = []
            for layer in layers:
                results.append(layer.compute(results[-1] if results else values, results))
            return results[-1]

        plain, wanted = computed(x), computed(x.astype(np.float64))
        for level in levels():
            found = [outputs(artifact, {"x": x}, threads, level, [model])[tensor] for threads in (1, 2)]
            compare(found[1], wanted, plain, f"{name}, batch {batch} {level}")
            self.assertEqual(found[0].tobytes(), found[1].tobytes(), f"{name} {level}: threads change the result")


for _name in CHAINS:
    for _batch in (1, None):
        setattr(ChainTest, f"test_{_name}_{'one' if _batch else 'any_batch'}", lambda self, n=_name, b=_batch: self.check(n, b))

class LongFilterTest(unittest.TestCase):
    """One filter a channel, as long as the caller says, as long convolutions of sequences have it."""

    def test_any_length(self):
        channels, pads = 5, [2, 1]
        graph = helper.make_graph(
            [helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=pads, group=channels)], "long",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", channels, "length"]),
             helper.make_tensor_value_info("w", TensorProto.FLOAT, [channels, 1, "taps"]),
             helper.make_tensor_value_info("b", TensorProto.FLOAT, [channels])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-windows-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        model = folder / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), model)
        artifact = compile_for(levels(), model, folder / "model.tenon")
        rng = np.random.default_rng(3)
        for batch, length, taps in ((1, 1, 1), (3, 9, 3), (1, 40, 40), (2, 37, 40), (2, 77, 13)):
            x, w, bias = (rng.standard_normal(shape).astype(np.float32)
                          for shape in ((batch, channels, length), (channels, 1, taps), (channels,)))
            plain = convolution(x, w, bias, [1], [1], pads, channels)
            wanted = convolution(x.astype(np.float64), w.astype(np.float64), bias.astype(np.float64), [1], [1], pads,
                                 channels)
            for level in levels():
                compare(outputs(artifact, {"x": x, "w": w, "b": bias}, 2, level, [model])["y"], wanted, plain,
                        f"{taps} taps of {length} {level}")


for _name, _case in CASES.items():
    setattr(WindowTest, f"test_{_name}", lambda self, n=_name, c=_case: self.check(n, c))

if __name__ == "__main__":
    unittest.main()
