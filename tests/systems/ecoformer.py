"""EcoFormer: products of 16-bit hash codes plus 17, normalised by their sum.

Liu et al. 2022, https://arxiv.org/abs/2209.09004, section 3.2; the sum form of the definition.
"""

import numpy as np
from formulas import heads, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    code = lambda x: np.where(x >= 0, 1, -1).astype(x.dtype)
    y = scores(code(q), code(k)) + q.dtype.type(17)
    return {"y": product(y / total(y), v)}
