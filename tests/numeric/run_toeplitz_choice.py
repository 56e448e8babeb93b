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
    def judge(self, grid):
        """Within 10 % of the best form on nine of ten points, flash attention and transforms each best on at least a quarter of all."""
        runs = fit_toeplitz.with_predictions(BUILD, ROOT / "benchmarks" / "results" / grid)
        black = [run for run in runs if not fit_toeplitz.is_white(run)]
        self.assertGreaterEqual(len(black), 32)
        self.assertGreaterEqual(fit_toeplitz.judge(black, {}, f"{grid}, the black half"), 0.9)
        best = [min(run["ms"], key=run["ms"].get) for run in runs]
        self.assertGreaterEqual(best.count("flash"), len(runs) / 4)
        self.assertGreaterEqual(len(best) - best.count("flash"), len(runs) / 4)
        return best

    def test_two_forms(self):
        """On the machine that the rates are of, before there were blocks."""
        self.judge("toeplitz-zen4.json")

    def test_three_forms(self):
        """On another one, of whose measurements only the rate of blocks' products was taken."""
        self.assertGreaterEqual(self.judge("toeplitz-zen5.json").count("fft_blocks"), 16)


if __name__ == "__main__":
    unittest.main()
