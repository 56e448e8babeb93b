"""PolyCom: PolyNorm and PolyReLU, cubic compositions used as activations.

Zhuo et al. 2024, https://arxiv.org/abs/2411.03884, equations 4 and 5.
"""

import numpy as np
from formulas import normal, rms

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"x": normal(rng, B, N, 70), "w": normal(rng, 4)}


def outputs(x, w):
    r = np.maximum(x, 0)
    powers = [rms(x * x * x, 1e-6), rms(x * x, 1e-6), rms(x, 1e-6)]
    norm = sum(a * p for a, p in zip(w, powers)) + w[3]
    return {"norm": norm, "relu": w[0] * r * r * r + w[1] * r * r + w[2] * r + w[3]}
