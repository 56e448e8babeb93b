#!/usr/bin/env python3
"""What files do with the places where a mask is true, whose number data decides: NonZero and what follows it leave a
running sum and a map, right for any number of places. Against NumPy's assignment through a mask, and loops over what it
chose.

TENON_BUILD names the build folder.
"""

import itertools
import pathlib
import sys
import unittest

import numpy as np
from onnx import TensorProto

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from onnx_model import OnnxModel  # noqa: E402
from tenon import Error  # noqa: E402

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
PLACES = [("NonZero", "mask", "found"), ("Transpose", "found", "places", {"perm": [1, 0]})]
COUNT = [("Shape", "places", "extent"), ("Gather", "extent zero", "count"),
         ("Unsqueeze", "count zeros", "counts")]
random = np.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


class MaskedPlaces(unittest.TestCase):
    def compile(self, nodes, inputs):
        """A model of these inputs and the output y; `inputs` maps a name to type and dims."""
        constants = {"zero": 0, "zeros": [0], "all": [-1], "last": [2], "one": [1], "unit": 1, "two": [2], "three": [3],
                     "two_ones": [1, 1], "three_as_one_and_two": [1, 2],
                     "last1": [-1], "rows_of_4": [-1, 4], "rows_of_2": [-1, 2]}
        model = OnnxModel(nodes, inputs, weights={n: np.array(value, np.int64) for n, value in constants.items()})
        return lambda x: model.run(x)[-1]["y"]

    def test_features_among_tokens(self):
        """As vision-language models do it: the mask of tokens, expanded along the features of each."""
        run = self.compile(
            [("Unsqueeze", "tokens last", "column"), ("Shape", "x", "dims"),
             ("Expand", "column dims", "mask"), *PLACES, *COUNT, ("Reshape", "features all", "flat"),
             ("Slice", "flat zeros counts zeros", "chosen"), ("ScatterND", "x places chosen", "y")],
            {"tokens": (BOOL, ["B", "S"]), "x": (FLOAT, ["B", "S", 8]), "features": (FLOAT, ["B", "N", 8])})
        for b, s, n, likely in ((1, 5, 4, 0.5), (3, 17, 20, 0.5), (2, 4, 4, 1), (2, 6, 1, 0), (2, 40, 50, 0.9)):
            x = {"tokens": random.random((b, s)) < likely, "x": normal(b, s, 8), "features": normal(b, n, 8)}
            want = x["x"].copy()
            want[x["tokens"]] = x["features"].reshape(-1, 8)[:x["tokens"].sum()]
            np.testing.assert_array_equal(run(x), want)
        x["features"] = normal(2, 1, 8)
        with self.assertRaisesRegex(Error, "y: an index in its input is out of range"):
            run(x)

    def test_a_mask_that_differs_along_every_dim(self):
        run = self.compile(
            [*PLACES, *COUNT, ("Slice", "values zeros counts", "chosen"),
             ("ScatterND", "x places chosen", "y")],
            {"mask": (BOOL, ["B", "S", 3]), "x": (FLOAT, ["B", "S", 3]), "values": (FLOAT, ["N"])})
        for b, s in ((1, 1), (3, 9)):
            x = {"mask": random.random((b, s, 3)) < 0.5, "x": normal(b, s, 3), "values": normal(b * s * 3)}
            want = x["x"].copy()
            want[x["mask"]] = x["values"][:x["mask"].sum()]
            np.testing.assert_array_equal(run(x), want)

    def test_a_row_for_each_place(self):
        """A mask of numbers over the first dims, and rows."""
        run = self.compile(
            [*PLACES, *COUNT, ("Slice", "rows zeros counts zeros one", "chosen"),
             ("ScatterND", "x places chosen", "y")],
            {"mask": (TensorProto.INT64, ["B", "S"]), "x": (FLOAT, ["B", "S", "D"]), "rows": (FLOAT, ["N", "D"])})
        mask = np.array([[0, 3, 0, -1], [7, 0, 0, 0]])
        x = {"mask": mask, "x": normal(2, 4, 6), "rows": normal(5, 6)}
        want = x["x"].copy()
        want[mask != 0] = x["rows"][:3]
        np.testing.assert_array_equal(run(x), want)

    def test_rows_expanded_to_their_number(self):
        """As PyTorch's newer exporter writes x[tokens] = features: the number is the sum of the mask."""
        run = self.compile(
            [("Unsqueeze", "tokens last", "column"), ("Shape", "x", "dims"),
             ("Expand", "column dims", "mask"), *PLACES, ("Cast", "tokens", "numbers", {"to": TensorProto.INT64}),
             ("Reshape", "numbers all", "list"), ("ReduceSum", "list", "sum", {"keepdims": 1}),
             ("Slice", "dims two three", "width"), ("Concat", "sum width", "wanted", {"axis": 0}),
             ("Expand", "features wanted", "rows"), ("Reshape", "rows all", "chosen", {"allowzero": 0}),
             ("ScatterND", "x places chosen", "y")],
            {"tokens": (BOOL, ["B", "S"]), "x": (FLOAT, ["B", "S", 8]), "features": (FLOAT, ["N", 8])})
        tokens = np.zeros((2, 7), bool)
        tokens[0, 1:4] = tokens[1, 2:4] = True
        x = {"tokens": tokens, "x": normal(2, 7, 8), "features": normal(5, 8)}
        want = x["x"].copy()
        want[tokens] = x["features"]
        np.testing.assert_array_equal(run(x), want)
        x["features"] = normal(4, 8)
        with self.assertRaisesRegex(Error, "y: an index in its input is out of range"):
            run(x)

    def test_one_row_for_all_places(self):
        run = self.compile(
            [*PLACES, *COUNT, ("Shape", "row", "width"), ("Concat", "counts width", "dims", {"axis": 0}),
             ("Expand", "row dims", "chosen"), ("ScatterND", "x places chosen", "y")],
            {"mask": (BOOL, ["S"]), "x": (FLOAT, ["S", "D"]), "row": (FLOAT, ["D"])})
        for likely in (0, 0.5, 1):
            x = {"mask": random.random(9) < likely, "x": normal(9, 4), "row": normal(4)}
            want = np.where(x["mask"][:, None], x["row"], x["x"])
            np.testing.assert_array_equal(run(x), want)

    INDICES = [("Split", "places", "first second", {"axis": 1, "num_outputs": 2}),
               ("Squeeze", "first one", "k"), ("Squeeze", "second one", "t")]

    def expert(self, kept, chosen, x, w, weight):
        """What y + (what a mask [K, T] chose: x[t] @ w * weight[t, k]) is."""
        y = kept.copy()
        for k, t in np.argwhere(chosen):
            y[t] += np.maximum(x[t] @ w, 0) * weight[t, k]
        return y

    def check_experts(self, nodes, likely=(0, 0.5, 1)):
        run = self.compile(nodes, {"mask": (BOOL, ["K", "T"]), "x": (FLOAT, ["T", 4]), "w": (FLOAT, [4, 6]),
                                   "weight": (FLOAT, ["T", "K"]), "kept": (FLOAT, ["T", 6])})
        for (k, t), p in itertools.product(((1, 1), (3, 9)), likely):
            one = np.arange(k)[:, None] == random.integers(-1, k, t)  # At most one for each t.
            x = {"mask": one if p == "one" else random.random((k, t)) < p, "x": normal(t, 4), "w": normal(4, 6),
                 "weight": normal(t, k), "kept": normal(t, 6)}
            want = self.expert(x["kept"], x["mask"], x["x"], x["w"], x["weight"])
            np.testing.assert_allclose(run(x), want, rtol=1e-5, atol=1e-5)

    def test_experts_added_at_their_tokens(self):
        """PyTorch's newer exporter: tuples of indices, a token of several places is added to several times."""
        self.check_experts([
            *PLACES, *self.INDICES, ("Unsqueeze", "t last1", "ts"), ("GatherND", "x ts", "rows"),
            ("MatMul", "rows w", "product"), ("Relu", "product", "live"), ("Unsqueeze", "k last1", "ks"),
            ("Concat", "ts ks", "pairs", {"axis": -1}), ("GatherND", "weight pairs", "each"),
            ("Unsqueeze", "each one", "column"), ("Mul", "live column", "scaled"),
            ("ScatterND", "kept ts scaled", "y", {"reduction": "add"})])

    def test_experts_put_at_their_tokens(self):
        """The older exporter: rows gathered along the second dim, weights from a list, and none of two places alike."""
        self.check_experts([
            *PLACES, *self.INDICES, ("Unsqueeze", "x zeros", "slab"), ("Gather", "slab t", "picked", {"axis": 1}),
            ("Reshape", "picked rows_of_4", "rows"), ("Gemm", "rows w", "product"),
            ("Relu", "product", "live"), ("Shape", "weight", "extents"),
            ("Gather", "extents unit", "experts"), ("Mul", "t experts", "row"), ("Add", "row k", "place"),
            ("Reshape", "weight all", "flat"), ("Gather", "flat place", "each"), ("Shape", "t", "number"),
            ("Concat", "number one", "shape", {"axis": 0}), ("Reshape", "each shape", "column"),
            ("Mul", "live column", "scaled"), ("Sub", "kept kept", "blank"), ("Shape", "scaled", "wide"),
            ("Unsqueeze", "t one", "ts"), ("Expand", "ts wide", "indices"),
            ("ScatterElements", "blank indices scaled", "added", {"axis": 0}), ("Add", "kept added", "y")],
            likely=("one", 0))

    def test_rows_of_a_mask_computed_and_put_back(self):
        """y = x; y[mask] = softmax(x[mask]) * s[mask]: a node for each use of the mask."""
        again = [("NonZero", "mask", "found2"), ("Transpose", "found2", "places2", {"perm": [1, 0]})]
        run = self.compile(
            [*PLACES, *again, ("GatherND", "x places", "rows"), ("Softmax", "rows", "soft"),
             ("GatherND", "s places2", "scales"), ("Mul", "soft scales", "scaled"),
             ("Unsqueeze", "mask last", "column"), ("Shape", "x", "dims"),
             ("Expand", "column dims", "wide"),
             ("NonZero", "wide", "found3"), ("Transpose", "found3", "places3", {"perm": [1, 0]}),
             ("Shape", "places3", "extent"), ("Gather", "extent zeros", "count"),
             ("Reshape", "scaled all", "list"), ("Slice", "list zeros count zeros", "chosen"),
             ("ScatterND", "x places3 chosen", "y")],
            {"mask": (BOOL, ["B", "S"]), "x": (FLOAT, ["B", "S", 5]), "s": (FLOAT, ["B", "S", 1])})
        for likely in (0, 0.5, 1):
            x = {"mask": random.random((2, 7)) < likely, "x": normal(2, 7, 5), "s": normal(2, 7, 1)}
            want = x["x"].copy()
            rows = np.exp(want[x["mask"]])
            want[x["mask"]] = rows / rows.sum(-1, keepdims=True) * x["s"][x["mask"]]
            np.testing.assert_allclose(run(x), want, rtol=1e-5, atol=1e-6)

    def test_indices_that_only_places_make_valid(self):
        """table[number[t]]: where the mask is false the number is no index."""
        run = self.compile(
            [*PLACES, ("GatherND", "number places", "picked"), ("Gather", "table picked", "rows"),
             ("ScatterND", "x places rows", "y")],
            {"mask": (BOOL, ["T"]), "number": (TensorProto.INT64, ["T"]), "table": (FLOAT, ["N", 3]),
             "x": (FLOAT, ["T", 3])})
        x = {"mask": np.array([1, 0, 1, 0], bool), "number": np.array([1, 99, -2, -99]), "table": normal(2, 3),
             "x": normal(4, 3)}
        want = x["x"].copy()
        want[x["mask"]] = x["table"][x["number"][x["mask"]]]
        np.testing.assert_array_equal(run(x), want)
        x["number"][0] = 2
        with self.assertRaisesRegex(Error, "an index in its input is out of range"):
            run(x)

    def test_parts_whose_sizes_are_data(self):
        run = self.compile(
            [("Split", "x sizes", "a b c", {"axis": 0}), ("MatMul", "a w", "p"), ("Relu", "b", "q"),
             ("Neg", "c", "r"), ("Concat", "p q r", "y", {"axis": 0})],
            {"x": (FLOAT, ["T", 4]), "sizes": (TensorProto.INT64, [3]), "w": (FLOAT, [4, 4])})
        for sizes in ([2, 3, 4], [0, 9, 0], [9, 0, 0], [0, 0, 9]):
            x = {"x": normal(9, 4), "sizes": np.array(sizes), "w": normal(4, 4)}
            a, b, c = np.split(x["x"], np.cumsum(sizes)[:2])
            want = np.concatenate([a @ x["w"], np.maximum(b, 0), -c])
            np.testing.assert_allclose(run(x), want, rtol=1e-5, atol=1e-5)
        for sizes in ([2, 3, 3], [2, 3, 5]):
            with self.assertRaisesRegex(Error, "an index in its input is out of range"):
                run({**x, "sizes": np.array(sizes)})

    def test_what_mixes_places_is_refused(self):
        """All of these give y [T, 2] or a number, with rows [count, 2] read at the places."""
        inputs = {"mask": (BOOL, ["T"]), "x": (FLOAT, ["T", 2]), "w": (FLOAT, ["T", 2])}
        rows = [*PLACES, ("GatherND", "x places", "rows")]
        put, turned = [("ScatterND", "x places z", "y")], ("Transpose", "rows", "turned", {"perm": [1, 0]})
        for nodes in ([("ReduceSum", "rows zeros", "y", {"keepdims": 0})],
                      [("Softmax", "rows", "z", {"axis": 0}), *put],
                      [("CumSum", "rows zero", "z"), *put], [("Add", "rows w", "z"), *put],
                      [turned, ("Reshape", "turned rows_of_2", "z"), *put],
                      [("Concat", "rows w", "y", {"axis": 0})], [("Gather", "rows zeros", "y")],
                      [turned, ("MatMul", "turned rows", "y")],
                      [("Cast", "rows", "y", {"to": FLOAT})]):
            with self.assertRaisesRegex(AssertionError, "known from the shapes of .*count of node 'found'"):
                self.compile([*rows, *nodes], inputs)
        parts = {"x": (FLOAT, ["T", 2]), "sizes": (TensorProto.INT64, [2])}
        for order in ("b a", "a a", "a b"):
            joined = ("Concat", order, "y", {"axis": int(order == "a b")})
            with self.assertRaisesRegex(AssertionError, "known from the shapes of the inputs, .*size of part"):
                self.compile([("Split", "x sizes", "a b"), joined], parts)

    def test_as_many_places_as_a_split_says(self):
        """Indices and rows of three places, taken apart and put together in another order; no other number will do."""
        rows = [*PLACES, ("GatherND", "x places", "rows")]
        mask, x = np.zeros((4, 5), bool), normal(4, 5, 2)
        mask[0, 3] = mask[2, 0] = mask[2, 4] = True
        for cut, want in (("places", np.argwhere(mask)), ("rows", x[mask])):
            run = self.compile(
                [*rows, ("Split", f"{cut} three_as_one_and_two", "first others"),
                 ("Concat", "others first", "turned", {"axis": 0}), ("Cast", "turned", "y", {"to": FLOAT})],
                {"mask": (BOOL, ["A", "B"]), "x": (FLOAT, ["A", "B", 2])})
            np.testing.assert_array_equal(run({"mask": mask, "x": x}), want[[1, 2, 0]].astype(np.float32))
            for changed in (mask & (np.arange(5) < 4), mask | (np.arange(4) == 3)[:, None]):
                with self.assertRaisesRegex(Error, "an index in its input is out of range"):
                    run({"mask": changed, "x": x})
        with self.assertRaisesRegex(AssertionError, "known from the shapes of the inputs, .*count of node 'found'"):
            self.compile([*rows, ("Split", "rows", "a b", {"num_outputs": 2}), ("Add", "a b", "y")],
                         {"mask": (BOOL, ["A", "B"]), "x": (FLOAT, ["A", "B", 2])})

    def test_a_loop_over_chosen_experts(self):
        """As transformers' loop over the experts that have tokens is traced: which experts, and how many in the file."""
        loop = [("NonZero", "any", "hit"), ("Transpose", "hit", "hits", {"perm": [1, 0]}),
                ("Split", "hits two_ones", "e0 e1"), ("Squeeze", "e0 zeros", "n0"), ("Squeeze", "e1 zeros", "n1")]
        y = "kept"
        for k in "01":
            loop += [("Gather", f"n{k} zero", f"i{k}"), ("Gather", f"mask i{k}", f"m{k}"),
                     ("NonZero", f"m{k}", f"t{k}"), ("Squeeze", f"t{k} zeros", f"s{k}"),
                     ("Gather", f"x s{k}", f"r{k}"), ("Gather", f"w i{k}", f"w{k}"),
                     ("MatMul", f"r{k} w{k}", f"p{k}"), ("Unsqueeze", f"s{k} one", f"u{k}"),
                     ("ScatterND", f"{y} u{k} p{k}", "y" if k == "1" else "half", {"reduction": "add"})]
            y = "half"
        run = self.compile([("Cast", "mask", "numbers", {"to": TensorProto.INT64}),
                            ("ReduceMax", "numbers one", "some", {"keepdims": 0}),
                            ("Cast", "some", "any", {"to": BOOL}), *loop],
                           {"mask": (BOOL, [5, "T"]), "x": (FLOAT, ["T", 4]), "w": (FLOAT, [5, 4, 6]),
                            "kept": (FLOAT, ["T", 6])})
        for t, experts in ((1, (0, 4)), (7, (1, 2)), (9, (3, 4))):
            x = {"mask": np.zeros((5, t), bool), "x": normal(t, 4), "w": normal(5, 4, 6), "kept": normal(t, 6)}
            for expert in experts:
                x["mask"][expert] = random.random(t) < 0.5
                x["mask"][expert, random.integers(t)] = True
            want = x["kept"].copy()
            for expert, token in np.argwhere(x["mask"]):
                want[token] += x["x"][token] @ x["w"][expert]
            np.testing.assert_allclose(run(x), want, rtol=1e-5, atol=1e-5)
        x["mask"][experts[0]] = False
        with self.assertRaisesRegex(Error, "an index in its input is out of range"):
            run(x)

    def test_one_number_for_all_places(self):
        """As PyTorch's newer exporter writes x[mask] = number: the number, expanded to a list as long as the mask's sum."""
        run = self.compile(
            [*PLACES, ("Reshape", "mask all", "flags"), ("Cast", "flags", "numbers", {"to": TensorProto.INT64}),
             ("ReduceSum", "numbers", "sum", {"keepdims": 1}), ("Expand", "number sum", "repeated"),
             ("Reshape", "repeated all", "chosen", {"allowzero": 0}), ("ScatterND", "x places chosen", "y")],
            {"mask": (BOOL, ["B", "S", 3]), "x": (FLOAT, ["B", "S", 3]), "number": (FLOAT, [])})
        for b, s, likely in ((1, 1, 1), (3, 9, 0.5), (2, 4, 0)):
            x = {"mask": random.random((b, s, 3)) < likely, "x": normal(b, s, 3), "number": np.float32(-1e9)}
            np.testing.assert_array_equal(run(x), np.where(x["mask"], x["number"], x["x"]))

    def test_other_operators_are_refused(self):
        inputs = {"mask": (BOOL, ["S"]), "x": (FLOAT, ["S"])}
        data = r"(y|r|e) .*: wanted .* known from the shapes of the inputs, .*count of node 'found' \(NonZero\)"
        for nodes in ([("Cast", "found", "y", {"to": FLOAT})],  # a tensor of data's size
                      [("GatherND", "x places", "y")],
                      [*COUNT, ("Range", "zero count unit", "r"), ("Cast", "r", "y", {"to": FLOAT})],
                      [*COUNT, ("Expand", "x counts", "e"), ("Add", "e e", "y")],
                      [*COUNT, ("Cast", "count", "y", {"to": FLOAT})]):
            with self.assertRaisesRegex(AssertionError, data):
                self.compile([*PLACES, *nodes], inputs)


if __name__ == "__main__":
    unittest.main()
