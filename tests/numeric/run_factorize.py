#!/usr/bin/env python3
"""`tenon compile --factorize`: the model computed is the one its report promises, against NumPy's SVD in float64.

TENON_BUILD names the build folder.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import native  # noqa: E402

REPORT = re.compile(r"^    (\S+), (\d+) x (\d+): (?:rank (\d+), relative error ([^;\s]+)(?:; result (\S+) off)?|left as it is, (.*))$", re.MULTILINE)


def truncated(matrix, rank):
    """The best matrix of this rank, and its relative error."""
    u, s, v = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ v[:rank], np.linalg.norm(s[rank:]) / np.linalg.norm(s)


def decaying(random, k, n):
    """A matrix whose singular values fall, as those of trained weights do."""
    u, s, v = np.linalg.svd(random.standard_normal((k, n)), full_matrices=False)
    return (u * s * 0.8 ** np.arange(len(s)) @ v).astype(np.float32)


class FactorizeCase(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(5)
        self.work = tempfile.TemporaryDirectory(prefix="tenon-factorize-")
        self.folder = pathlib.Path(self.work.name)

    def tearDown(self):
        self.work.cleanup()

    def write(self, nodes, weights, features, outputs=("y",)):
        """A model of x [N, features], or [N, *features] of a list; gives its path."""
        shape = ["N", *features] if isinstance(features, list) else ["N", features]
        graph = helper.make_graph(
            nodes, "g", [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(o, onnx.TensorProto.FLOAT, None) for o in outputs],
            [numpy_helper.from_array(value, name) for name, value in weights.items()])
        path = self.folder / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
        return path

    def recipe(self, steps, calibration=None):
        path = self.folder / "recipe.json"
        whole = {"steps": steps} | ({} if calibration is None else {"calibration": calibration})
        path.write_text(steps if isinstance(steps, str) else json.dumps(whole))
        return path

    def program(self, model, steps):
        """The program after the phase `fuse`, with the recipe."""
        done = subprocess.run([native.BUILD / "bin" / "tenon", "compile", model, "--emit=mlir@fuse", "--factorize", self.recipe(steps)],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def compile(self, model, steps, calibration=None):
        """(exit status, what was printed, weights by name -> their line's fields); without steps, as it is."""
        self.artifact = self.folder / "model.tenon"
        arguments = ["--factorize", self.recipe(steps, calibration)] if steps is not None else []
        self.compiled = [model, *arguments]
        done = subprocess.run([native.BUILD / "bin" / "tenon", "compile", model, "-o", self.artifact,
                               "--target=" + (",".join(native.NAMED_LEVELS) or "host"), *arguments],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr, {m[1]: m.groups()[1:] for m in REPORT.finditer(done.stdout)}

    def results(self, inputs, threads=1):
        """NAME -> output of what was compiled last, at each place tests run."""
        return [native.outputs(self.artifact, inputs, threads, level, self.compiled) for level in native.places()]

    def refused(self, model, steps, *words, calibration=None):
        status, text, _ = self.compile(model, steps, calibration)
        self.assertEqual(status, 1, text)
        for word in words:
            self.assertIn(word, text)
        self.assertFalse(self.artifact.exists(), "something was written")


class FactorizeTest(FactorizeCase):
    def check_product(self, k, n, rows, transposed=False, **budget):
        weight = decaying(self.random, k, n)
        gemm = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="layer", transB=int(transposed))
        bias = self.random.standard_normal(n).astype(np.float32)
        model = self.write([gemm], {"w": np.ascontiguousarray(weight.T) if transposed else weight, "b": bias}, k)
        status, text, report = self.compile(model, [{"do": "low_rank", "weights": ["layer"], **budget}])
        self.assertEqual(status, 0, text)
        (fields,) = report.values()
        self.assertEqual((int(fields[0]), int(fields[1])), (k, n))
        if fields[2] is None:
            return None
        best, error = truncated(weight, int(fields[2]))
        self.assertAlmostEqual(float(fields[3]), error, delta=0.02 * error + 1e-6)
        x = self.random.standard_normal((rows, k)).astype(np.float32)
        wanted = x.astype(np.float64) @ best + bias
        scale = np.abs(x).astype(np.float64) @ np.abs(weight).astype(np.float64) + np.abs(bias)
        for found in self.results({"x": x}):
            self.assertLess((np.abs(found["y"] - wanted) / scale).max(), 1e-6)
        return int(fields[2]), error, weight

    def test_ranks(self):
        for k, n, rank, rows in ((64, 48, 5, 7), (48, 65, 16, 1), (33, 17, 1, 3), (129, 63, 20, 65), (96, 96, 47, 2)):
            for transposed in (False, True):
                with self.subTest(k=k, n=n, rank=rank, transposed=transposed):
                    self.assertEqual(self.check_product(k, n, rows, transposed, rank=rank)[0], rank)

    def test_error_budget(self):
        """The smallest rank that keeps the budget, filled up to whole panels of 16, which cost the same."""
        for k, n, budget in ((128, 96, 0.3), (96, 160, 0.05), (200, 120, 0.01)):
            with self.subTest(k=k, n=n, budget=budget):
                rank, error, weight = self.check_product(k, n, 5, error=budget)
                self.assertLessEqual(error, budget)
                self.assertEqual(rank % 16, 0)
                self.assertGreater(truncated(weight, rank - 16)[1] if rank > 16 else 1, budget)

    def test_no_gain(self):
        self.assertIsNone(self.check_product(40, 40, 3, rank=20))
        self.assertIsNone(self.check_product(40, 40, 3, error=0.0))
        self.assertIsNotNone(self.check_product(40, 40, 3, rank=19))

    def test_matrix_of_zeros(self):
        model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.zeros((64, 64), np.float32)}, 64)
        status, text, report = self.compile(model, [{"do": "low_rank", "weights": ["w"], "error": 0.1}])
        self.assertEqual(status, 0, text)
        self.assertEqual(float(report["w"][3]), 0)
        for found in self.results({"x": np.ones((2, 64), np.float32)}):
            np.testing.assert_array_equal(found["y"], 0)

    def two_layers(self):
        weights = {"first": decaying(self.random, 64, 96), "second": decaying(self.random, 96, 64)}
        nodes = [helper.make_node("MatMul", ["x", "first"], ["h"], name="up"), helper.make_node("Relu", ["h"], ["r"]),
                 helper.make_node("MatMul", ["r", "second"], ["y"], name="down")]
        return self.write(nodes, weights, 64), weights

    def test_steps_in_order(self):
        """The first step that names a weight has it; what no step names stays."""
        model, weights = self.two_layers()
        status, text, report = self.compile(model, [{"do": "low_rank", "weights": ["fir*"], "rank": 8},
                                                    {"do": "low_rank", "weights": ["*"], "rank": 16}])
        self.assertEqual(status, 0, text)
        self.assertEqual([report["first"][2], report["second"][2]], ["8", "16"])
        self.assertIn("factorized 2 of 2 weights: 0.01 to 0.00 million", text)
        x = self.random.standard_normal((9, 64)).astype(np.float32)
        h = np.maximum(x @ truncated(weights["first"], 8)[0], 0)
        wanted = h @ truncated(weights["second"], 16)[0]
        for found in self.results({"x": x}):
            np.testing.assert_allclose(found["y"], wanted, atol=2e-6 * np.abs(wanted).max())
        status, text, report = self.compile(model, [{"do": "low_rank", "weights": ["down"], "rank": 4}])
        self.assertEqual(list(report), ["second"], text)

    def test_weight_read_elsewhere_stays(self):
        """A tied embedding: its table would have to stay beside the factors."""
        table = decaying(self.random, 64, 64)
        nodes = [helper.make_node("MatMul", ["x", "table"], ["h"]), helper.make_node("Gather", ["table", "which"], ["row"]),
                 helper.make_node("Add", ["h", "row"], ["y"])]
        model = self.write(nodes, {"table": table, "which": np.array([3])}, 64)
        status, text, report = self.compile(model, [{"do": "low_rank", "weights": ["table"], "rank": 4}])
        self.assertEqual(status, 0, text)
        self.assertEqual(report["table"][5], "something else reads it too")

    def test_shared_weight_is_factorized_once(self):
        weight = decaying(self.random, 64, 64)
        nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
                 helper.make_node("MatMul", ["r", "w"], ["y"])]
        status, text, report = self.compile(self.write(nodes, {"w": weight}, 64), [{"do": "low_rank", "weights": ["w"], "rank": 6}])
        self.assertEqual((status, len(report)), (0, 1), text)
        best, x = truncated(weight, 6)[0], self.random.standard_normal((3, 64)).astype(np.float32)
        wanted = np.maximum(x @ best, 0) @ best
        for found in self.results({"x": x}):
            np.testing.assert_allclose(found["y"], wanted, atol=2e-6 * np.abs(wanted).max())

    def test_refusals(self):
        model, _ = self.two_layers()
        step = {"do": "low_rank", "weights": ["*"], "rank": 4}
        self.refused(model, [step | {"do": "sparsify"}], "recipe.json: step 1, do: wanted one of \"low_rank\", \"dense_sparse\", \"fold\"", "found \"sparsify\"")
        self.refused(model, [step, step | {"weights": ["third.*"]}],
                     "step 2, weights: no product has a weight or node called 'third.*'; there are: first, second")
        self.refused(model, [step | {"rank": 65}], "step 1: weight 'first' (64 x 96): wanted a rank of at most 64, found 65")
        self.refused(model, [step | {"rank": 0}], "step 1, rank: wanted a number of at least 1, found 0")
        self.refused(model, [step | {"error": 0.1}], "step 1: wanted one of 'rank' and 'error'")
        self.refused(model, [{"do": "low_rank", "weights": ["*"], "error": 1.5}], "step 1, error: wanted a number from 0 to below 1")
        self.refused(model, [step | {"weights": []}], "step 1, weights: wanted a list of patterns, found []")
        self.refused(model, [step | {"weights": ["[a"]}], "step 1, weights: wanted a pattern")
        self.refused(model, [step | {"ranks": 3}], "step 1: no field of \"low_rank\" is called 'ranks'")
        self.refused(model, [], "wanted {\"steps\": [...]} with at least one step")
        self.refused(model, "{\"steps\": [", "recipe.json")
        (self.folder / "recipe.json").unlink()
        done = subprocess.run([native.BUILD / "bin" / "tenon", "compile", model, "--factorize", self.folder / "none.json"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.json: No such file", done.stderr)

    def test_weights_that_are_not_finite_are_refused(self):
        for bad in (np.nan, np.inf):
            weight = decaying(self.random, 64, 64)
            weight[3, 5] = bad
            model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, 64)
            self.refused(model, [{"do": "low_rank", "weights": ["w"], "rank": 4}], "weight 'w': wanted finite elements")


class WhitenTest(FactorizeCase):
    """`whiten`: what is small is the error of the products' results on the calibration inputs."""

    @staticmethod
    def whitened(matrix, x, rank):
        """The best of this rank for these inputs, by a Cholesky factor of their Gram matrix, and the result's relative error."""
        w, gram = matrix.astype(np.float64), x.astype(np.float64).T @ x.astype(np.float64)
        root = np.linalg.cholesky(gram + 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))).T
        u, s, v = np.linalg.svd(root @ w, full_matrices=False)
        best = np.linalg.solve(root, (u[:, :rank] * s[:rank]) @ v[:rank])
        return best, np.linalg.norm(x @ (w - best)) / np.linalg.norm(x @ w)

    def correlated(self, rows, k):
        """Inputs that have most of their length along few directions."""
        turn = np.linalg.qr(self.random.standard_normal((k, k)))[0]
        return (self.random.standard_normal((rows, k)) * 0.85 ** np.arange(k) @ turn).astype(np.float32)

    def test_whitened(self):
        """Tall and wide, more inputs than rows and fewer."""
        for k, n, rank, rows in ((64, 48, 8, 300), (33, 65, 5, 200), (96, 64, 16, 40)):
            with self.subTest(k=k, n=n):
                weight, x = self.random.standard_normal((k, n)).astype(np.float32), self.correlated(rows, k)
                model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"], name="layer")], {"w": weight}, k)
                np.save(self.folder / "x.npy", x)
                step = {"do": "low_rank", "weights": ["w"], "rank": rank}
                status, text, _ = self.compile(model, [step | {"whiten": True}], {"x": "x.npy"})
                self.assertEqual(status, 0, text)
                best, error = self.whitened(weight, x, rank)
                for found in self.results({"x": x}):
                    np.testing.assert_allclose(found["y"], x @ best, atol=3e-6 * np.abs(x @ best).max())
                (layer, off) = re.search(r"    w, .*relative error (\S+); result (\S+) off", text).groups()
                self.assertAlmostEqual(float(layer), error, delta=0.02 * error)
                self.assertAlmostEqual(float(off), error, delta=0.02 * error)
                plain = np.linalg.norm(x @ (weight - truncated(weight, rank)[0])) / np.linalg.norm(x @ weight)
                self.assertLess(error, 0.7 * plain)
                status, text, _ = self.compile(model, [step], {"x": "x.npy"})
                off = re.search(r"; result (\S+) off", text).group(1)
                self.assertAlmostEqual(float(off), plain, delta=0.02 * plain)

    def test_errors_add_up_along_the_layers(self):
        """Each layer's distance is that of the model the recipe leaves, all layers before it included; then the output's."""
        a, b = decaying(self.random, 64, 96), decaying(self.random, 96, 64)
        nodes = [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
                 helper.make_node("MatMul", ["r", "b"], ["o"]), helper.make_node("Tanh", ["o"], ["y"])]
        x = self.random.standard_normal((50, 64)).astype(np.float32)
        np.save(self.folder / "x.npy", x)
        status, text, _ = self.compile(self.write(nodes, {"a": a, "b": b}, 64), [{"do": "low_rank", "weights": ["*"], "rank": 8}], {"x": "x.npy"})
        self.assertEqual(status, 0, text)
        h, o = [x @ a.astype(np.float64), x @ truncated(a, 8)[0]], []
        for each, matrix in zip(h, (b.astype(np.float64), truncated(b, 8)[0])):
            o.append(np.maximum(each, 0) @ matrix)
        distances = [np.linalg.norm(after - before) / np.linalg.norm(before) for before, after in (h, o, np.tanh(o))]
        found = [float(f) for f in re.findall(r"(?:result|output y:) (\S+) off", text)]
        np.testing.assert_allclose(found, distances, rtol=0.02)

    def test_no_error_where_nothing_changes(self):
        nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Mul", ["h", "s"], ["y"])]
        np.save(self.folder / "x.npy", self.correlated(5, 24))
        model = self.write(nodes, {"w": self.random.standard_normal((24, 24)).astype(np.float32), "s": np.float32(3)}, 24)
        status, text, _ = self.compile(model, [{"do": "fold"}], {"x": "x.npy"})
        self.assertEqual(status, 0, text)
        found = [float(f) for f in re.findall(r"(?:result|output y:) (\S+) off", text)]
        self.assertEqual(len(found), 2)
        self.assertLess(max(found), 1e-7)

    def test_refusals(self):
        model = self.write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": decaying(self.random, 64, 64)}, 64)
        steps = [{"do": "low_rank", "weights": ["w"], "rank": 4, "whiten": True}]
        self.refused(model, steps, "step 1, whiten: wanted \"calibration\" in the recipe, found none")
        self.refused(model, [steps[0] | {"whiten": 1}], "step 1, whiten: wanted true or false, found 1", calibration={"x": "x.npy"})
        self.refused(model, steps, "calibration: wanted an object with a path for each input", calibration={})
        self.refused(model, steps, "calibration, 'x'", "x.npy: cannot be read", calibration={"x": "x.npy"})
        self.refused(model, steps, "calibration: wanted a file for each of the inputs x, found z", calibration={"z": "x.npy"})
        for array, wrong in ((np.zeros((3, 65), np.float32), "wanted f32 of [N, 64], found f32 of [3, 65]"),
                             (np.zeros((3, 64)), "wanted f32 of [N, 64], found f64 of [3, 64]"),
                             (np.zeros((0, 64), np.float32), "wanted at least one element"),
                             (np.full((3, 64), np.nan, np.float32), "wanted finite elements")):
            np.save(self.folder / "x.npy", array)
            self.refused(model, steps, "calibration, 'x' (", wrong, calibration={"x": "x.npy"})


