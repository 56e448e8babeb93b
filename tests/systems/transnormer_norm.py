"""TransNormer's NormAttention: causal, scores of features elu(x) + 1 without a denominator, then an RMS norm.

Qin et al. 2022, https://arxiv.org/abs/2210.10340, equation 15.
"""

import numpy as np
from formulas import heads, positions, product, rms, scores

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {name: heads(rng, B, 4, N, 16) for name in "qkv"}


def outputs(q, k, v):
    feature = lambda x: np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))
    i, j = positions(q.shape[2])
    return {"y": rms(product(np.where(j <= i, scores(feature(q), feature(k)), 0), v), 1e-8)}
