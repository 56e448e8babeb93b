#!/usr/bin/env python3
"""ONNX's node tests, each compiled to native code and run by the runtime.

node_cases.py says which are in scope. Every input stays an input at run time. All
of them go through tenon-run-node-cases, one process a CPU; a sample goes through
`tenon compile` and `tenon run` as well. node-cases-not-passing.txt lists the cases that
do not pass, with the reason: it may only shrink, so a listed case that passes fails
its test.

    run_node_cases.py [--list FILE] [-k PATTERN] [--keep FOLDER]

by hand prints a verdict for each case and, with --list, writes the list anew.

TENON_BUILD names the build folder.
"""

import argparse
import atexit
import concurrent.futures
import fnmatch
import functools
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import node_cases  # noqa: E402

ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release")).resolve()
LIST = HERE / "node-cases-not-passing.txt"
RESULTS = ROOT / "frontends" / "onnx" / "importer" / "NodeTestResults.def"
CASE_SECONDS, PATIENCE = 60, 900  # of a processor, and of a machine that has others to do
SAMPLE_STEP = 60  # every so many cases go through the commands


def results_text(cases, verdicts):
    """NodeTestResults.def for these verdicts."""
    counts = {}
    for name, case in cases.items():
        passing, total = counts.get(case.operator, (0, 0))
        counts[case.operator] = (passing + (not verdicts[name]), total + 1)
    head = [line for line in RESULTS.read_text().splitlines() if line.startswith("//")]
    rows = [f"TENON_ONNX_NODE_TESTS({name}, {p}, {t})" for name, (p, t) in sorted(counts.items())]
    return "\n".join(head + rows) + "\n"


def read_list():
    """NAME -> reason."""
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


class Worker:
    """One tenon-run-node-cases, started again when a case ends it."""

    def __init__(self):
        self.process = None

    def start(self):
        program = BUILD / "bin" / "tenon-run-node-cases"
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def processor_seconds(self):
        """What the process has used: a busy machine makes no case fail."""
        try:
            fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, folder):
        """Empty when the case ran, else why not."""
        if not self.process:
            self.start()
        with concurrent.futures.ThreadPoolExecutor(1) as waiting:
            self.process.stdin.write(f"{folder}\n")
            self.process.stdin.flush()
            answer = waiting.submit(self.process.stdout.readline)
            used, end = self.processor_seconds(), time.monotonic() + PATIENCE
            while not answer.done():
                concurrent.futures.wait([answer], timeout=5)
                if self.processor_seconds() - used > CASE_SECONDS or time.monotonic() > end:
                    self.stop()
                    return f"took more than {CASE_SECONDS} s"
            line = answer.result()
        if not line:
            status = self.process.wait()
            self.stop()
            return f"the process ended with status {status}"
        verdict = line.rstrip("\n")
        return "" if verdict.startswith("ok ") else verdict.replace(f" {folder}:", ":", 1)


def run_cases(cases, work):
    """NAME -> what is wrong, empty if nothing, for each case."""
    names, verdicts = queue.Queue(), {}
    for name in sorted(cases):
        names.put(name)

    def drain():
        worker = Worker()
        while True:
            try:
                name = names.get_nowait()
            except queue.Empty:
                worker.stop()
                return
            folder = work / name
            node_cases.write(cases[name], folder)
            verdicts[name] = worker.run(folder) or node_cases.judge(cases[name], folder)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(drain) for _ in range(len(os.sched_getaffinity(0)))]:
            done.result()
    return verdicts


