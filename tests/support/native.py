"""Compile a program given as text and run it at many sizes, on every x86 level this machine has or at levels named.

    program = Program(text)
    for level, threads, outputs in program.run({"x": array}): ...

TENON_BUILD names the build folder. Compilation and runs have caps of memory and time. For
other machines than this one, TENON_LEVELS names the levels, by comma, and
TENON_RUNNERS, by semicolon, the command that runs artifacts at each level this
machine lacks: `aarch64=qemu-aarch64 PATH/tenon-run`. `PATH/tenon run --emulate`
takes the model itself and emulates a GPU. One artifact holds all the levels, and
a test that runs it holds all machines to one oracle.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

import ml_dtypes
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release"))
MEMORY_CAP = 8 << 30
SECONDS_CAP, PATIENCE = 600, 3600  # of a processor, and of a machine that has others to do
NAMED_LEVELS = [name for name in os.environ.get("TENON_LEVELS", "").split(",") if name]
RUNNERS = dict(each.split("=", 1) for each in os.environ.get("TENON_RUNNERS", "").split(";") if each)

os.environ.setdefault("TENON_RUNTIME", str(BUILD / "lib" / "libtenon_rt.so.0"))
sys.path.insert(0, str(ROOT / "python"))
from tenon import InferenceSession  # noqa: E402


def tenon(*arguments):
    """Run `tenon` under a memory cap; its message is the failure. Returns what it printed."""
    return execute([str(BUILD / "bin" / "tenon"), *map(str, arguments)])


def run_artifact(artifact, *arguments, level=None, model=()):
    """`tenon run`, or what stands for it at this level: an emulator takes `model`, its file and options of compiling."""
    runner = RUNNERS.get(level)
    options = ["--level", level] if level else []
    if not runner:
        return tenon("run", artifact, *options, *arguments)
    subject = model if emulates(level) else [artifact]
    return execute([*runner.split(), *map(str, [*subject, *options, *arguments])])


def emulates(level):
    """Whether what runs this level takes models and emulates a GPU."""
    return "--emulate" in RUNNERS.get(level, "")


def is_emulated():
    """Whether one of the machines is such an emulator, for which tests leave out what is large."""
    return any(map(emulates, RUNNERS))


def compile_for(levels, model, artifact, *options):
    """One artifact for all levels; None where an emulator compiles the model for each of them. Without levels for this machine."""
    if levels and all(map(emulates, levels)):
        return None
    targets = ["--target", ",".join(levels)] if levels else []
    tenon("compile", "--quiet", model, *targets, "-o", artifact, *options)
    return artifact


def execute(command):
    def cap():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_CAP, MEMORY_CAP))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_CAP, SECONDS_CAP))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=cap, timeout=PATIENCE)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stderr[-4000:]}")
    return done.stdout


def levels(bf16=False):
    """The fp32 levels this machine has, lowest first; where asked, also the one with products of bf16 pairs."""
    if NAMED_LEVELS:
        return NAMED_LEVELS
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    wide = " avx512vl" in flags and " avx512bw" in flags
    return ["x86-64-v3"] + ["x86-64-v4"] * wide + ["x86-64-v4-bf16"] * (bf16 and wide and " avx512_bf16" in flags)


def places():
    """Levels to run at: those named, or None alone, which is the best of this machine."""
    return NAMED_LEVELS or [None]


def outputs(artifact, inputs, threads, level=None, model=()):
    """NAME -> array of every output of one run. `model`: see run_artifact."""
    if level in RUNNERS:
        return run_on_files(artifact, inputs, threads, level, model)
    session = InferenceSession(artifact, threads=threads, level=level)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def read_tensors(folder):
    """NAME -> array of every .npy under `folder`; a slash in a name is a subfolder."""
    return {str(f.relative_to(folder))[: -len(".npy")]: np.load(f) for f in sorted(pathlib.Path(folder).rglob("*.npy"))}


def session_levels():
    """Levels that sessions of several runs are tested at: those this process runs. Skips the test where it is none."""
    local = [level for level in levels() if level not in RUNNERS]
    if not local:
        raise unittest.SkipTest("a session of several runs wants a level of this machine")
    return local


def run_on_files(artifact, inputs, threads, level, model):
    """One run through files. bfloat16, which NumPy does not name, goes there as two bytes and comes back as uint16, which is
    no result of a program that takes bfloat16."""
    is_bf16 = any(array.dtype.name == "bfloat16" for array in inputs.values())
    with tempfile.TemporaryDirectory(prefix="tenon-elsewhere-") as folder:
        options = ["--threads", threads, "--output-dir", f"{folder}/out", "--quiet"]
        for number, (name, array) in enumerate(inputs.items()):
            file = f"{folder}/{number}.npy"
            np.save(file, array.view("V2") if array.dtype.name == "bfloat16" else array)
            options += ["--input", f"{name}={file}"]
        run_artifact(artifact, *options, level=level, model=model)
        found = read_tensors(f"{folder}/out")
    return {n: a.view(ml_dtypes.bfloat16) if is_bf16 and a.dtype == np.uint16 else a for n, a in found.items()}


class Program:
    """A program compiled once for all levels."""

    def __init__(self, text, bf16=False):
        self.levels = levels(bf16)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-numeric-"))
        self.source = self.folder / "program.mlir"
        self.source.write_text(text)
        self.artifact = compile_for(self.levels, self.source, self.folder / "program.tenon")

    def __del__(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, inputs, threads=(1, 2)):
        """(level, threads, NAME -> output) for each level; two threads on the best level only."""
        for level in self.levels:
            for count in threads if level == self.levels[-1] else threads[:1]:
                yield level, count, outputs(self.artifact, inputs, count, level, [self.source])
