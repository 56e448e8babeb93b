#!/usr/bin/env python3
"""Draw what toeplitz.py measured: by how much the fft form is faster than the direct one, over lengths and features.

    benchmarks/plot_toeplitz.py benchmarks/results/toeplitz-zen4.json benchmarks/results/toeplitz-zen4.svg
"""

import json
import math
import pathlib
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 220, 46, 30, 60
RATIOS = (0.125, 8)  # of the axis


class Panel:
    """One of causal and bidirectional: x is log2 of the length, y log2 of flash over fft."""

    def __init__(self, runs, causal, number):
        self.runs = [run for run in runs if run["causal"] == causal]
        self.left, self.title = LEFT + number * (WIDTH + GAP), "causal" if causal else "bidirectional"
        self.lengths = sorted({run["n"] for run in self.runs})

    def x(self, n):
        low, high = math.log2(self.lengths[0]), math.log2(self.lengths[-1])
        return self.left + WIDTH * (math.log2(n) - low) / (high - low)

    def y(self, ratio):
        low, high = map(math.log2, RATIOS)
        return TOP + HEIGHT * (high - math.log2(min(max(ratio, RATIOS[0]), RATIOS[1]))) / (high - low)

    def text(self, x, y, words, anchor="middle"):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'

    def axes(self):
        yield self.text(self.left + WIDTH / 2, TOP - 12, f"{self.title}: time of flash / time of fft")
        for power in range(int(math.log2(RATIOS[0])), int(math.log2(RATIOS[1])) + 1):
            y, ratio = self.y(2.0 ** power), f"{2 ** power}" if power >= 0 else f"1/{2 ** -power}"
            stroke = "#000" if power == 0 else "#ccc"
            yield f'<line x1="{self.left}" x2="{self.left + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{stroke}"/>'
            yield self.text(self.left - 6, y + 4, ratio, "end")
        for n in self.lengths:
            yield self.text(self.x(n), TOP + HEIGHT + 16, n)

    def lines(self):
        for m in sorted({run["m"] for run in self.runs}):
            points = sorted((run["n"], run["ms"]["flash"] / run["ms"]["fft"]) for run in self.runs if run["m"] == m)
            shade = f"hsl({60 * math.log2(m / 8):.0f}, 70%, 38%)"
            path = " ".join(f"{self.x(n):.1f},{self.y(ratio):.1f}" for n, ratio in points)
            yield f'<polyline points="{path}" fill="none" stroke="{shade}" stroke-width="2"/>'
            yield f'<g fill="{shade}">' + self.text(self.x(points[-1][0]) + 5, self.y(points[-1][1]) + 4, f"m {m}", "start") + "</g>"


def main():
    grid, drawing = map(pathlib.Path, sys.argv[1:])
    runs = json.loads(grid.read_text())["runs"]
    parts = [part for number, causal in enumerate((False, True)) for panel in [Panel(runs, causal, number)]
             for part in (*panel.axes(), *panel.lines())]
    size = f'width="{LEFT + 2 * (WIDTH + GAP)}" height="{TOP + HEIGHT + 30}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    drawing.write_text("\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
