"""SLAB: linear attention by ReLU features with a floor under the denominator.

Guo et al. 2024, https://arxiv.org/abs/2405.11582, equation 8, in its linear order of products.
"""

import numpy as np
from formulas import heads, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    q, k = np.maximum(q, 0), np.maximum(k, 0)
    state = product(np.swapaxes(k, 2, 3), v)
    below = scores(q, np.swapaxes(total(k, 2), 2, 2))
    return {"y": product(q, state) / (below + q.dtype.type(1e-6))}
