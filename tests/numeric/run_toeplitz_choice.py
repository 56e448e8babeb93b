#!/usr/bin/env python3
"""The choice between the forms of NPRF attention, judged on measured points that its rates were not fitted to."""

import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "benchmarks")]
import fit_toeplitz  # noqa: E402
from native import BUILD  # noqa: E402


class ToeplitzChoice(unittest.TestCase):
    def test_black_half(self):
        """Within 10 % of the better form on nine of ten points, each form the better one on at least a quarter of all."""
        runs = fit_toeplitz.with_predictions(BUILD, ROOT / "benchmarks" / "results" / "toeplitz-zen4.json")
        black = [run for run in runs if not fit_toeplitz.is_white(run)]
        self.assertGreaterEqual(len(black), 32)
        self.assertGreaterEqual(fit_toeplitz.judge(black, {}, "black half"), 0.9)
        for form in ("fft", "flash"):
            best = sum(min(run["ms"], key=run["ms"].get) == form for run in runs)
            self.assertGreaterEqual(best, len(runs) / 4, form)


if __name__ == "__main__":
    unittest.main()
