"""T5: a learned bias for each bucket of distances, bidirectional, no scale.

Raffel et al. 2020, https://arxiv.org/abs/1910.10683; 32 buckets, half of them per direction, the larger half logarithmic to 128.
"""

import numpy as np
from formulas import heads, normal, positions, product, scores, softmax

SIZES = {"B": [1, 2, 1, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "table": normal(rng, 4, 32)}


def bucket(relative, buckets=32, farthest=128):
    """Thresholds in exact integers: bucket 8 + b starts where (far / 8)^8 >= 16^b."""
    half, exact = buckets // 2, buckets // 4
    far = np.abs(relative)
    powers = far.astype(object) ** exact
    large = sum((powers >= exact**exact * (farthest // exact) ** b).astype(int) for b in range(1, exact))
    return (relative > 0) * half + np.where(far < exact, far, exact + large)


def outputs(q, k, v, table):
    i, j = positions(q.shape[2])
    return {"y": product(softmax(scores(q, k) + table[:, bucket(j - i).astype(int)]), v)}
