#!/usr/bin/env python3
"""The Python package of python/, on artifacts compiled here. TENON_BUILD names the build folder."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release"))
INPUTS = ROOT / "tests" / "compiler" / "tools" / "Inputs"
os.environ.setdefault("TENON_RUNTIME", str(BUILD / "lib" / "libtenon_rt.so"))
sys.path.insert(0, str(ROOT / "python"))
import tenon  # noqa: E402

# Doubles x, which has the element type TYPE.
DOUBLE = """
tenon.symbol @N in [0, 1000000]
func.func @main(%x: tensor<?xTYPE, #tenon.dims<[N]>> {tenon.name = "x"})
    -> (tensor<?xTYPE, #tenon.dims<[N]>> {tenon.name = "y"}) attributes {tenon.entry} {
  %y = tenon.map %a = %x at %i : (tensor<?xTYPE, #tenon.dims<[N]>>) -> tensor<?xTYPE, #tenon.dims<[N]>> {
    %v = tenon.load %a[%i] : tensor<?xTYPE, #tenon.dims<[N]>>
    %w = arith.ADD %v, %v : TYPE
    tenon.yield %w : TYPE
  }
  return %y : tensor<?xTYPE, #tenon.dims<[N]>>
}
"""


class PythonTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="tenon-python-"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.linear = cls.compile(INPUTS / "linear.mlir")
        cls.lookup = cls.compile(INPUTS / "lookup.mlir")

    @classmethod
    def compile(cls, model):
        artifact = cls.work / (model.stem + ".tenon")
        subprocess.run([BUILD / "bin" / "tenon", "compile", model, "-o", artifact, "--quiet"], check=True)
        return artifact

    def double(self, dtype, addition="addf"):
        model = self.work / f"double-{dtype}.mlir"
        model.write_text(DOUBLE.replace("TYPE", dtype).replace("ADD", addition))
        return tenon.InferenceSession(self.compile(model))

    def refused(self, code, text, call, *arguments, **named):
        with self.assertRaises(tenon.Error) as raised:
            call(*arguments, **named)
        self.assertEqual(raised.exception.code, code)
        self.assertIn(text, str(raised.exception))

    def test_describes_itself(self):
        session = tenon.InferenceSession(self.lookup)
        (ids,), (rows,) = session.get_inputs(), session.get_outputs()
        self.assertEqual((ids.name, ids.shape, ids.type, ids.dtype), ("ids", ["N"], "tensor(int64)", np.int64))
        self.assertEqual((rows.name, rows.shape, rows.type), ("rows", ["N", 2], "tensor(float)"))
        self.assertEqual(session.get_metadata()["index_rows/main/ids"], "5")
        self.assertTrue(session.level.startswith("x86-64") or session.level.startswith("aarch64"))
        self.assertEqual(tenon.InferenceSession(self.lookup, threads=1).threads, 1)
        self.assertEqual(tenon.library_version(), tenon.__version__)

    def test_runs_as_onnx_runtime_does(self):
        session = tenon.InferenceSession(self.lookup)
        for ids in ([4, 0, 3], [1]):
            (rows,) = session.run(None, {"ids": np.array(ids)})
            np.testing.assert_array_equal(rows, [[10 * i, 10 * i + 1] for i in ids])
        session = tenon.InferenceSession(str(self.linear))
        x = np.arange(8, dtype=np.float32).reshape(2, 4)
        names = [o.name for o in session.get_outputs()]
        both = session.run(None, {"x": x})
        self.assertEqual(names, ["y", "heads/p.0"])
        swapped = session.run(names[::-1], {"x": x})
        for a, b in zip(both, swapped[::-1]):
            np.testing.assert_array_equal(a, b)
        self.assertEqual(session.run([], {"x": x}), [])

    def test_results_stay(self):
        """A result is the caller's: later runs do not change it, and it outlives the session."""
        session = tenon.InferenceSession(self.lookup)
        (first,) = session.run(None, {"ids": np.array([1, 2])})
        session.run(None, {"ids": np.array([3, 4])})
        del session
        np.testing.assert_array_equal(first[:, 0], [10, 20])

    def test_any_memory_layout(self):
        session = tenon.InferenceSession(self.linear)
        x = np.arange(24, dtype=np.float32).reshape(4, 6)
        (wanted,) = session.run(["y"], {"x": np.ascontiguousarray(x.T[:5, :4])})
        (found,) = session.run(["y"], {"x": x.T[:5, :4]})
        np.testing.assert_array_equal(found, wanted)

    def test_steps(self):
        session = tenon.InferenceSession(self.lookup)
        ids = np.array([0, 1])
        session.bind({"ids": ids})
        session.execute()
        self.assertEqual(session.outputs()["rows"][1, 0], 10)
        ids[1] = 4  # read where it is
        session.execute()
        self.assertEqual(session.outputs()["rows"][1, 0], 40)

    def test_types(self):
        for dtype, numpy_type, addition in (("f32", "float32", "addf"), ("f64", "float64", "addf"),
                                            ("i64", "int64", "addi"), ("i32", "int32", "addi")):
            with self.subTest(dtype):
                x = np.array([1, -2, 3], numpy_type)
                (y,) = self.double(dtype, addition).run(None, {"x": x})
                np.testing.assert_array_equal(y, x + x)
                self.assertEqual(y.dtype, x.dtype)

    def test_bfloat16(self):
        # Moved, not computed with.
        model = self.work / "move.mlir"
        model.write_text(DOUBLE.replace("    %w = arith.ADD %v, %v : TYPE\n", "").replace("%w", "%v").replace("TYPE", "bf16"))
        session = tenon.InferenceSession(self.compile(model))
        self.assertEqual(session.get_inputs()[0].type, "tensor(bfloat16)")
        bits = np.array([0x3F80, 0xC000], np.uint16)  # 1, -2
        (y,) = session.run(None, {"x": bits})
        np.testing.assert_array_equal(y.view(np.uint16), bits)
        if importlib.util.find_spec("ml_dtypes"):
            import ml_dtypes

            self.assertEqual(y.dtype, ml_dtypes.bfloat16)
            (again,) = session.run(None, {"x": bits.view(ml_dtypes.bfloat16)})
            np.testing.assert_array_equal(again.view(np.uint16), y.view(np.uint16))
        self.refused(tenon.Code.BAD_SHAPE, "input 'x': wanted bf16, found f16", session.run, None,
                     {"x": np.zeros(2, np.float16)})

    def test_empty(self):
        (y,) = self.double("f32").run(None, {"x": np.zeros(0, np.float32)})
        self.assertEqual(y.shape, (0,))

    def test_bytes(self):
        content = self.lookup.read_bytes()
        (rows,) = tenon.InferenceSession(content).run(None, {"ids": np.array([2])})
        self.assertEqual(rows[0, 0], 20)

    def test_errors(self):
        refused, code = self.refused, tenon.Code
        refused(code.IO_ERROR, "none.tenon: cannot open", tenon.InferenceSession, self.work / "none.tenon")
        refused(code.BAD_ARTIFACT, "wanted", tenon.InferenceSession, b"nothing of the sort")
        refused(code.NOT_FOUND, "no entry 'side'; it has: main", tenon.InferenceSession, self.lookup, entry="side")
        refused(code.NOT_FOUND, "wanted level nowhere", tenon.InferenceSession, self.lookup, level="nowhere")
        session = tenon.InferenceSession(self.linear)
        x = np.zeros((2, 4), np.float32)
        refused(code.NOT_FOUND, "no output 'z'; it has: y", session.run, ["z"], {"x": x})
        refused(code.NOT_FOUND, "no input 'z'; it has: x", session.run, None, {"x": x, "z": x})
        refused(code.INVALID_ARGUMENT, "input 'x' is missing", session.run, None, {})
        refused(code.BAD_SHAPE, "wanted f32, found f64", session.run, None, {"x": x.astype(np.float64)})
        refused(code.BAD_SHAPE, "wanted tensor(float), found an array of >f4", session.run, None,
                {"x": x.astype(">f4")})
        refused(code.BAD_SHAPE, "dimension 1: wanted 4, found 3", session.run, None, {"x": x[:, :3]})
        refused(code.BAD_VALUE, "embeddings/Gather", tenon.InferenceSession(self.lookup).run, None,
                {"ids": np.array([7])})
        (y,) = session.run(["y"], {"x": x})  # as good as ever
        self.assertEqual(y.shape[0], 2)

    def test_threads_take_turns(self):
        session = tenon.InferenceSession(self.lookup, threads=1)
        wrong = []

        def work(row):
            for _ in range(200):
                (rows,) = session.run(None, {"ids": np.full(100, row)})
                if not (rows[:, 0] == 10 * row).all():
                    wrong.append(row)

        threads = [threading.Thread(target=work, args=(row,)) for row in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
