#!/usr/bin/env python3
"""What files compute from the sizes of their inputs: one artifact gives it at every size, and an error by name where
the file means nothing.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import unittest

import numpy as np
from onnx import TensorProto, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from onnx_model import OnnxModel  # noqa: E402
from tenon import Error  # noqa: E402


def integers(name, *values, shape=(-1,)):
    return name, np.array(values, np.int64).reshape(shape)


class ShapeArithmetic(unittest.TestCase):
    def compile(self, nodes, constants, result, *options):
        """A model of the input x, [S] float32, and the output y."""
        model = OnnxModel(nodes, {"x": ["S"]}, {"y": (result, None)}, dict(constants), options=options)
        return lambda x: model.run({"x": x})[-1]["y"]

    def test_a_number_of_windows(self):
        """(S - 127) / 384, which is negative where S is below 127: no window, and no run."""
        run = self.compile(
            [("Shape", "x", "s"), ("Squeeze", "s zero", "n"), ("Sub", "n c127", "a"),
             ("Div", "a c384", "count"), ("Range", "start count step", "y")],
            [integers("zero", 0), *(integers(n, v, shape=[]) for n, v in
                                    (("c127", 127), ("c384", 384), ("start", 0), ("step", 1)))], TensorProto.INT64)
        for size in (127, 510, 511, 1300):
            np.testing.assert_array_equal(run(np.zeros(size, np.float32)), np.arange((size - 127) // 384))
        with self.assertRaisesRegex(Error, "S in 127"):
            run(np.zeros(126, np.float32))

    def test_bounds_that_decide(self):
        """x[:n] for n = S mod 8 - 4, which counts from either end; not so between two multiples of 4."""
        graph = ([("Shape", "x", "s"), ("Mod", "s eight", "over"), ("Sub", "over four", "n"), ("Slice", "x zero n", "y")],
                 [integers("zero", 0), integers("eight", 8), integers("four", 4)], TensorProto.FLOAT)
        with self.assertRaisesRegex(AssertionError, r"Slice.*found S mod 8 - 4; give --dim S=4..7, or .*=8..11"):
            self.compile(*graph)
        for given, sizes in (("9..11", (9, 11)), ("12..15", (12, 13))):
            run = self.compile(*graph, "--dim", f"S={given}")
            for size in sizes:
                x = np.arange(size, dtype=np.float32)
                np.testing.assert_array_equal(run(x), x[:size % 8 - 4])
            with self.assertRaisesRegex(Error, f"S in {given}"):
                run(np.zeros(16, np.float32))

    def test_cut_by_what_was_padded(self):
        """x[:-n] for n = -S mod 8, which means another thing where n is 0: no run for multiples of 8."""
        run = self.compile(
            [("Shape", "x", "s"), ("Mul", "s minus", "negative"), ("Mod", "negative eight", "n"),
             ("Mul", "n minus", "end"), ("Slice", "x zero end", "y")],
            [integers("zero", 0), integers("eight", 8), integers("minus", -1)], TensorProto.FLOAT)
        for size in (1, 7, 9, 15, 1001):
            x = np.arange(size, dtype=np.float32)
            np.testing.assert_array_equal(run(x), x[:-(-size % 8)])
        for size in (0, 8, 16):
            with self.assertRaisesRegex(Error, r"\(Slice\): wanted 1 <= 7 \* S mod 8, found 1 and 0"):
                run(np.zeros(size, np.float32))

    def test_bounds_beyond_what_the_file_takes(self):
        """--dim narrows: it does not allow what the file means nothing for."""
        graph = ([("Shape", "x", "s"), ("Squeeze", "s zero", "n"), ("Sub", "n c127", "a"),
                  ("Div", "a c384", "count"), ("Range", "start count step", "y")],
                 [integers("zero", 0), *(integers(n, v, shape=[]) for n, v in
                                         (("c127", 127), ("c384", 384), ("start", 0), ("step", 1)))], TensorProto.INT64)
        run = self.compile(*graph, "--dim", "S=1..2000")
        np.testing.assert_array_equal(run(np.zeros(1300, np.float32)), np.arange((1300 - 127) // 384))
        with self.assertRaisesRegex(Error, "S in 127..2000"):
            run(np.zeros(126, np.float32))
        few = self.compile(*graph, "--dim", "S=1..100")
        self.assertEqual(few(np.zeros(50, np.float32)).shape, (0,), "no window, as the file says of these sizes")

    def test_blocks(self):
        """Reshaped to S / 4 rows of 4: S is a multiple of 4."""
        run = self.compile(
            [("Shape", "x", "s"), ("Div", "s four", "rows"), ("Concat", "rows four", "shape", {"axis": 0}),
             ("Reshape", "x shape", "blocks"), ("ReduceSum", "blocks one", "y", {"keepdims": 0})],
            [integers("four", 4), integers("one", 1)], TensorProto.FLOAT)
        for size in (4, 20):
            x = np.arange(size, dtype=np.float32)
            np.testing.assert_array_equal(run(x), x.reshape(-1, 4).sum(1))
        with self.assertRaisesRegex(Error, "S to be a multiple of 4"):
            run(np.zeros(7, np.float32))

    def test_padded_blocks(self):
        """Padded to rows of 4, as block-wise attention and chunked scans are: any S, not multiples of 4 alone."""
        paddings = {
            "negated": [("Mul", "s minus", "negative"), ("Mod", "negative four", "padding")],
            "subtracted": [("Mod", "s four", "over"), ("Sub", "four over", "missing"),
                           ("Mod", "missing four", "padding")],
        }
        for name, padding in paddings.items():
            run = self.compile(
                [("Shape", "x", "s"), *padding, ("Concat", "zero padding", "pads", {"axis": 0}),
                 ("Pad", "x pads", "padded"), ("Add", "s padding", "length"), ("Div", "length four", "rows"),
                 ("Concat", "rows four", "shape", {"axis": 0}), ("Reshape", "padded shape", "blocks"),
                 ("ReduceSum", "blocks one", "y", {"keepdims": 0})],
                [integers("zero", 0), integers("four", 4), integers("one", 1), integers("minus", -1)], TensorProto.FLOAT)
            for size in (1, 3, 4, 5, 20, 23):
                with self.subTest(padding=name, size=size):
                    x = np.arange(1, size + 1, dtype=np.float32)
                    np.testing.assert_array_equal(run(x), np.pad(x, (0, -size % 4)).reshape(-1, 4).sum(1))

    def test_a_product_over_a_size_in_two_forms(self):
        """S / 4 rows beside (S + 3) / 4 rows: S is a multiple of 4, and a product takes both."""
        run = self.compile(
            [("Shape", "x", "s"), ("Div", "s four", "rows"), ("Concat", "rows four", "shape", {"axis": 0}),
             ("Reshape", "x shape", "blocks"), ("Add", "s three", "more"), ("Div", "more four", "atmost"),
             ("Squeeze", "atmost zero", "end"), ("Range", "start end step", "numbers"),
             ("Cast", "numbers", "weights", {"to": TensorProto.FLOAT}),
             ("Einsum", "weights blocks", "y", {"equation": "c,ct->t"})],
            [integers("four", 4), integers("three", 3), integers("zero", 0),
             *(integers(n, v, shape=[]) for n, v in (("start", 0), ("step", 1)))], TensorProto.FLOAT)
        for size in (4, 20):
            x = np.arange(size, dtype=np.float32)
            np.testing.assert_array_equal(run(x), np.arange(size // 4) @ x.reshape(-1, 4))
        with self.assertRaisesRegex(Error, "S to be a multiple of 4"):
            run(np.zeros(7, np.float32))

    def test_a_slice_of_one_is_broadcast(self):
        """x[:1] has min(1, S) elements: added to x it is one, not S at most 1."""
        run = self.compile([("Slice", "x zero one", "first"), ("Add", "x first", "y")],
                           [integers("zero", 0), integers("one", 1)], TensorProto.FLOAT)
        for size in (1, 5):
            x = np.arange(3, 3 + size, dtype=np.float32)
            np.testing.assert_array_equal(run(x), x + x[:1])

    def test_the_end_of_a_table_for_the_longest(self):
        """table[max(1 - S, 0):, max(8 - S, 0):] of [1, 8], as MPT cuts the slopes of its heads: a row of S, not S at
        most 1."""
        table = np.arange(8, dtype=np.float32)[None] ** 2
        run = self.compile(
            [("Shape", "x", "s"), ("Sub", "one s", "a"), ("Max", "a zero", "row"),
             ("Sub", "eight s", "b"), ("Max", "b zero", "column"), ("Slice", "table row end zero", "some"),
             ("Slice", "some column end one", "last"), ("Unsqueeze", "x one", "xs"),
             ("Add", "xs last", "y")],
            [integers(name, value) for name, value in (("one", 1), ("zero", 0), ("eight", 8), ("end", 2**63 - 1))]
            + [("table", table)], TensorProto.FLOAT)
        for size in (1, 5, 8, 9):
            x = np.arange(3, 3 + size, dtype=np.float32)
            np.testing.assert_array_equal(run(x), x[:, None] + table[:, -size:])
        with self.assertRaisesRegex(Error, "wanted S in 1..[0-9]*, found 0"):
            run(np.zeros(0, np.float32))

    def test_what_a_slice_leaves(self):
        """x[4:] has S - min(4, S) elements; expanded to S - 4, which exporters compare with -1, S is at least 4."""
        minus_means_own = [("ConstantOfShape", "one", "ones", {"value": numpy_helper.from_array(np.array([1]))}),
                           ("Mul", "ones minus", "own"), ("Equal", "rest own", "is_own"),
                           ("Where", "is_own ones rest", "extent")]
        for nodes, extent in (([], "rest"), (minus_means_own, "extent")):
            run = self.compile(
                [("Shape", "x", "s"), ("Sub", "s four", "rest"), *nodes, ("Slice", "x four s", "tail"),
                 ("Unsqueeze", "tail zero", "row"), ("Concat", f"two {extent}", "dims", {"axis": 0}),
                 ("Expand", "row dims", "y")],
                [integers("four", 4), integers("zero", 0), integers("one", 1), integers("two", 2),
                 integers("minus", -1)], TensorProto.FLOAT)
            for size in (4, 5, 19):
                x = np.arange(size, dtype=np.float32)
                np.testing.assert_array_equal(run(x), np.broadcast_to(x[4:], (2, size - 4)))
            with self.assertRaisesRegex(Error, "S in 4"):
                run(np.zeros(3, np.float32))

    def test_positions_downwards_as_numbers(self):
        """arange(S - 1, -1, -1.0), as Transformer-XL counts distances; and arange(0, S / 2, 0.5)."""
        numbers = [(n, np.float32(v)) for n, v in (("minus", -1), ("nothing", 0), ("half", 0.5))]
        nodes = [("Shape", "x", "s"), ("Squeeze", "s zero", "n")]
        down = self.compile([*nodes, ("Sub", "n unit", "last"), ("Cast", "last", "start", {"to": TensorProto.FLOAT}),
                             ("Range", "start minus minus", "y")],
                            [integers("zero", 0), integers("unit", 1, shape=[]), *numbers], TensorProto.FLOAT)
        halves = self.compile([*nodes, ("Cast", "n", "real", {"to": TensorProto.FLOAT}), ("Mul", "real half", "limit"),
                               ("Range", "nothing limit half", "y")], [integers("zero", 0), *numbers],
                              TensorProto.FLOAT)
        for size in (1, 2, 7, 40):
            x = np.zeros(size, np.float32)
            np.testing.assert_array_equal(down(x), np.arange(size)[::-1])
            np.testing.assert_array_equal(halves(x), np.arange(0, size / 2, 0.5))

    def test_positions_of_ones(self):
        """NonZero of a mask that is true throughout, as exporters write an index over all rows."""
        run = self.compile(
            [("Shape", "x", "s"), ("ConstantOfShape", "s", "ones", {"value": numpy_helper.from_array(np.array([1]))}),
             ("Equal", "ones c1", "mask"), ("NonZero", "mask", "y")], [integers("c1", 1, shape=[])],
            TensorProto.INT64)
        for size in (1, 9):
            np.testing.assert_array_equal(run(np.zeros(size, np.float32)), np.arange(size)[None])

    def test_negative_axes_of_a_transpose(self):
        """As PyTorch's tracing exporter copies them."""
        run = self.compile(
            [("Reshape", "x shape", "m"), ("Transpose", "m", "y", {"perm": [-1, 0]})], [integers("shape", -1, 2)],
            TensorProto.FLOAT)
        x = np.arange(6, dtype=np.float32)
        np.testing.assert_array_equal(run(x), x.reshape(3, 2).T)


