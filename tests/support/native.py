"""Compile a program given as text and run it at many sizes, on every x86 level this machine has.

    program = Program(text)
    for level, threads, outputs in program.run({"x": array}): ...

TENON_BUILD names the build folder. Compilation runs under a memory cap. For
another machine than this one, TENON_LEVELS names the levels, by comma, and
TENON_RUNNER the command that runs artifacts there, as `qemu-aarch64 PATH/tenon-run`;
`PATH/tenon run --emulate` takes the program itself and emulates a GPU.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release"))
MEMORY_CAP = 8 << 30

os.environ.setdefault("TENON_RUNTIME", str(BUILD / "lib" / "libtenon_rt.so.0"))
sys.path.insert(0, str(ROOT / "python"))
from tenon import InferenceSession  # noqa: E402


def tenon(*arguments):
    """Run `tenon` under a memory cap; its message is the failure. Returns what it printed."""
    return execute([str(BUILD / "bin" / "tenon"), *map(str, arguments)])


def run_artifact(*arguments):
    """`tenon run`, or what stands for it on another machine."""
    runner = os.environ.get("TENON_RUNNER")
    return execute([*runner.split(), *map(str, arguments)]) if runner else tenon("run", *arguments)


def is_emulated():
    """Whether the runner takes models and emulates a GPU."""
    return "--emulate" in os.environ.get("TENON_RUNNER", "")


def execute(command):
    cap = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_CAP, MEMORY_CAP))
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=cap, timeout=600)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


def levels(bf16=False):
    """The fp32 levels this machine has, lowest first; where asked, also the one with products of bf16 pairs."""
    if "TENON_LEVELS" in os.environ:
        return os.environ["TENON_LEVELS"].split(",")
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    wide = " avx512vl" in flags and " avx512bw" in flags
    return ["x86-64-v3"] + ["x86-64-v4"] * wide + ["x86-64-v4-bf16"] * (bf16 and wide and " avx512_bf16" in flags)


def outputs(artifact, inputs, threads, level=None):
    """NAME -> array of every output of one run."""
    if "TENON_RUNNER" in os.environ:
        return run_on_files(artifact, inputs, threads, level)
    session = InferenceSession(artifact, threads=threads, level=level)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def read_tensors(folder):
    """NAME -> array of every .npy under `folder`; a slash in a name is a subfolder."""
    return {str(f.relative_to(folder))[: -len(".npy")]: np.load(f) for f in sorted(pathlib.Path(folder).rglob("*.npy"))}


def run_on_files(artifact, inputs, threads, level):
    """One run through files. bfloat16, which NumPy does not name, goes there as two bytes and comes back as uint16, which is
    no result of a program that takes bfloat16."""
    is_bf16 = any(array.dtype.name == "bfloat16" for array in inputs.values())
    with tempfile.TemporaryDirectory(prefix="tenon-elsewhere-") as folder:
        options = ["--threads", threads, "--output-dir", f"{folder}/out", "--quiet"] + (["--level", level] if level else [])
        for number, (name, array) in enumerate(inputs.items()):
            file = f"{folder}/{number}.npy"
            np.save(file, array.view("V2") if array.dtype.name == "bfloat16" else array)
            options += ["--input", f"{name}={file}"]
        run_artifact(artifact, *options)
        found = read_tensors(f"{folder}/out")
    return {n: a.view(ml_dtypes.bfloat16) if is_bf16 and a.dtype == np.uint16 else a for n, a in found.items()}


class Program:
    """A program compiled once for all levels of this machine."""

    def __init__(self, text, bf16=False):
        self.levels = levels(bf16)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-numeric-"))
        source = self.folder / "program.mlir"
        source.write_text(text)
        if is_emulated():
            self.artifact = source
            return
        self.artifact = self.folder / "program.tenon"
        tenon("compile", "--quiet", source, "--target", ",".join(self.levels), "-o", self.artifact)

    def __del__(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, inputs, threads=(1, 2)):
        """(level, threads, NAME -> output) for each level; two threads on the best level only."""
        for level in self.levels:
            for count in threads if level == self.levels[-1] else threads[:1]:
                yield level, count, outputs(self.artifact, inputs, count, level)
