"""S2AFormer: keys of a reduced map, queries and keys of few channels, values of all.

Strip self-attention: softmax(q k) v with keys reduced in space and channels; here two channels a head.
"""

import numpy as np
from formulas import heads, product, scores, softmax

SIZES = {"B": [1, 2, 1], "N": [1, 65, 200], "R": [1, 7, 50]}


def inputs(rng, B, N, R):
    return {"q": heads(rng, B, 4, N, 2), "k": heads(rng, B, 4, R, 2), "v": heads(rng, B, 4, R, 16)}


def outputs(q, k, v):
    return {"y": product(softmax(scores(q, k) * q.dtype.type(np.float32(0.707106769))), v)}
