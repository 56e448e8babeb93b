"""Hiformer: a projection of its own for each feature token, and a composite one of low rank for all.

Gui et al. 2023, https://arxiv.org/abs/2311.05884, section 3; 5 features.
"""

import numpy as np
from formulas import normal, product

SIZES = {"B": [1, 3, 70]}


def inputs(rng, B):
    return {"x": normal(rng, B, 5, 24), "w": normal(rng, 5, 24, 32), "a": normal(rng, 120, 6), "c": normal(rng, 6, 160)}


def outputs(x, w, a, c):
    own = np.stack([product(x[:, t], w[t]) for t in range(5)], 1)
    return {"own": own, "composite": product(product(x.reshape(-1, 120), a), c).reshape(-1, 5, 32)}