@functools.cache
def everything():
    """The cases, their verdicts, and the folder with what they left."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="tenon-node-cases-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    cases = node_cases.collect()
    return cases, run_cases(cases, work), work


class NodeCases(unittest.TestCase):
    """A method for each case; listed ones must fail."""


def case_test(name, reason):
    def test(self):
        cases, verdicts, _ = everything()
        self.assertIn(name, cases, "take it off the list: there is no such case")
        if reason is None:
            self.assertEqual(verdicts[name], "")
        else:
            self.assertNotEqual(verdicts[name], "", "passes: take it off node-cases-not-passing.txt")

    return test


class Listed(unittest.TestCase):
    def test_no_operator_fails_throughout(self):
        """Every operator the importer's table names has a case that passes."""
        cases, verdicts, _ = everything()
        passing = {cases[name].operator for name, wrong in verdicts.items() if not wrong}
        failing = {cases[name].operator for name, wrong in verdicts.items() if wrong}
        table = subprocess.run([BUILD / "bin" / "tenon-import", "--onnx-support"], capture_output=True, text=True)
        supported = set(re.findall(r"^\| ([A-Z]\w*) \| \d+ \|", table.stdout, re.MULTILINE))
        self.assertGreater(len(supported), 100)
        self.assertEqual((failing - passing) & supported, set())


    def test_results_are_current(self):
        """docs/onnx-support.md shows how many cases of each operator pass."""
        cases, verdicts, _ = everything()
        self.assertEqual(RESULTS.read_text(), results_text(cases, verdicts), f"write {RESULTS} again with --results")


class Commands(unittest.TestCase):
    """What the one process does, `tenon compile` and `tenon run` do."""

    def tenon(self, *arguments):
        command = [str(BUILD / "bin" / "tenon"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}\n{done.stderr[-2000:]}")
        return done.stdout

    def sample(self):
        cases, verdicts, work = everything()
        passing = sorted(name for name in cases if not verdicts[name])
        return [(cases[name], work / name) for name in passing[::SAMPLE_STEP]]

    def test_sample(self):
        for case, folder in self.sample():
            with self.subTest(case.name):
                artifact, out = folder / "model.tenon", folder / "outputs"
                self.tenon("compile", folder / "model.onnx", "-o", artifact, "--target=host", "--quiet")
                graph = case.model.graph
                inputs = [f"--input={v.name}={folder / f'input_{i}.npy'}" for i, v in enumerate(graph.input)]
                self.tenon("run", artifact, *inputs, "--output-dir", out, "--quiet")
                for value, wanted in zip(graph.output, case.data_sets[0][1]):
                    found = np.load(out / f"{value.name}.npy")
                    self.assertEqual(node_cases.difference(found, wanted, case.rtol, case.atol), "")

    def test_native(self):
        """An artifact's commands only dispatch kernels of its own machine code, or copy."""
        for case, folder in self.sample():
            with self.subTest(case.name):
                artifact = folder / "native.tenon"
                self.tenon("compile", folder / "model.onnx", "-o", artifact, "--target=host", "--quiet")
                about = json.loads(self.tenon("inspect", artifact, "--json"))
                kernels = set(about["kernels"])
                for command in about["entries"][0]["commands"]:
                    self.assertIn(command["what"], kernels | {"copy"})
                self.assertTrue(not kernels or about["levels"][0]["code_bytes"] > 0)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", type=pathlib.Path, help="write the list of what does not pass here")
    parser.add_argument("--results", type=pathlib.Path, help="write what passes, by operator, here")
    parser.add_argument("-k", default="*", metavar="PATTERN", help="only the cases whose name matches")
    parser.add_argument("--keep", type=pathlib.Path, help="leave the cases' files here")
    return parser.parse_args()


def main():
    options = parse()
    cases = {n: c for n, c in node_cases.collect().items() if fnmatch.fnmatch(n, options.k)}
    work = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="tenon-node-cases-"))
    verdicts = run_cases(cases, work)
    if not options.keep:
        shutil.rmtree(work)
    failing = {name: wrong for name, wrong in sorted(verdicts.items()) if wrong}
    for name, wrong in failing.items():
        print(f"{name}: {wrong}")
    print(f"{len(cases)} cases, {len(failing)} do not pass")
    if options.results:
        options.results.write_text(results_text(cases, verdicts))
    if options.list:
        header = LIST.read_text().split("\n", 1)[0] if LIST.exists() else "# Cases that do not pass, and why."
        options.list.write_text("\n".join([header, *(f"{n}: {w}" for n, w in failing.items())]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

for _name in sorted(node_cases.collect().keys() | read_list().keys()):
    setattr(NodeCases, _name, case_test(_name, read_list().get(_name)))
