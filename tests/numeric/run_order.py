#!/usr/bin/env python3
"""Sorting as native code against NumPy's stable sorts: every element type, axis and size, and ONNX's operators on top.

Indices must be equal, not close: ties go to the lower index, zeros of both signs are equal, NaN is above all numbers.
Sizes stand on both sides of every border of the lowering: a vector, 128 ranked words, 4 k collected.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import tempfile
import unittest

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from mlir_text import entry, tensor  # noqa: E402
from native import Program, levels, outputs, tenon  # noqa: E402

SYMBOLS = {"B": (0, 64), "N": (0, 1 << 20), "K": (0, 1 << 20)}
FLOATS = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f64": np.float64}
INTEGERS = {"i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "i1": np.bool_}
UNSIGNED = {"i8": np.uint8, "i16": np.uint16, "i32": np.uint32, "i64": np.uint64}
SIZES = [0, 1, 2, 15, 16, 17, 127, 128, 129, 1300]


def draw(rng, dtype, shape, kind="mixed"):
    """Numbers with ties; of floats also both zeros, infinities and NaN, of integers both ends."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        near = rng.integers(0, 5, shape).astype(dtype)
        far = rng.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True)
        return np.where(rng.random(shape) < 0.5, near, far)
    x = np.round(rng.normal(size=shape) * 8, 1)
    for value in (0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan):
        x = np.where(rng.random(shape) < 0.03, value, x)
    return x.astype(dtype)


def rank_keys(x, descending):
    """Integers in the order of x (over all its elements): what a stable argsort of gives the order of x."""
    plain = x.astype(np.float64) if x.dtype.kind not in "iub" else x
    _, keys = np.unique(plain, return_inverse=True)  # NaN is one value, the last; -0 equals 0
    keys = keys.reshape(x.shape)
    return -keys if descending else keys


def order_of(x, axis, k, descending=False):
    order = np.argsort(rank_keys(x, descending), axis=axis, kind="stable")
    return np.take(order, np.arange(k), axis)


def program(element, dims, over, count, flags):
    kept = [count if i == over else d for i, d in enumerate(dims)]
    kept = kept[:over + 1] if "records" in flags else kept
    x, y = tensor(*dims, of=element), tensor(*kept, of="i64")
    body = f"  %y = tenon.order %x over {over} {flags} : {x} -> {y}"
    used = {n: SYMBOLS[n] for n in SYMBOLS if n in dims or n == count}
    return Program(entry({"x": x}, {"y": y}, body, used))


def bits(array):
    return array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array


class Order(unittest.TestCase):
    def check(self, native, x, wanted, as_given=None):
        for level, threads, found in native.run({"x": bits(x) if as_given is None else as_given}):
            np.testing.assert_array_equal(found["y"], wanted, f"{level}, {threads} threads, {x.dtype}{list(x.shape)}")

    def test_element_types(self):
        kinds = [(e, d, "") for e, d in {**FLOATS, **INTEGERS}.items()] + [(e, d, "unsigned") for e, d in UNSIGNED.items()]
        rng = np.random.default_rng(1)
        for element, dtype, sign in kinds:
            for descending in (False, True) if element in ("f32", "f64", "i8") else (False,):
                native = program(element, ("B", "N"), 1, "N", ("descending " if descending else "") + sign)
                for n in SIZES:
                    x = draw(rng, dtype, (3, n))
                    given = x.view(x.dtype.str.replace("u", "i")) if sign else bits(x)
                    with self.subTest(element=element, sign=sign, descending=descending, n=n):
                        self.check(native, x, order_of(x, 1, n, descending), given)

    def test_first_of_many(self):
        """k of N: what is collected passes the bound or not, in any order of the data."""
        rng = np.random.default_rng(2)
        for k in (1, 7, 300, 1000):
            native = program("f32", ("B", "N"), 1, k, "descending")
            for n in (1000, 1200, 1217, 5000, 20001):
                rows = [draw(rng, np.float32, n), np.arange(n), -np.arange(n), np.zeros(n), np.full(n, np.nan),
                        np.full(n, -np.inf)]
                x = np.stack(rows).astype(np.float32)
                with self.subTest(k=k, n=n):
                    self.check(native, x, order_of(x, 1, k, True))

    def test_any_axis(self):
        rng = np.random.default_rng(3)
        for over in range(3):
            dims = ["B", 5, 3]
            dims[over], dims[0 if over else 1] = "N", "B"
            for element in ("f32", "i64"):
                native = program(element, dims, over, "N", "")
                for n, b in ((0, 2), (1, 1), (19, 4), (300, 2), (7, 0)):
                    shape = [{"N": n, "B": b}.get(d, d) for d in dims]
                    x = draw(rng, {**FLOATS, **INTEGERS}[element], shape)
                    with self.subTest(over=over, element=element, shape=shape):
                        self.check(native, x, order_of(x, over, n))

    def test_records(self):
        rng = np.random.default_rng(4)
        for element, fields in (("i8", 3), ("f32", 2), ("i64", 2), ("f64", 1), ("f32", 0)):
            native = program(element, ("N", fields), 0, "N", "records")
            for n in (0, 1, 17, 128, 300):
                x = draw(rng, {**FLOATS, **INTEGERS}[element], (n, fields))
                keys = rank_keys(x, False)
                wanted = np.lexsort([keys[:, f] for f in reversed(range(fields))]) if fields else np.arange(n)
                with self.subTest(element=element, fields=fields, n=n):
                    self.check(native, x, wanted)

    def test_too_many_wanted(self):
        x, y = tensor("N"), tensor("K", of="i64")
        text = entry({"x": x, "like": tensor("K")}, {"y": y}, f"  %y = tenon.order %x over 0 : {x} -> {y}",
                     {n: SYMBOLS[n] for n in "NK"})
        native = Program(text)
        give = lambda n, k: {"x": np.zeros(n, np.float32), "like": np.zeros(k, np.float32)}
        for _, _, found in native.run(give(5, 3)):
            self.assertEqual(found["y"].tolist(), [0, 1, 2])
        with self.assertRaisesRegex(Exception, "range"):
            list(native.run(give(3, 5)))


