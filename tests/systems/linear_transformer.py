"""Linear Transformer: the score is a product of features elu(x) + 1, causal, normalised by its sum.

Katharopoulos et al. 2020, https://arxiv.org/abs/2006.16236, equation 9.
"""

import numpy as np
from formulas import heads, positions, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v}


def outputs(q, k, v):
    feature = lambda x: np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))
    i, j = positions(q.shape[2])
    y = np.where(j <= i, scores(feature(q), feature(k)), 0)
    return {"y": product(y / total(y), v)}
