"""X-EcoMLA: heads of two parts, a content product and a rotary part whose key all heads share.

The expanded (prefill) form of multi-head latent attention; content 24, rotary 8, values 20 wide.
"""

import numpy as np
from formulas import normal, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"qn": normal(rng, B, N, 4, 24), "qr": normal(rng, B, N, 4, 8), "kn": normal(rng, B, N, 4, 24),
            "kr": normal(rng, B, N, 8), "v": normal(rng, B, N, 4, 20)}


def outputs(qn, qr, kn, kr, v):
    first = lambda x: np.swapaxes(x, 1, 2)
    i, j = positions(qn.shape[1])
    y = (scores(first(qn), first(kn)) + scores(first(qr), kr[:, None])) * qn.dtype.type(32**-0.5)
    return {"y": first(product(softmax(y, j <= i), first(v)))}
