"""T2T-ViT's tokens-to-token attention: one head of positive random features, and a skip from the values.

Yuan et al. 2021, https://arxiv.org/abs/2101.11986, its Performer variant; 24 features.
"""

import numpy as np
from formulas import normal, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    arrays = {name: normal(rng, B, N, 32) * np.float32(0.5) for name in "qkv"}
    return {**arrays, "w": normal(rng, 24, 32) * np.float32(0.5), "proj": normal(rng, 32, 32)}


def outputs(q, k, v, w, proj):
    one = q.dtype.type
    feature = lambda x: np.exp(scores(x, w) - total(x * x) / one(2)) / np.sqrt(one(24))
    qf, kf = feature(q), feature(k)
    y = product(qf, product(np.swapaxes(kf, 1, 2), v)) / (scores(qf, total(kf, 1)) + one(1e-8))
    return {"y": scores(y, proj) + v}
