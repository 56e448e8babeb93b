"""PiToMe, ToMe: merged tokens weigh as many as they hold, log(size) added to the scores.

Bolya et al. 2023, https://arxiv.org/abs/2210.09461, equation 1.
"""

import numpy as np
from formulas import heads, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "size": rng.integers(1, 9, (B, N)).astype(np.float32)}


def outputs(q, k, v, size):
    y = scores(q, k) * q.dtype.type(0.25) + np.log(size)[:, None, None, :]
    return {"y": product(softmax(y), v)}