class OrdersOfSeveralSizes(unittest.TestCase):
    def test_rows_written_before_the_end(self):
        """cache[total - n : total] = x, as PyTorch writes it: n rows, where n <= total <= capacity. Then cache[:total]."""
        model = OnnxModel(
            [("Shape", "x", "n"), ("Shape", "mask", "total"), ("Sub", "total n", "start"), ("Shape", "cache", "capacity"),
             ("Squeeze", "capacity", "last"), ("Range", "nothing last unit", "all"),
             ("Slice", "all start total zero", "rows"), ("Unsqueeze", "rows behind", "places"),
             ("ScatterND", "cache places x", "written"), ("Slice", "written zero total zero", "kept"),
             ("Add", "kept mask", "y")],
            {"x": ["n"], "mask": ["total"], "cache": ["capacity"]},
            weights=dict([integers("zero", 0), integers("behind", -1), integers("nothing", 0, shape=[]),
                          integers("unit", 1, shape=[])]))

        def inputs(n, total, capacity):
            return {name: np.arange(1, size + 1, dtype=np.float32) * factor
                    for name, size, factor in (("x", n, 1), ("mask", total, 100), ("cache", capacity, -10))}

        for sizes in ((1, 1, 1), (3, 7, 9), (4, 4, 12), (2, 12, 12), (0, 3, 5)):
            with self.subTest(sizes=sizes):
                given = inputs(*sizes)
                wanted = given["cache"][:sizes[1]].copy()
                wanted[sizes[1] - sizes[0]:] = given["x"]
                for outputs in model.run(given):
                    np.testing.assert_array_equal(outputs["y"], wanted + given["mask"])
        with self.assertRaisesRegex(Error, r"\(Slice\): wanted n <= total, found 5 and 4"):
            model.run(inputs(5, 4, 9))
        with self.assertRaisesRegex(Error, r"wanted total <= capacity, found 10 and 9"):
            model.run(inputs(1, 10, 9))

    def test_positions_within_their_table(self):
        """table[past : past + S] read row by row, by positions that are counted: no run for more than it has rows."""
        table = np.arange(16, dtype=np.float32).reshape(8, 2) + 1
        weights = dict([integers("zero", 0), integers("behind", -1), integers("nothing", 0, shape=[]),
                        integers("unit", 1, shape=[])], table=table)
        positions = [("Shape", "x", "dims"), ("Shape", "x", "size", {"start": 1}), ("Squeeze", "size", "n"),
                     ("Range", "nothing n unit", "r"), ("Unsqueeze", "r zero", "row")]
        rows = [("Gather", "table at", "rows"), ("Unsqueeze", "x behind", "column"), ("Add", "rows column", "y")]
        for name, nodes in (("expanded", [("Expand", "row dims", "at")]), ("of one row", [("Identity", "row", "at")])):
            model = OnnxModel([*positions, *nodes, *rows], {"x": ["B", "S"]}, weights=weights)
            for batch, size in ((1, 8), (3, 5)):
                x = np.arange(batch * size, dtype=np.float32).reshape(batch, size)
                for outputs in model.run({"x": x}):
                    np.testing.assert_array_equal(outputs["y"], table[None, :size] + x[..., None], name)
            with self.assertRaisesRegex(Error, "wanted S in 0..8, found 9"):
                model.run({"x": np.zeros((2, 9), np.float32)})
        # The other two that read at indices.
        tuples = [("Unsqueeze", "row behind", "at"), ("GatherND", "table at", "rows")]
        elements = [("Unsqueeze", "row behind", "thin"), ("Concat", "dims two", "wide", {"axis": 0}),
                    ("Expand", "thin wide", "at"), ("Unsqueeze", "table zero", "tables"),
                    ("Shape", "x", "batches", {"end": 1}), ("Concat", "batches eight_two", "full", {"axis": 0}),
                    ("Expand", "tables full", "each"), ("GatherElements", "each at", "rows", {"axis": 1})]
        for nodes in (tuples, elements):
            model = OnnxModel([*positions, *nodes, *rows[1:]], {"x": ["B", "S"]},
                              weights=weights | dict([integers("two", 2), integers("eight_two", 8, 2)]))
            x = np.arange(16, dtype=np.float32).reshape(2, 8)
            for outputs in model.run({"x": x}):
                np.testing.assert_array_equal(outputs["y"], table[None] + x[..., None])
            with self.assertRaisesRegex(Error, "wanted S in 0..8, found 9"):
                model.run({"x": np.zeros((2, 9), np.float32)})
        step = OnnxModel(
            [*positions, ("Shape", "cache", "past"), ("Add", "row past", "at"), *rows],
            {"x": ["B", "S"], "cache": ["P"]}, weights=weights)
        x = np.arange(4, dtype=np.float32).reshape(2, 2)
        for outputs in step.run({"x": x, "cache": np.zeros(6, np.float32)}):
            np.testing.assert_array_equal(outputs["y"], table[None, 6:] + x[..., None])
        with self.assertRaisesRegex(Error, r"rows \(Gather\): wanted P \+ S <= 8, found 9 and 8"):
            step.run({"x": x, "cache": np.zeros(7, np.float32)})

    def test_positions_that_are_chosen_are_not_taken_to_be_all(self):
        """min(i, 7) of S rows, and the first 4 of 12 positions: S may be more than the table has."""
        table = np.arange(8, dtype=np.float32)
        weights = dict([integers("zero", 0), integers("four", 4), integers("seven", 7, shape=[]),
                        integers("nothing", 0, shape=[]), integers("unit", 1, shape=[])], table=table)
        model = OnnxModel(
            [("Shape", "x", "size"), ("Squeeze", "size", "n"), ("Range", "nothing n unit", "r"),
             ("Min", "r seven", "at"), ("Gather", "table at", "rows"), ("Add", "rows x", "near"),
             ("Slice", "r zero four", "first"), ("Gather", "table first", "some"), ("ReduceSum", "some", "sum"),
             ("Add", "near sum", "y")], {"x": ["S"]}, weights=weights)
        for size in (4, 8, 12):
            x = np.arange(size, dtype=np.float32)
            for outputs in model.run({"x": x}):
                np.testing.assert_array_equal(outputs["y"], x + table[np.minimum(np.arange(size), 7)] + 6)

    def test_a_list_of_sizes_with_some_replaced(self):
        """The shape [2, S] with 3 put for the 2 by ScatterElements, as index_copy is traced; a place from the end."""
        model = OnnxModel(
            [("Unsqueeze", "x zero", "row"), ("Shape", "x", "size"), ("Concat", "two size", "shape", {"axis": 0}),
             ("ScatterElements", "shape place three", "to", {"axis": 0}), ("Expand", "row to", "y")], {"x": ["S"]},
            weights=dict([integers("zero", 0), integers("two", 2), integers("place", -2), integers("three", 3)]))
        for size in (1, 6):
            x = np.arange(size, dtype=np.float32)
            for outputs in model.run({"x": x}):
                np.testing.assert_array_equal(outputs["y"], np.broadcast_to(x, (3, size)))


if __name__ == "__main__":
    unittest.main()
