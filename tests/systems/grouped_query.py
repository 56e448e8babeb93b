"""Grouped and multi query attention: 8 causal query heads on 2 key heads, and on 1 with a window of 24.

Ainslie et al. 2023, https://arxiv.org/abs/2305.13245, section 2.2; Shazeer 2019, https://arxiv.org/abs/1911.02150, section 3.
"""

import numpy as np
from formulas import heads, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    shared = {f"{name}{count}": heads(rng, B, count, N, 16) for count in (2, 1) for name in "kv"}
    return {"q": heads(rng, B, 8, N, 16), **shared}


def outputs(q, k2, v2, k1, v1):
    i, j = positions(q.shape[2])
    each = lambda x: np.repeat(x, 8 // x.shape[1], axis=1)
    attend = lambda k, v, keep: product(softmax(scores(q, each(k)) / q.dtype.type(4), keep), each(v))
    return {"grouped": attend(k2, v2, j <= i), "multi": attend(k1, v1, (j <= i) & (i - j < 24))}
