"""kMaX-DeepLab: each pixel goes to the query that scores it highest, a query sums the values of its pixels.

Yu et al. 2022, https://arxiv.org/abs/2207.04044, section 3; the normalisation of logits is an affine map, folded.
"""

import numpy as np
from formulas import normal, scores

SIZES = {"B": [1, 2, 1], "L": [1, 7, 33], "P": [1, 65, 200]}


def inputs(rng, B, L, P):
    return {"kernels": normal(rng, B, L, 16), "pixels": normal(rng, B, P, 16), "values": normal(rng, B, P, 24)}


def outputs(kernels, pixels, values):
    chosen = (scores(kernels, pixels) * kernels.dtype.type(0.9) + kernels.dtype.type(0.1)).argmax(1)
    y = np.zeros(kernels.shape[:2] + values.shape[2:], values.dtype)
    for b, p in np.ndindex(chosen.shape):
        y[b, chosen[b, p]] += values[b, p]
    return {"y": y}
