"""Hyena: two gated long convolutions, causal, with a filter of each channel as long as the sequence.

Poli et al. 2023, https://arxiv.org/abs/2302.10866, equation 4, order 2, with the filters' skip term.
"""

import numpy as np
from formulas import normal, positions, product

SIZES = {"B": [1, 3]}


def inputs(rng, B):
    decay = np.exp(-0.02 * np.arange(200))[:, None].astype(np.float32)
    return {"x1": normal(rng, B, 200, 16), "x2": normal(rng, B, 200, 16), "v": normal(rng, B, 200, 16),
            "f1": normal(rng, 200, 16) * decay, "f2": normal(rng, 200, 16) * decay, "d": normal(rng, 2, 16)}


def outputs(x1, x2, v, f1, f2, d):
    """z = x (h * z + d z), twice; row i sums h[i - j] z[j] over j <= i."""
    i, j = positions(200)

    def convolve(h, z):
        matrix = np.where((j <= i)[..., None], h[np.maximum(i - j, 0)], 0).astype(h.dtype)
        mixed = product(np.moveaxis(matrix, -1, 0)[None], np.moveaxis(z, -1, 1)[..., None])[..., 0]
        return np.moveaxis(mixed, 1, -1)

    z = x1 * (convolve(f1, v) + d[0] * v)
    return {"y": x2 * (convolve(f2, z) + d[1] * z)}
