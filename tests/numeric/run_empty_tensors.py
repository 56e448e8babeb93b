#!/usr/bin/env python3
"""Tensors without elements beside others, as a cache before its first token: no byte of memory that is nobody's is read.

Inner dims are so large that an element at index 0 of an empty tensor would lie far outside of any mapping, and
empty inputs point to a page that cannot be read.

TENON_BUILD names the build folder.
"""

import ctypes
import mmap
import pathlib
import sys
import unittest

import numpy as np
from onnx import helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from onnx_model import OnnxModel  # noqa: E402

_closed = mmap.mmap(-1, mmap.PAGESIZE)
_address = ctypes.addressof(ctypes.c_char.from_buffer(_closed))
if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(_address), ctypes.c_size_t(mmap.PAGESIZE), 0):
    raise OSError(ctypes.get_errno(), "mprotect")


def empty(shape, dtype=np.float32):
    """An array without elements whose pointer leads to the closed page."""
    assert 0 in shape
    return np.ndarray(shape, dtype, (ctypes.c_char * 1).from_address(_address))


class EmptyTensorTest(unittest.TestCase):
    def run_model(self, nodes, inputs, dims, weights=None):
        """The outputs "y" of `nodes` for inputs whose dims have these names."""
        kinds = {name: helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in inputs.items()}
        model = OnnxModel(nodes, {name: (kinds[name], dims[name]) for name in inputs}, {"y": (next(iter(kinds.values())), None)},
                          weights)
        return [outputs["y"] for outputs in model.run(inputs, threads=(1, 2))]

    def check_concat(self, shape, axis, dtype, first):
        """An empty tensor before or after one that is not."""
        random = np.random.default_rng(1)
        full = list(shape)
        full[axis] = 2
        new = random.integers(-99, 99, full).astype(dtype)
        past = list(shape)
        past[axis] = 0
        arrays = {"past": empty(past, dtype), "new": new}
        dims = {n: [f"{n}{d}" if d == axis % len(shape) else size for d, size in enumerate(shape)] for n in arrays}
        concat = ("Concat", "past new" if first else "new past", "y", {"axis": axis})
        for found in self.run_model([concat], arrays, dims):
            np.testing.assert_array_equal(found, new)

    def test_concat(self):
        for shape, axis in (((2, 4000, 2500), 0), ((1, 3, 7, 9), 2), ((3000, 2), 1), ((4, 1000, 3), -1)):
            for dtype in (np.float32, np.int64, np.float16):
                with self.subTest(shape=shape, axis=axis, dtype=dtype.__name__):
                    self.check_concat(shape, axis, dtype, first=True)
        self.check_concat((2, 4000, 2500), 0, np.float32, first=False)

    def test_empty_result_between(self):
        """The empty tensor is a result of another command, in memory of the session."""
        inner = (4000, 2500)
        new = np.random.default_rng(2).standard_normal((1, *inner)).astype(np.float32)
        nodes = [("Softmax", "past", "soft", {"axis": -1}), ("Concat", "soft new", "y", {"axis": 0})]
        dims = {"past": ["p", *inner], "new": ["n", *inner]}
        for found in self.run_model(nodes, {"past": empty((0, *inner)), "new": new}, dims):
            np.testing.assert_array_equal(found, new)

    def test_pad(self):
        """Every element of a padded empty tensor is padding."""
        nodes = [("Pad", "x pads", "y")]
        for found in self.run_model(nodes, {"x": empty((0, 20000))}, {"x": ["n", 20000]},
                                    {"pads": np.array([1, 0, 2, 3])}):
            np.testing.assert_array_equal(found, np.zeros((3, 20003), np.float32))

    def test_all_empty(self):
        concat = ("Concat", "a b", "y", {"axis": 1})
        for found in self.run_model([concat], {"a": empty((2, 0, 5)), "b": empty((2, 0, 5))}, {"a": [2, "a", 5], "b": [2, "b", 5]}):
            self.assertEqual(found.shape, (2, 0, 5))


if __name__ == "__main__":
    unittest.main()