class MatrixTest(FactorizeCase):
    """Weights of more than two dims, and several of them as one."""

    def test_composite_projection(self):
        """Hiformer: all features' projections from all features, [q_1 .. q_T] = [x_1 .. x_T] A B."""
        for order, indices in (((0, 1, 2, 3), "tdue"), ((2, 1, 3, 0), "udet")):
            with self.subTest(indices=indices):
                matrix, rank = decaying(self.random, 5 * 24, 5 * 9), 7
                weight = np.ascontiguousarray(matrix.reshape(5, 24, 5, 9).transpose(order))
                node = helper.make_node("Einsum", ["x", "w"], ["y"], equation=f"btd,{indices}->bue", name="composite")
                status, text, report = self.compile(self.write([node], {"w": weight}, [5, 24]),
                                                    [{"do": "low_rank", "weights": ["composite"], "rank": rank}])
                self.assertEqual(status, 0, text)
                best, error = truncated(matrix, rank)
                self.assertEqual(report["w"][:3], ("120", "45", str(rank)))
                self.assertAlmostEqual(float(report["w"][3]), error, delta=0.02 * error)
                x = self.random.standard_normal((3, 5, 24)).astype(np.float32)
                for found in self.results({"x": x}):
                    np.testing.assert_allclose(found["y"], (x.reshape(3, 120) @ best).reshape(3, 5, 9), atol=3e-6 * np.abs(found["y"]).max())

    def joint_model(self):
        weights = {"wk": decaying(self.random, 40, 32), "wv": decaying(self.random, 40, 48), "wq": decaying(self.random, 40, 32)}
        nodes = [helper.make_node("MatMul", ["x", "wk"], ["k"]), helper.make_node("Tanh", ["k"], ["kt"]),
                 helper.make_node("MatMul", ["x", "wv"], ["v"]), helper.make_node("Relu", ["v"], ["vr"]),
                 helper.make_node("MatMul", ["x", "wq"], ["q"]), helper.make_node("Concat", ["kt", "vr", "q"], ["y"], axis=-1)]
        return self.write(nodes, weights, 40), weights

    def test_joint_factor(self):
        """X-EcoMLA: keys and values from one latent, the truncated singular values of [Wk Wv]."""
        model, weights = self.joint_model()
        status, text, report = self.compile(model, [{"do": "low_rank", "weights": ["w[kv]"], "rank": 12, "joint": True}])
        self.assertEqual(status, 0, text)
        best, error = truncated(np.hstack([weights["wk"], weights["wv"]]), 12)
        self.assertAlmostEqual(float(report["wk"][3]), error, delta=0.02 * error)
        self.assertEqual(sorted(report), ["wk", "wv"])
        self.assertIn(f"factorized 2 of 2 weights: {40 * 80 / 1e6:.2f} to {12 * (40 + 80) / 1e6:.2f} million", text)
        x = self.random.standard_normal((7, 40)).astype(np.float32)
        both = x @ best
        wanted = np.hstack([np.tanh(both[:, :32]), np.maximum(both[:, 32:], 0), x @ weights["wq"].astype(np.float64)])
        for found in self.results({"x": x}):
            np.testing.assert_allclose(found["y"], wanted, atol=3e-6 * np.abs(wanted).max())
        program = self.program(model, [{"do": "low_rank", "weights": ["w[kv]"], "rank": 12, "joint": True}])
        self.assertEqual(len(re.findall(r"tensor<40x12xf32>\) ->", program)), 1, program)

    def test_joint_refusals(self):
        model, _ = self.joint_model()
        self.refused(model, [{"do": "low_rank", "weights": ["w[kv]"], "rank": 41, "joint": True}],
                     "step 1: weight 'wk', 'wv' (40 x 80): wanted a rank of at most 40, found 41")


if __name__ == "__main__":
    unittest.main()
