"""URPE: softmax weights times a factor of the distance, after the normalisation.

Luo et al. 2022, https://arxiv.org/abs/2205.13401, section 4; the factor is a table of 2N - 1 values per head.
"""

from formulas import heads, normal, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "c": 1 + normal(rng, 4, 2 * N - 1)}


def outputs(q, k, v, c):
    n = q.shape[2]
    i, j = positions(n)
    return {"y": product(softmax(scores(q, k) * q.dtype.type(0.25)) * c[:, j - i + n - 1], v)}
