"""KAT: a rational activation, its denominator shared by each of eight groups of channels.

Yang and Wang 2024, https://arxiv.org/abs/2409.10594, equation 6.
"""

import numpy as np
from formulas import normal

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"x": 2 * normal(rng, B, N, 64), "a": normal(rng, 6), "g": normal(rng, 8, 4)}


def outputs(x, a, g):
    above = np.zeros_like(x)
    for coefficient in a[::-1]:
        above = above * x + coefficient
    below = np.zeros_like(x)
    for coefficient in np.abs(np.repeat(g, 8, 0)).T[::-1]:
        below = (below + coefficient) * np.abs(x)
    return {"y": above / (1 + below)}
