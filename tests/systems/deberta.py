"""DeBERTa: content to content, content to position and position to content, by clipped distance.

He et al. 2021, https://arxiv.org/abs/2006.03654, equation 4; the tables of position scores are contractions.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "kp": normal(rng, 4, 16, 16), "qp": normal(rng, 4, 16, 16)}


def outputs(q, k, v, kp, qp):
    """Distances are clipped to the table's 16 buckets, as the base of the paper's equation 3 has it."""
    i, j = positions(q.shape[2])
    spread = lambda table, at: np.take_along_axis(table, np.broadcast_to(at, q.shape[:2] + at.shape), -1)
    c2p = spread(scores(q, kp), np.clip(i - j + 8, 0, 15))
    p2c = np.swapaxes(spread(scores(k, qp), np.clip(i - j + 8, 0, 15)), 2, 3)
    return {"y": product(softmax((scores(q, k) + c2p + p2c) * q.dtype.type(48**-0.5)), v)}
