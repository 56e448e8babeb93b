#!/usr/bin/env python3
"""Compile every model of `exported/` once, run all its sizes, compare with PyTorch's float64;
then look at the program: nothing in it is quadratic in a length, or computes shapes.

make_exported.py says what the files are. The accuracy rule is tests/support/accuracy.py's; what is
not floating point has to be equal. TENON_BUILD names the build folder. One model of one exporter:

    run_exported.py Exported.test_llama_step_trace17
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import native  # noqa: E402
from accuracy import excess  # noqa: E402

FOLDER = HERE / "exported"
MODELS = sorted(FOLDER.glob("*.onnx"))
# How many recurrences a run computes: one for each layer, and none of its steps. LMU's are weights: a product with responses
# that the compiler computed. RWKV-4's are a numerator and a denominator each, under a greatest exponent that is no scan.
RECURRENCES = {"mamba": 2, "mamba2": 2, "bamba": 1, "lmu": 0, "rwkv": 4, "rwkv_step": 4, "rwkv4": 2, "rwkv6": 1}
# Its states are slices of tensors of all layers, each read and written by itself.
WRITES_STATES = {"rwkv_step"}
# Recurrences between layers of attention.
HYBRIDS = {"bamba"}
# A softmax that is no attention's: over the experts of a token.
ROUTERS = {"gpt_oss"}


def read_cases(path):
    """{case: {"in" | "out" | "plain": {name: array}}}"""
    cases = {}
    with np.load(path) as arrays:
        for key in arrays.files:
            case, kind, name = key.split("/", 2)
            cases.setdefault(case, {}).setdefault(kind, {})[name] = arrays[key]
    return cases


def degree(expression, name, names):
    """The degree of a size in one of its symbols: from its values where that is large and all others are 1."""
    value = lambda size: eval(readable(expression), {}, {**{n: 1 for n in names}, name: size, "min": min, "max": max})
    large = 1 << 20
    return round(np.log2(max(value(2 * large), 1) / max(value(large), 1)))


def readable(expression):
    return expression.replace("floordiv", "//").replace("mod", "%")


class Compiled:
    """Models compiled ahead of the tests, which take them in order: all cores are busy."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-exported-"))
        self.pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        self.jobs = {}

    def start(self, model):
        if model not in self.jobs:
            artifact = self.folder / f"{model.stem}.tenon"
            self.jobs[model] = self.pool.submit(native.tenon, "compile", model, "-o", artifact, "--target=host")

    def artifact(self, model):
        position = MODELS.index(model)
        for following in MODELS[position : position + 3]:
            self.start(following)
        self.jobs[model].result()
        return self.folder / f"{model.stem}.tenon"

    def close(self):
        self.pool.shutdown(cancel_futures=True)
        shutil.rmtree(self.folder)


class Exported(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.compiled = Compiled()
        cls.addClassCleanup(cls.compiled.close)

    def check_output(self, name, found, wanted, plain):
        self.assertEqual(found.shape, wanted.shape, f"shape of {name}")
        if plain is None:
            np.testing.assert_array_equal(found, wanted, name)
            return
        self.assertEqual(found.dtype, np.float32, f"dtype of {name}")
        self.assertTrue(np.isfinite(found).all(), f"{name} has values that are not finite")
        if found.size:
            worst, rms = excess(found, wanted, *plain)
            text = f"{name}: {worst:.2f} of the allowed maximum error, {rms:.2f} of the allowed rms error"
            self.assertLessEqual(max(worst, rms), 1.0, text)

    def check_structure(self, model, artifact):
        """Arena bytes are linear in the batch and in each length; no command makes a list of sizes."""
        name_of_model = model.name.split(".")[0]
        program = json.loads(native.tenon("inspect", artifact, "--json"))
        names = [dimension["name"] for dimension in program["dimensions"]]
        for entry in program["entries"]:
            for buffer in entry["buffers"]:
                for name in names:
                    self.assertLessEqual(degree(buffer["bytes"], name, names), 1, f"{buffer['bytes']} in {name}")
        kernels = native.tenon("compile", model, "--emit=mlir@kernels")
        if name_of_model in RECURRENCES:
            scans = RECURRENCES[name_of_model]
            self.assertEqual(len(re.findall(r"tenon\.dispatch @scan", kernels)), scans)
        if name_of_model in RECURRENCES and name_of_model not in HYBRIDS:
            most = 25 if name_of_model in WRITES_STATES else 15
            self.assertLess(len(re.findall(r"tenon\.dispatch", kernels)), 10 + most * scans)
        else:
            # One query over a cache: states of parts of the keys.
            self.assertIn("tenon.attention_update" if name_of_model.endswith("_step") else "algorithm flash", kernels)
            if name_of_model not in ROUTERS:
                self.assertNotIn("tenon.softmax", kernels)
            self.assertIsNone(re.search(r"tenon\.dispatch @\w+\(\) : \(\) -> tensor<(\d+x)?(i64|i32|i1)[>,]", kernels))

    def check_model(self, model):
        artifact = self.compiled.artifact(model)
        self.check_structure(model, artifact)
        for case, arrays in read_cases(FOLDER / f"{model.name.split('.')[0]}.npz").items():
            with self.subTest(case=case):
                found = native.outputs(artifact, arrays["in"], threads=2)
                for name, wanted in arrays["out"].items():
                    self.check_output(name, found[name], wanted, arrays.get("plain", {}).get(name))


def make_test(model):
    def test(self):
        self.check_model(model)

    return test


for file in MODELS:
    setattr(Exported, "test_" + file.stem.replace(".", "_"), make_test(file))


if __name__ == "__main__":
    unittest.main()
