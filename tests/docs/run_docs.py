#!/usr/bin/env python3
"""Run the commands shown in README.md and docs/, compare what they print.

A block fenced as ```sh tested holds commands, each on a line that begins with
"$ ", followed by the lines it prints (standard output and error together):

    $ tenon compile model.mlir
    model.tenon: 0.1 MB of weights, 3 commands, 3 kernels, 0.4 s
    ...

In what is printed, a number matches any number, unless the block is ```sh tested
exactly; "..." matches anything in a line, and any lines where it stands alone. Runs of
spaces count as one. A command may fail only if it prints "error:". A page's blocks run
in order in one scratch folder that has the repository's folders in it, the programs of
the build on PATH.

Also holds: docs/onnx-support.md is what the operator table says, the benchmarks' tables are what
their results say, links in the pages lead somewhere, scripts can be run as they are named.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build" / "release"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```sh tested( exactly)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)")
NUMBER = r"(?<![\w.-])\d+(?:\.\d+)?(?:e[-+]\d+)?(?![\w-])"


def blocks(page):
    """(command, expected lines, whether numbers must be equal) of a page, in order."""
    for block in BLOCK.finditer(page.read_text()):
        command = None
        for line in block.group(2).splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, expected, bool(block.group(1))
                command, expected = line[2:], []
            else:
                expected.append(line)
        if command:
            yield command, expected, bool(block.group(1))


def pattern(line, exactly):
    """A regular expression for one expected line."""
    line = re.sub(r"\s+", " ", line.strip())
    number = "(?!)" if exactly else NUMBER
    parts = [re.split(f"({number})", part) for part in line.split("...")]
    escaped = ["".join(NUMBER if i % 2 else re.escape(t) for i, t in enumerate(p)) for p in parts]
    return ".*".join(escaped)


def mismatch(expected, found, exactly=False):
    """None, or the first expected line that is not printed."""
    printed = [re.sub(r"\s+", " ", line.strip()) for line in found]
    at, skipping = 0, False
    for line in expected:
        if line.strip() == "...":
            skipping = True
            continue
        wanted = re.compile(pattern(line, exactly) + "$")
        while skipping and at < len(printed) and not wanted.match(printed[at]):
            at += 1
        if at == len(printed) or not wanted.match(printed[at]):
            return line
        at, skipping = at + 1, False
    return None if skipping or at == len(printed) else "(the end)"


class DocsTest(unittest.TestCase):
    def run_page(self, page):
        with tempfile.TemporaryDirectory(prefix="tenon-docs-") as work:
            for entry in ROOT.iterdir():
                if not entry.name.startswith(".git"):
                    os.symlink(entry, pathlib.Path(work) / entry.name)
            path = os.pathsep.join([str(BUILD / "bin"), os.environ["PATH"]])
            environment = {**os.environ, "PATH": path, "NO_COLOR": "1"}
            for command, expected, exactly in blocks(page):
                done = subprocess.run(["bash", "-c", command], cwd=work, env=environment, text=True, timeout=300,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                failing = any(line.startswith("error:") for line in expected)
                said = f"{page.relative_to(ROOT)}: $ {command}\nprinted:\n{done.stdout}"
                self.assertEqual(done.returncode != 0, failing, f"exit status {done.returncode}; {said}")
                wrong = mismatch(expected, done.stdout.splitlines(), exactly)
                self.assertIsNone(wrong, f"wanted: {wrong}\n{said}")

    def test_links(self):
        for page in PAGES:
            for link in LINK.findall(page.read_text()):
                if "://" not in link:
                    self.assertTrue((page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}")

    def test_scripts_are_executable(self):
        for folder in ("benchmarks", "scripts", "tests"):
            for path in (ROOT / folder).rglob("*"):
                if path.is_file() and path.suffix in ("", ".py", ".sh") and path.open("rb").read(2) == b"#!":
                    self.assertTrue(os.access(path, os.X_OK), f"{path.relative_to(ROOT)} begins with #! and is not executable")

    def test_onnx_support_is_current(self):
        table = subprocess.run([BUILD / "bin" / "tenon-import", "--onnx-support"], capture_output=True, text=True)
        self.assertEqual(table.returncode, 0, table.stderr)
        self.assertEqual((ROOT / "docs" / "onnx-support.md").read_text(), table.stdout,
                         "write it again: tenon-import --onnx-support > docs/onnx-support.md")

    def test_benchmark_tables_are_current(self):
        done = subprocess.run([ROOT / "benchmarks" / "tables.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def add_page_test(page):
    name = re.sub(r"\W+", "_", str(page.relative_to(ROOT).with_suffix(""))).lower()
    setattr(DocsTest, "test_page_" + name, lambda self: self.run_page(page))


for _page in PAGES:
    if any(blocks(_page)):
        add_page_test(_page)

if __name__ == "__main__":
    unittest.main()