def run_onnx(node, inputs, declared, constants=()):
    """NAME -> output of one node on every level; `declared`: NAME -> (element type, dims)."""
    kinds = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs.items()]
    graph = helper.make_graph([node], "operator", kinds, [helper.make_tensor_value_info(n, *t) for n, t in declared.items()],
                              [onnx.numpy_helper.from_array(constants[n], n) for n in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "model.onnx"
        onnx.save(model, file)
        artifact = file.with_suffix(".tenon")
        tenon("compile", "--quiet", file, "--target", ",".join(levels()), "-o", artifact)
        return [outputs(artifact, inputs, threads, level) for level in levels() for threads in (1, 2)]


class Operators(unittest.TestCase):
    def check(self, node, inputs, wanted, constants=None):
        kinds = {n: (helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in wanted.items()}
        for found in run_onnx(node, inputs, kinds, constants or {}):
            for name, array in wanted.items():
                np.testing.assert_array_equal(found[name], array, f"{name} of {node.op_type}")

    def test_unique(self):
        rng = np.random.default_rng(5)
        for x in (rng.integers(-9, 9, 500), rng.integers(0, 200, 500).astype(np.uint8), np.array([np.nan, 1, np.nan, -0.0, 0.0]),
                  rng.integers(0, 3, (7, 4)), np.zeros(0, np.float32)):
            for is_sorted in (1, 0):
                values, first, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
                inverse = inverse.reshape(-1)
                if not is_sorted:
                    byPlace = np.argsort(first)
                    values, first, counts = values[byPlace], first[byPlace], counts[byPlace]
                    inverse = np.argsort(byPlace)[inverse]
                node = helper.make_node("Unique", ["x"], ["y", "first", "inverse", "counts"], sorted=is_sorted)
                with self.subTest(dtype=x.dtype, sorted=is_sorted):
                    self.check(node, {"x": x}, {"y": values, "first": first, "inverse": inverse, "counts": counts})

    def test_unique_slices(self):
        x = np.random.default_rng(6).integers(0, 2, (3, 40, 2)).astype(np.float32)
        for axis in (0, 1, 2):
            values, first, inverse, counts = np.unique(x, True, True, True, axis)
            node = helper.make_node("Unique", ["x"], ["y", "first", "inverse", "counts"], axis=axis)
            with self.subTest(axis=axis):
                self.check(node, {"x": x},
                           {"y": values, "first": first, "inverse": inverse.reshape(-1), "counts": counts})

    def test_long_rows(self):
        """Of which no table of pairs could be made."""
        x = np.random.default_rng(8).integers(-1000, 1000, (2, 200000)).astype(np.float32)
        for k in (10, 200000):
            places = order_of(x, 1, k, True)
            node = helper.make_node("TopK", ["x", "k"], ["y", "places"])
            wanted = {"y": np.take_along_axis(x, places, 1), "places": places}
            self.check(node, {"x": x}, wanted, {"k": np.array([k])})

    def test_what_holds_a_condition(self):
        rng = np.random.default_rng(7)
        for n in (1, 40, 3000):
            flags, x = rng.random(n) < 0.3, rng.normal(size=(n, 2)).astype(np.float32)
            flags[0] = True
            self.check(helper.make_node("Compress", ["x", "c"], ["y"], axis=0), {"x": x, "c": flags}, {"y": x[flags]})
            table = np.where(rng.random((n, 3)) < 0.5, 0, 1).astype(np.float32)
            self.check(helper.make_node("NonZero", ["x"], ["y"]), {"x": table}, {"y": np.array(np.nonzero(table))})

    def test_another_number_than_declared(self):
        for given in (2, 4):
            flags = np.arange(6) < given
            node = helper.make_node("Compress", ["x", "c"], ["y"])
            with self.assertRaisesRegex(Exception, "range"):
                run_onnx(node, {"x": np.arange(6.0), "c": flags}, {"y": (TensorProto.DOUBLE, [3])})


if __name__ == "__main__":
    unittest.main()
