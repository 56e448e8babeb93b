"""Gated linear attention: each row of the state decays by a gate of its own, sigmoid(g)^(1/16).

Yang et al. 2024, https://arxiv.org/abs/2312.06635, equation 3, with the gates of section 4.4.
"""

import numpy as np
from formulas import normal, recurrence

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    shapes = {"q": 16, "k": 16, "v": 32, "g": 16}
    return {name: normal(rng, B, N, 4, depth) for name, depth in shapes.items()}


def outputs(q, k, v, g):
    one = q.dtype.type
    return {"y": recurrence(q * one(0.25), k, v, np.exp(-np.log(1 + np.exp(-g)) / one(16)))}
