#!/usr/bin/env python3
"""Attentions as graphs have them, node by node, against NumPy in float64: which become one op, and what comes out of those
and of the ones that stay as they are.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import unittest

import numpy as np
from onnx import TensorProto

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from onnx_model import OnnxModel  # noqa: E402

HEADS, DEPTH = 3, 20
SIZES = [(1, 1, 1), (2, 3, 7), (1, 17, 64), (2, 65, 33), (1, 130, 129)]  # batch, queries, keys
SQUARE = [(b, n, n) for b, n, _ in SIZES]
random = np.random.default_rng(0)
WEIGHTS = {
    "scale": np.float32(DEPTH**-0.5), "one": np.float32(1), "zero": np.float32(0), "epsilon": np.float32(1e-3),
    "last": np.array([3]), "middle": np.array([1, 2]), "bias": random.standard_normal((HEADS, 1, 1)).astype(np.float32),
    "mix": random.standard_normal((HEADS, HEADS)).astype(np.float32), "from1": np.array([1]), "end": np.array([1 << 31]),
    "sink_pads": np.array([0, 0, 0, 1, 0, 0, 0, 0]),
}
SCORES = [("Transpose", "k", "kt", {"perm": [0, 1, 3, 2]}), ("MatMul", "q kt", "qk"), ("Mul", "qk scale", "s")]
SOFTMAX = [*SCORES, ("Softmax", "s", "p", {"axis": -1})]
OUT = [("MatMul", "p v", "y")]


def causal(n, m):
    return np.tri(n, m)


def scores(q, k):
    return np.einsum("bhid,bhjd->bhij", q, k) * DEPTH**-0.5


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class AttentionGraphs(unittest.TestCase):
    def check(self, nodes, want, raised, sizes=SIZES, outputs=("y",), extra=None, tolerance=2e-5):
        """want(q, k, v, …) gives the outputs, in float64; `raised`: the attentions in the program."""
        inputs = {"q": ["B", HEADS, "N", DEPTH], "k": ["B", HEADS, "M" if sizes is SIZES else "N", DEPTH]}
        inputs["v"] = inputs["k"]
        inputs |= extra or {}
        model = OnnxModel(nodes, inputs, {name: None for name in outputs},
                          {name: w for name, w in WEIGHTS.items() if any(name in row[1].split() for row in nodes)})
        program = model.program("fuse")
        self.assertEqual(program.count("= tenon.attention "), raised, program)
        for b, n, m in sizes:
            x = {name: random.standard_normal((b, HEADS, rows, DEPTH)).astype(np.float32)
                 for name, rows in (("q", n), ("k", m), ("v", m))}
            if extra:
                x["keep"] = random.random((b, m)) < 0.7
            wanted = want(**{name: array.astype(np.float64) for name, array in x.items()})
            for found in model.run(x, threads=(2,)):
                for name, array in zip(outputs, wanted):
                    scale = max(1, np.abs(array).max())
                    np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance * scale, err_msg=f"{name} {b, n, m}")
        return program

    def test_a_step_with_a_finite_mask_and_a_guard(self):
        """One query over a cache, as it is exported: rows of dead keys weigh all alike, rows of no numbers are zero."""
        nodes = [("Cast", "keep", "live", {"to": TensorProto.BOOL}), ("Where", "live zero least", "mask"),
                 ("Unsqueeze", "mask middle", "masks"), *SCORES, ("Add", "s masks", "masked"),
                 ("Softmax", "masked", "weights", {"axis": -1}), ("IsNaN", "weights", "none"), ("Where", "none zero weights", "p"), *OUT]
        model = OnnxModel(nodes, {"q": ["B", HEADS, 1, DEPTH], "k": ["B", HEADS, "M", DEPTH], "v": ["B", HEADS, "M", DEPTH],
                                  "keep": (TensorProto.INT64, ["B", "M"])},
                          weights={"scale": WEIGHTS["scale"], "zero": WEIGHTS["zero"], "middle": WEIGHTS["middle"],
                                   "least": np.finfo(np.float32).min})
        self.assertIn("tenon.attention_update", model.program("choose"))
        for keys in (1, 5, 64, 700):
            x = {name: random.standard_normal((4, HEADS, n, DEPTH)).astype(np.float32)
                 for name, n in (("q", 1), ("k", keys), ("v", keys))}
            x["keep"] = (random.random((4, keys)) < 0.7).astype(np.int64)
            x["keep"][1] = 0
            x["q"][3, 1] = np.nan
            s = scores(*(x[name].astype(np.float64) for name in "qk"))
            live = x["keep"][:, None, None, :] != 0
            p = softmax(np.where(live | ~live.any(-1, keepdims=True), s * live.any(-1, keepdims=True), -np.inf))
            wanted = np.where(np.isnan(p), 0, p) @ x["v"].astype(np.float64)
            for found in model.run(x, threads=(1, 2)):
                np.testing.assert_allclose(found["y"], wanted, rtol=0, atol=2e-5, err_msg=f"{keys} keys")

    # Weights and scores that are results.

    def test_weights_returned(self):
        def want(q, k, v):
            p = softmax(scores(q, k))
            return p @ v, p

        program = self.check([*SOFTMAX, *OUT], want, 0, outputs=("y", "p"))
        self.assertEqual(program.count("tenon.softmax"), 1)

    def test_weights_averaged(self):
        def want(q, k, v):
            p = softmax(scores(q, k))
            return p @ v, p.mean(1)

        program = self.check([*SOFTMAX, *OUT, ("ReduceMean", "p from1", "mean", {"keepdims": 0})], want, 0, outputs=("y", "mean"))
        self.assertEqual(program.count("tenon.softmax"), 1)

    def test_scores_returned(self):
        self.check([*SOFTMAX, *OUT], lambda q, k, v: (softmax(scores(q, k)) @ v, scores(q, k)), 0, outputs=("y", "s"))

    def test_averaged_weights_that_nothing_reads(self):
        self.check([*SOFTMAX, *OUT, ("ReduceMean", "p from1", "mean", {"keepdims": 0})],
                   lambda q, k, v: (softmax(scores(q, k)) @ v,), 1)

    # An entry of the softmax that is no key.

    def test_sink_in_front(self):
        """Softmax off by one, as padding writes it."""
        def want(q, k, v):
            s = scores(q, k)
            return softmax(np.concatenate([np.zeros_like(s[..., :1]), s], -1))[..., 1:] @ v,

        self.check([*SCORES, ("Pad", "s sink_pads zero", "t"), ("Softmax", "t", "w", {"axis": -1}),
                    ("Slice", "w from1 end last", "p"), *OUT], want, 1)

    # Without a softmax.

    def test_sigmoid_of_keys_that_are_kept(self):
        def want(q, k, v, keep):
            return 1 / (1 + np.exp(-scores(q, k) - WEIGHTS["bias"])) * keep[:, None, None] @ v,

        self.check([*SCORES, ("Add", "s bias", "t"), ("Sigmoid", "t", "g"), ("Unsqueeze", "keep middle", "mask"),
                    ("Where", "mask g zero", "p"), *OUT], want, 1, extra={"keep": (TensorProto.BOOL, ["B", "M"])})

    def test_relu_of_earlier_keys(self):
        def want(q, k, v):
            return np.maximum(scores(q, k), 0) * causal(q.shape[2], k.shape[2]) @ v,

        program = self.check([*SCORES, ("Relu", "s", "r"), ("Trilu", "r", "p", {"upper": 0}), *OUT], want, 1, sizes=SQUARE)
        self.assertIn("keep", program)

    def test_squared_relu_over_its_sum(self):
        def want(q, k, v):
            a = np.square(np.maximum(scores(q, k), 0))
            return a / (a.sum(-1, keepdims=True) + 1e-3) @ v,

        self.check([*SCORES, ("Relu", "s", "r"), ("Mul", "r r", "a"), ("ReduceSum", "a last", "l"), ("Add", "l epsilon", "d"),
                    ("Div", "a d", "p"), *OUT], want, 1, tolerance=1e-4)

    def test_linear_scores_over_their_sum(self):
        """Of positive features, whose products are: no tensor of queries and keys remains."""
        def want(q, k, v):
            a = (np.abs(q) + 1e-3) @ (np.abs(k) + 1e-3).swapaxes(2, 3)
            return a / a.sum(-1, keepdims=True) @ v,

        features = [("Abs", "q", "q0"), ("Abs", "k", "k0"), ("Add", "q0 epsilon", "q1"), ("Add", "k0 epsilon", "k1"),
                    ("Transpose", "k1", "kt", {"perm": [0, 1, 3, 2]}), ("MatMul", "q1 kt", "a")]
        self.check([*features, ("ReduceSum", "a last", "l"), ("Div", "a l", "p"), *OUT], want, 1)

    def test_linear_scores_of_keys_that_are_kept(self):
        """The mask is a factor of the keys: as above, no tensor of queries and keys remains."""
        def want(q, k, v, keep):
            return scores(q, k) * keep[:, None, None] @ v,

        program = self.check([*SCORES, ("Unsqueeze", "keep middle", "m"), ("Cast", "m", "mask", {"to": TensorProto.FLOAT}),
                              ("Mul", "s mask", "p"), *OUT], want, 1, extra={"keep": (TensorProto.BOOL, ["B", "M"])}, tolerance=1e-4)
        self.assertNotIn("keep (", program)

    def test_retention(self):
        """Rows over the absolute value of their sum, at least 1."""
        def want(q, k, v):
            a = scores(q, k) * causal(q.shape[2], k.shape[2])
            return a / np.maximum(np.abs(a.sum(-1, keepdims=True)), 1) @ v,

        self.check([*SCORES, ("Trilu", "s", "a", {"upper": 0}), ("ReduceSum", "a last", "l"), ("Abs", "l", "m"),
                    ("Max", "m one", "d"), ("Div", "a d", "p"), *OUT], want, 1, sizes=SQUARE, tolerance=1e-4)

    # Without a product of queries and keys.

    def test_edges_of_a_graph(self):
        """GAT: a number of each end of an edge, added, through LeakyReLU; where there is no edge, a very small score."""
        model = OnnxModel(
            [("Unsqueeze", "l middle2", "li"), ("Unsqueeze", "r middle1", "rj"), ("Add", "li rj", "e"),
             ("LeakyRelu", "e", "f", {"alpha": 0.2}), ("Unsqueeze", "edges last", "m"), ("Where", "m f lowest", "s"),
             ("Softmax", "s", "p", {"axis": 2}), ("Einsum", "p v", "y", {"equation": "bijh,bjhd->bihd"})],
            {"l": ["B", "N", HEADS], "r": ["B", "N", HEADS], "edges": (TensorProto.BOOL, ["B", "N", "N"]),
             "v": ["B", "N", HEADS, DEPTH]},
            weights={"middle1": np.array([1]), "middle2": np.array([2]), "last": np.array([3]), "lowest": np.float32(-1e30)})
        self.assertIn("tenon.attention", model.program("fuse"))
        self.assertNotIn("tenon.softmax", model.program("choose"))
        for b, n in ((1, 1), (2, 7), (3, 33), (1, 140)):
            x = {name: random.standard_normal((b, n, HEADS)).astype(np.float32) for name in "lr"}
            x |= {"edges": random.random((b, n, n)) < 0.3, "v": random.standard_normal((b, n, HEADS, DEPTH)).astype(np.float32)}
            e = x["l"][:, :, None].astype(np.float64) + x["r"][:, None]
            s = np.where(x["edges"][..., None], np.where(e > 0, e, 0.2 * e), -1e30)
            want = np.einsum("bijh,bjhd->bihd", softmax(s.swapaxes(2, 3)).swapaxes(2, 3), x["v"])
            for found in model.run(x, threads=(2,)):
                np.testing.assert_allclose(found["y"], want, rtol=0, atol=2e-5)

    # Heads that are mixed: every weight is of all heads' scores, so these stay in memory.

    def test_heads_mixed_before_the_softmax(self):
        def want(q, k, v):
            return softmax(np.einsum("bgij,hg->bhij", scores(q, k), WEIGHTS["mix"])) @ v,

        self.check([*SCORES, ("Einsum", "s mix", "t", {"equation": "bgij,hg->bhij"}), ("Softmax", "t", "p", {"axis": -1}), *OUT],
                   want, 0, tolerance=1e-4)

    def test_heads_mixed_behind_the_softmax(self):
        def want(q, k, v):
            return np.einsum("bgij,hg->bhij", softmax(scores(q, k)), WEIGHTS["mix"]) @ v,

        self.check([*SCORES, ("Softmax", "s", "t", {"axis": -1}), ("Einsum", "t mix", "p", {"equation": "bgij,hg->bhij"}), *OUT],
                   want, 0, tolerance=1e-4)


if __name__ == "__main__":
    unittest.main()
