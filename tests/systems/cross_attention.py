"""Cross attention: the queries of one sequence on the keys of another, of which each sentence has its own number.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.3; a sentence without words gives zeros.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"B": [1, 2, 3, 4], "N": [1, 33, 5, 70], "M": [1, 19, 130, 64]}


def inputs(rng, B, N, M):
    q, k, v = normal(rng, B, N, 4, 16), normal(rng, B, M, 4, 16), normal(rng, B, M, 4, 16)
    return {"q": q, "k": k, "v": v, "lengths": rng.integers(0, M + 1, B)}


def outputs(q, k, v, lengths):
    q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
    keep = np.arange(k.shape[2]) < lengths[:, None, None, None]
    return {"y": product(softmax(scores(q, k) / q.dtype.type(4), keep), v).swapaxes(1, 2)}
