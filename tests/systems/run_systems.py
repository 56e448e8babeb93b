#!/usr/bin/env python3
"""Published systems as native code against their mathematics in NumPy.

A system is NAME.mlir beside NAME.py, whose docstring names it and where its
formulas stand, and which holds

    SIZES                    symbol -> the sizes to run at, lists of one length
    inputs(rng, **sizes)     NAME -> float32 or integer array
    outputs(**inputs)        NAME -> array, in the dtype of the floats it is given

The oracle is evaluated in float64 (the truth) and in float32 (the plain evaluation
of the accuracy rule). It is written from the formulas and shares no code with the
compiler. `run_systems.py --table` writes docs/systems.md, which then says what the
compiler is held to derive for each system.
"""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
from accuracy import compare  # noqa: E402
from native import BUILD, ROOT, Program  # noqa: E402

SYSTEMS = sorted(HERE.glob("*.mlir"))
TABLE = ROOT / "docs" / "systems.md"
FORMING_PASSES = {f"tenon-{name}" for name in ("choose-attention-algorithm", "reassociate-attention", "scan-attention",
                                              "stream-sinkhorn")}


def oracle_of(source):
    spec = importlib.util.spec_from_file_location(f"system_{source.stem}", source.with_suffix(".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def widened(arrays):
    return {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in arrays.items()}


def run(source):
    """Largest relative error over all sizes, levels and outputs; AssertionError where the rule is broken."""
    oracle, program = oracle_of(source), Program(source.read_text())
    rng = np.random.default_rng(int.from_bytes(source.stem.encode()[:8], "little"))
    worst = 0.0
    for values in zip(*oracle.SIZES.values()):
        sizes = dict(zip(oracle.SIZES, values))
        given = oracle.inputs(rng, **sizes)
        wanted, plain = oracle.outputs(**widened(given)), oracle.outputs(**given)
        for level, threads, found in program.run(given):
            for name in wanted:
                compare(found[name], wanted[name], plain[name], f"{source.stem} {name} {sizes} {level}")
                if wanted[name].size:
                    error = np.abs(found[name] - wanted[name]).max() / max(np.abs(wanted[name]).max(), 1e-30)
                    worst = max(worst, float(error))
    return worst


def name_of(source):
    return oracle_of(source).__doc__.strip().splitlines()[0].rstrip(".")


def derived(source):
    """What `tenon explain` says was decided about the attentions of a system, and what else it is made of."""
    explained = subprocess.run([BUILD / "bin" / "tenon", "explain", source, "--json"], capture_output=True, text=True)
    explained.check_returncode()
    decisions = json.loads(explained.stdout)["decisions"]
    texts = [d["text"] for d in decisions if d["pass"] in FORMING_PASSES and (d["outcome"] == "passed" or "algorithm" in d["pass"])]
    text = source.read_text()
    texts += ["a recurrence"] * ("tenon.scan" in text) + ["Fourier transforms"] * (" fft" in text or "tenon.fft" in text)
    return "; ".join(dict.fromkeys(texts)) or "maps, contractions and reductions"


def documented():
    """Stem -> (name, what was derived), as docs/systems.md has them."""
    rows = re.findall(r"^\| \[(.*)\]\(\.\./tests/systems/(\w+)\.mlir\) \| (.*) \| \S+ \|$", TABLE.read_text(), re.MULTILINE)
    return {stem: (name, form) for name, stem, form in rows}


class SystemTest(unittest.TestCase):
    def test_table_is_current(self):
        wanted = {source.stem: (name_of(source), derived(source)) for source in SYSTEMS}
        found = documented()
        self.maxDiff = None
        self.assertEqual(found, wanted, "the forms derived are others than docs/systems.md says; if they should be, "
                                        "write it again: tests/systems/run_systems.py --table")


for _source in SYSTEMS:
    setattr(SystemTest, f"test_{_source.stem}", lambda self, s=_source: self.assertTrue(np.isfinite(run(s))))


def table():
    """docs/systems.md: every system, what was derived for it, its error against float64."""
    lines = ["# Systems", "",
             "Published systems expressed in the dialect, run as native code and compared with NumPy oracles written from",
             "their formulas (`tests/systems`). Written by `tests/systems/run_systems.py --table`; the error is the largest",
             "of all sizes and x86-64 levels, relative to the largest element of the output.", "",
             "| system | what was derived | error |", "|---|---|---|"]
    for source in SYSTEMS:
        lines.append(f"| [{name_of(source)}](../tests/systems/{source.name}) | {derived(source)} | {run(source):.1e} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        TABLE.write_text(table())
    else:
        unittest.main()
