#!/usr/bin/env python3
"""Compile each model of this folder, run its cases, compare with PyTorch's float64.

README.md says what the folders hold. One artifact is compiled per model and
serves every size; support/accuracy.py says when an output passes.

TENON_BUILD names the build folder. TENON_MODELS, if set, names the folder
benchmarks/export.py filled: its real-size models are run as well. A single
model: run_models.py Bert (the class is the folder's name in CamelCase).
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from accuracy import excess  # noqa: E402
from native import NAMED_LEVELS, ROOT, RUNNERS, compile_for, emulates, places, read_tensors, run_artifact, tenon  # noqa: E402

MINILM = ROOT / "build" / "deps" / "minilm"
EMBEDDING_BOUND = 2e-6


class ModelTest(unittest.TestCase):
    """The tests of one model; subclasses are made from the folders below."""

    model = None
    cases = None

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="tenon-models-"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.artifact = compile_for(NAMED_LEVELS, cls.model, cls.work / "model.tenon")

    def run_case(self, case, *options, artifact=None, level=None):
        artifact = artifact or self.artifact
        inputs = sorted((case / "inputs").rglob("*.npy"))
        out = self.work / f"{artifact.stem if artifact else ''}-{case.name}{''.join(options)}{level or ''}"
        named = [f"{str(f.relative_to(case / 'inputs'))[: -len('.npy')]}={f}" for f in inputs]
        run_artifact(artifact, *[a for n in named for a in ("--input", n)], "--output-dir", out, *options, level=level, model=[self.model])
        return read_tensors(out)

    def check(self, case):
        return [self.check_at(level, case) for level in places()]

    def check_at(self, level, case):
        found = self.run_case(case, level=level)
        plain = json.loads((case / "float32.json").read_text())
        for name, wanted in read_tensors(case / "outputs").items():
            self.assertIn(name, found, f"wanted output {name}, found {sorted(found)}")
            self.assertEqual(found[name].shape, wanted.shape, f"shape of {name}")
            self.assertEqual(found[name].dtype, np.float32, f"dtype of {name}")
            self.assertTrue(np.isfinite(found[name]).all(), f"{name} has values that are not finite")
            worst, rms = excess(found[name], wanted, plain[name]["max"], plain[name]["rms"])
            text = f"{name} {level or ''}: {worst:.2f} of the allowed maximum error, {rms:.2f} of the allowed rms error"
            self.assertLessEqual(max(worst, rms), 1.0, text)
        return found

    def check_bf16(self):
        """Products in bf16: every output points where it should, and every kernel keeps the rule beside plain evaluation."""
        artifact, case = self.work / "bf16.tenon", sorted(self.cases.glob("*/inputs"))[-1].parent
        too_slow = set(RUNNERS) if self.model == MINILM else set()  # qemu computes each product of a pair in software
        levels = [level for level in places() if not emulates(level) and level not in too_slow]
        if not levels:
            self.skipTest("the emulator compiles a model as it is, and qemu takes minutes for the real one")
        compile_for(NAMED_LEVELS, self.model, artifact, "--dtype=bf16")
        for level in levels:
            results = self.run_case(case, artifact=artifact, level=level)
            for name, wanted in read_tensors(case / "outputs").items():
                found = results[name].astype(np.float64)
                cosine = (found * wanted).sum() / np.linalg.norm(found) / np.linalg.norm(wanted)
                self.assertGreaterEqual(cosine, 0.999, f"{name} {level or ''}")
        if self.model != MINILM and not NAMED_LEVELS:  # the interpreter is slow; it is compared with this machine's code
            tenon("verify", self.model, "--layers", "--dtype=bf16")

    def check_threads(self):
        """The bytes do not depend on the number of threads."""
        case = sorted(self.cases.glob("*/inputs"))[-1].parent
        for level in places():
            one, two = self.run_case(case, "--threads=1", level=level), self.run_case(case, "--threads=2", level=level)
            for name in one:
                self.assertEqual(one[name].tobytes(), two[name].tobytes(), f"{name} with 1 and 2 threads {level or ''}")


def check_embeddings(self, case):
    """all-MiniLM-L6-v2: the rule, and the bound its users are promised."""
    wanted = np.load(case / "outputs" / "sentence_embedding.npy")
    for found in ModelTest.check(self, case):
        self.assertLessEqual(np.abs(found["sentence_embedding"] - wanted).max(), EMBEDDING_BOUND)


def case_test(check, case):
    def test(self):
        check(self, case)

    return test


def make_test(name, model, cases, check=ModelTest.check):
    """A test class with one method per case folder."""
    body = {"model": model, "cases": cases, "test_threads": ModelTest.check_threads, "test_bf16": ModelTest.check_bf16}
    for inputs in sorted(cases.glob("*/inputs")):
        case = inputs.parent
        body["test_" + case.name.replace("-", "_")] = case_test(check, case)
    title = "".join(part.capitalize() for part in name.split("-"))
    globals()[title] = type(title, (ModelTest,), body)


for folder in ("bert", "sentence", "vit"):
    make_test(folder, HERE / folder / "model.onnx", HERE / folder)
for folder in ("bert-safetensors", "sentence-transformers"):
    make_test(folder, HERE / folder, HERE / folder)
make_test("minilm", MINILM, HERE / "minilm", check_embeddings)
if "TENON_MODELS" in os.environ:
    real_size = pathlib.Path(os.environ["TENON_MODELS"])
    for file in sorted(real_size.glob("*.onnx")):
        make_test("real-" + file.stem, file, real_size / file.stem)


def load_tests(loader, tests, pattern):
    """All classes but the base, which has no model."""
    classes = [c for c in globals().values() if isinstance(c, type) and issubclass(c, ModelTest) and c is not ModelTest]
    return unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in classes)


if __name__ == "__main__":
    unittest.main()
