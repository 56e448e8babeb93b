#!/usr/bin/env python3
"""What holds for every artifact, on real models: reproducible bytes, bounded
time and memory to compile, small code, and every damage noticed at load.

TENON_BUILD names the build folder; all-MiniLM-L6-v2 is build/deps/minilm.
Times are CPU seconds; benchmarks/README.md has what users wait.
"""

import json
import math
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release"))
TENON = BUILD / "bin" / "tenon"
MINILM = ROOT / "build" / "deps" / "minilm"
MIB = 1 << 20

os.environ.setdefault("TENON_RUNTIME", str(BUILD / "lib" / "libtenon_rt.so"))
sys.path.insert(0, str(ROOT / "python"))


def compile_model(model, artifact, *options, cwd=None, environment=None):
    """Compile; gives (CPU seconds of all threads, peak resident bytes). CPU seconds
    depend little on what else the machine does, and bound the seconds a user waits."""
    command = [str(TENON), "compile", str(model), "-o", str(artifact), "--quiet", *options]
    child = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(environment or {})}, stderr=subprocess.PIPE)
    with child.stderr as stream:
        message = stream.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise AssertionError(f"{' '.join(command)}\nexit status {child.returncode}\n{message}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def code_sizes(artifact):
    """KB of code for each level."""
    text = subprocess.run([TENON, "inspect", artifact], capture_output=True, text=True, check=True).stdout
    sizes = [float(kb) for kb in re.findall(r"([0-9.]+) KB of code", text)]
    if not sizes:
        raise AssertionError(text)
    return sizes


class Reproducible(unittest.TestCase):
    """The bytes are a function of the model, the options and the level table."""

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="tenon-artifacts-"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.model = HERE / "sentence" / "model.onnx"
        cls.first = cls.work / "first.tenon"
        compile_model(cls.model, cls.first)

    def same(self, *options, model=None, **how):
        again = self.work / "again.tenon"
        compile_model(model or self.model, again, *options, **how)
        self.assertEqual(self.first.read_bytes(), again.read_bytes())

    def test_another_folder(self):
        folder = self.work / "somewhere" / "else"
        folder.mkdir(parents=True)
        shutil.copy(self.model, folder)
        self.same(model="model.onnx", cwd=folder)

    def test_one_thread(self):
        self.same("--threads=1")

    def test_two_threads(self):
        self.same("--threads=2")

    def test_another_locale(self):
        """German: a comma in numbers, another order of strings."""
        made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", self.work / "de_DE.UTF-8"])
        self.assertEqual(made.returncode, 0, "localedef needs the Debian package locales")
        self.same(environment={"LOCPATH": str(self.work), "LC_ALL": "de_DE.UTF-8"})


class Minilm(unittest.TestCase):
    """all-MiniLM-L6-v2 with its real weights."""

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp(prefix="tenon-artifacts-"))
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.artifact = cls.work / "minilm.tenon"
        cls.seconds, cls.resident = compile_model(MINILM, cls.artifact, "--target=host")
        cls.weights = (MINILM / "model.safetensors").stat().st_size

    def test_compile_seconds(self):
        self.assertLess(self.seconds, 8)

    def test_compile_memory(self):
        """1.3 times the weights and 400 MB."""
        self.assertLess(self.resident, 1.3 * self.weights + 400 * MIB)

    def test_code_size(self):
        self.assertLess(max(code_sizes(self.artifact)), 200)

    def refused(self, path):
        """Why the runtime refuses `path`."""
        import tenon

        with self.assertRaises(tenon.Error) as raised:
            tenon.InferenceSession(path, threads=1)
        return str(raised.exception)

    def test_flipped_bytes(self):
        """2000 places, drawn anew each time but from a seed that is printed."""
        seed = random.randrange(1 << 30)
        draw = random.Random(seed)
        size = self.artifact.stat().st_size
        damaged = self.work / "damaged.tenon"
        shutil.copy(self.artifact, damaged)
        with open(damaged, "r+b", buffering=0) as file:
            for _ in range(2000):
                at = draw.randrange(size)
                file.seek(at)
                good = file.read(1)
                file.seek(at)
                file.write(bytes([good[0] ^ (1 << draw.randrange(8))]))
                with self.subTest(seed=seed, offset=at):
                    self.assertIn(str(damaged), self.refused(damaged))
                file.seek(at)
                file.write(good)

    def test_cut_short(self):
        size = self.artifact.stat().st_size
        damaged = self.work / "short.tenon"
        shutil.copy(self.artifact, damaged)
        for keep in (size - 1, size - 4096, size // 2, 4096, 64, 1, 0):
            os.truncate(damaged, keep)
            with self.subTest(bytes=keep):
                self.assertIn(str(damaged), self.refused(damaged))


def write_bert_base(folder):
    """A folder of BERT-base with weights of zeros, which take no room on the disk."""
    small = json.loads((HERE / "bert-safetensors" / "config.json").read_text())
    sizes = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
             "max_position_embeddings": 512, "vocab_size": 30522}
    (folder / "config.json").write_text(json.dumps({**small, **sizes}))
    with open(HERE / "bert-safetensors" / "model.safetensors", "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        tensors = json.loads(file.read(length))
    grown = {small[key]: size for key, size in sizes.items() if not key.startswith("num_")}
    header, offset = {}, 0
    for name, tensor in tensors.items():
        if name == "__metadata__" or re.search(r"layer\.[1-9]", name):
            continue
        shape = [grown.get(n, n) for n in tensor["shape"]]
        for layer in range(12) if ".layer.0." in name else [0]:
            end = offset + 4 * math.prod(shape)
            header[name.replace(".layer.0.", f".layer.{layer}.")] = {
                "dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
            offset = end
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return offset


@unittest.skipUnless(os.environ.get("TENON_TEST_ALL"), "writes 400 MB")
class BertBase(unittest.TestCase):
    """Twelve layers: as much code as six, and no more than 3 s more than MiniLM."""

    def test_compile(self):
        with tempfile.TemporaryDirectory(prefix="tenon-artifacts-") as work:
            folder = pathlib.Path(work) / "bert-base"
            folder.mkdir()
            weights = write_bert_base(folder)
            artifact = pathlib.Path(work) / "bert.tenon"
            seconds, resident = compile_model(folder, artifact, "--target=host")
            self.assertLess(seconds, 11)
            self.assertLess(resident, 1.3 * weights + 400 * MIB)
            self.assertLess(max(code_sizes(artifact)), 200)


if __name__ == "__main__":
    unittest.main()
