"""TNN: tokens mixed by a Toeplitz matrix of each channel, a relative position network times a decay of the distance, gated.

Qin et al. 2023, https://arxiv.org/abs/2305.04749, equations 5 to 9; one hidden layer, decay 0.99 per token.
"""

import numpy as np
from formulas import normal, positions, product

SIZES = {"B": [1, 3]}


def inputs(rng, B):
    return {"u": normal(rng, B, 150, 24), "v": normal(rng, B, 150, 24), "w1": normal(rng, 8), "b1": normal(rng, 8),
            "w2": normal(rng, 8, 24)}


def outputs(u, v, w1, b1, w2):
    """Row i, column j: the network's value at i - j, times 0.99^|i - j|."""
    i, j = positions(150)
    distance = np.arange(-149, 150).astype(u.dtype)
    hidden = np.maximum(distance[:, None] * u.dtype.type(0.01) * w1 + b1, 0).astype(u.dtype)
    t = product(hidden, w2) * np.exp(np.abs(distance) * u.dtype.type(np.log(0.99)))[:, None].astype(u.dtype)
    matrix = np.moveaxis(t[i - j + 149], -1, 0)
    mixed = product(matrix[None], np.moveaxis(v, -1, 1)[..., None])[..., 0]
    return {"y": u * np.moveaxis(mixed, 1, -1)}
